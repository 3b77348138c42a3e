"""What is stored is counted to the byte, whatever it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from jobs.mixing import MixLane, MixOrder, mix_create
from jobs.models import Asset, Listening
from jobs.stored import Stored, stored_get, stored_sum
from tests.makers import make_done_job, run_derived

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats", "fake_separation")]


def test_it_is_what_storage_holds(
    alice: Any, charlie: Any, tmp_path: Path, media_dir: Path, stored: Callable[[], list[str]]
):
    job = make_done_job(alice, tmp_path, seconds=2, stems=("vocals", "drums"))
    stem = Asset.objects.filter(job=job).earliest("pk")
    order = MixOrder(lanes=[MixLane(str(stem.uuid), 0.5, 0)], form="wav")
    mix_create(workspace=alice, job_uuid=job.uuid, order=order)
    run_derived()
    counted = stored_get(workspace=alice)
    files = {kind: one.files for kind, one in counted.items()}
    assert files == {"recordings": 1, "results": 2, "listening": 6, "mixes": 1}
    sizes = {"uploads": "recordings", "jobs": "results"}
    by_kind = dict.fromkeys(counted, 0)
    for name in stored():
        folder = name.split("/")[0]
        by_kind[sizes.get(folder, folder)] += (media_dir / name).stat().st_size
    assert {kind: one.size_bytes for kind, one in counted.items()} == by_kind
    assert stored_sum(workspace=alice) == Stored(10, sum(by_kind.values()))
    assert stored_sum(workspace=charlie) == Stored(0, 0)
    assert stored_get() == counted
    text = Client().get("/metrics").content.decode()
    told = {
        (sample.name, sample.labels.get("kind")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert told["stemwright_stored_bytes", None] == sum(by_kind.values())
    assert told["stemwright_stored_kind_bytes", "mixes"] == by_kind["mixes"]


def test_what_is_gone_is_not_counted(alice: Any, tmp_path: Path):
    job = make_done_job(alice, tmp_path, seconds=1, stems=("vocals",))
    run_derived()
    Asset.objects.update(state="purged")
    Listening.objects.all().delete()
    assert job.workspace_id == alice.pk
    assert stored_sum(workspace=alice) == Stored(0, 0)
