from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from billing.selectors import wallet_get
from jobs.models import Asset, AssetState, Job
from tests.api.answers import content
from tests.api.musicapi.calls import SONIC, call, post, refusal
from tests.api.real import real_engine
from tests.makers import make_asset, run_jobs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with real_engine(monkeypatch):
        yield


def asked(client: Client, clip: Asset, *formats: str) -> Any:
    return call(client, "download", clip, formats=list(formats))


def test_it_is_prepared_once_then_given_out(client: Client, clip: Asset, alice: Any):
    response = asked(client, clip, "mp3", "flac16")
    job = Job.objects.get()
    preparing = {"code": 202, "task_id": str(job.uuid), "message": "preparing"}
    assert (response.status_code, response.json()) == (202, preparing)
    response = asked(client, clip, "mp3", "flac16")
    assert (response.status_code, response.json()) == (202, preparing)
    (entry,) = client.get(f"{SONIC}task/{job.uuid}").json()["data"]
    assert entry == {"clip_id": str(clip.uuid), "state": "pending"}

    assert run_jobs() == 1
    for _ in range(2):
        body = asked(client, clip, "mp3", "flac16").json()
        assert (body["code"], body["message"]) == (200, "success")
        assert set(body["data"]) == {"mp3", "flac16"}
    assert content(Client().get(body["data"]["flac16"]))[:4] == b"fLaC"
    (entry,) = client.get(f"{SONIC}task/{job.uuid}").json()["data"]
    assert set(entry["download_urls"]) == {"mp3", "flac16"}
    assert (Job.objects.count(), wallet_get(workspace=alice).posted_mcr) == (1, 99_000)


def test_other_formats_and_clips_are_other_orders(
    client: Client, clip: Asset, alice: Any, tmp_path: Path
):
    asked(client, clip, "mp3")
    asked(client, clip, "flac")
    asked(client, make_asset(alice, tmp_path), "mp3")
    # Named twice is named once.
    asked(client, clip, "mp3", "mp3")
    assert Job.objects.count() == 3


def test_what_came_to_nothing_or_is_gone_is_said(client: Client, clip: Asset):
    asked(client, clip, "mp3")
    Job.objects.update(state="failed", error_message="It broke.")
    # For a minute; then it is ordered anew.
    status, message = refusal(asked(client, clip, "mp3"))
    assert (status, message) == (
        500,
        "Task failed. It broke. Credits were previously refunded.",
    )
    Job.objects.update(created_at="2026-01-01T00:00:00Z")
    assert asked(client, clip, "mp3").status_code == 202
    run_jobs()
    Asset.objects.filter(job__isnull=False).update(state=AssetState.DELETED)
    assert refusal(asked(client, clip, "mp3"))[0] == 400
    Job.objects.update(created_at="2026-01-01T00:00:00Z")
    assert asked(client, clip, "mp3").status_code == 202
    assert Job.objects.count() == 3


def test_a_key_makes_an_order_its_own(client: Client, clip: Asset, alice: Any):
    body = {"clip_id": str(clip.uuid), "formats": ["mp3"]}
    first, second, other = (
        post(client, "download", body, **{"Idempotency-Key": key}) for key in ("a", "a", "b")
    )
    assert first.json() == second.json() != other.json()
    assert wallet_get(workspace=alice).held_mcr == 2_000


@pytest.mark.parametrize("formats", [None, [], "mp3", ["m4a"], [1], ["x" * 17], ["mp3"] * 9])
def test_wrong_formats_are_refused(client: Client, clip: Asset, formats: Any):
    assert refusal(call(client, "download", clip, formats=formats))[0] == 400
    assert Job.objects.count() == 0


def test_a_clip_of_others_is_unknown(stranger: Client, clip: Asset):
    assert refusal(asked(stranger, clip, "mp3")) == (404, "clip not found.")
