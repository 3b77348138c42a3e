"""All that an order may say besides the stems."""

from pathlib import Path
from typing import Any

import pytest
import soundfile
from stemwright import BadRequest, Client, Order

from jobs.models import Job
from tests.clients.proxy import Fault, Proxy
from tests.makers import make_wav


def test_a_part_in_several_formats_with_what_is_ours(
    client: Client, real_worker: None, tmp_path: Path
):
    path = tmp_path / "song.wav"
    path.write_bytes(make_wav(seconds=1.0))
    asset = client.assets.upload(path)
    quote = client.jobs.estimate(asset=asset.id, stems=["vocals"], start_s=0.25, end_s=0.75)
    assert (quote.credits_mcr, quote.duration_s) == (1250, 0.5)
    job = client.jobs.create(
        asset=asset.id,
        service="conversion",
        formats=["wav16", "flac"],
        start_s=0.25,
        end_s=0.75,
        metadata={"take": 7},
    )
    assert (job.formats, job.metadata, job.steps) == (["wav16", "flac"], {"take": 7}, [])
    assert job.range is not None
    assert (job.range.start_s, job.range.end_s) == (0.25, 0.75)
    paths = client.jobs.download(client.jobs.wait(job.id), tmp_path / "out")
    assert sorted(path.suffix for path in paths.values()) == [".flac", ".wav"]
    assert {soundfile.info(path).frames for path in paths.values()} == {22_050}
    usage = client.usage(group_by="service")
    assert (usage.total.jobs, usage.total.charged_mcr, usage.total.audio_s) == (1, 25, 0.5)
    assert [(one.service, one.charged_mcr, one.day) for one in usage.groups] == [
        ("conversion", 25, None)
    ]
    (day,) = client.usage().groups
    assert day.day is not None
    assert client.usage(first=day.day, last=day.day).groups == [day]
    assert client.usage(first=usage.first, last=usage.first).groups == []


def test_a_recording_by_its_address_is_ordered_at_once(
    client: Client, worker: None, media_server: Any
):
    job = client.jobs.create(url=f"{media_server.url}/song.wav", stems=["vocals"])
    job = client.jobs.wait(job.id)
    assert (job.status, job.charged_mcr) == ("succeeded", 500)


def test_an_import_that_is_under_way_is_ordered(client: Client, worker: None, media_server: Any):
    found = client.imports.create(f"{media_server.url}/song.wav")
    job = client.jobs.wait(client.jobs.create(import_id=found.id, stems=["vocals"]).id)
    assert job.asset == client.imports.wait(found.id).id


def test_a_batch_whose_answer_is_lost_is_charged_once(
    through: Client, proxy: Proxy, song: Path, pauses: list[float]
):
    asset = through.assets.upload(song)
    orders = [Order(asset=asset.id, stems=[stem]) for stem in ("vocals", "instrumental")]
    proxy.will("POST", "/v1/jobs/batch", Fault(status=503), Fault(cut_answer_after=0))
    jobs = through.jobs.create_batch(orders)
    assert [job.stems for job in jobs] == [["vocals"], ["instrumental"]]
    assert {str(job.uuid) for job in Job.objects.all()} == {job.id for job in jobs}
    assert through.credits().held_mcr == 1000
    with pytest.raises(BadRequest) as refused:
        through.jobs.create_batch([orders[0], Order(asset=asset.id, stems=["kazoo"])])
    assert refused.value.code == "unknown_stem"
    assert Job.objects.count() == 2


def test_jobs_are_found_and_made_anew(client: Client, song: Path):
    asset = client.assets.upload(song)
    first = client.jobs.create(asset=asset.id, stems=["vocals"])
    second = client.jobs.create(asset=asset.id, stems=["vocals"])
    client.jobs.cancel(first.id)
    assert [job.id for job in client.jobs.list(status="cancelled")] == [first.id]
    assert [job.id for job in client.jobs.list(since=second.created_at)] == [second.id]
    assert list(client.jobs.list(service="conversion")) == []
    again = client.jobs.retry(first.id)
    assert (again.retry_of, again.stems) == (first.id, ["vocals"])
