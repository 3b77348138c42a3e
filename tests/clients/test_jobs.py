from pathlib import Path
from typing import Any

import pytest
import soundfile
from stemwright import (
    BadRequest,
    Client,
    JobFailed,
    NotAuthenticated,
    NotFound,
    PaymentRequired,
    WaitTimeout,
)

from jobs.models import Job
from tests.makers import make_asset, make_job, make_key, make_workspace


def test_a_song_becomes_stems(client: Client, worker: None, song: Path, tmp_path: Path):
    asset = client.assets.upload(song)
    assert (asset.filename, asset.n_samples, asset.duration_s) == ("song.wav", 8820, 0.2)
    job = client.jobs.create(asset=asset.id, stems=["vocals", "instrumental"], format="wav16")
    assert (job.asset, job.status, job.price_mcr) == (asset.id, "queued", 500)
    seen: list[str] = []
    job = client.jobs.wait(job.id, on_progress=lambda job: seen.append(job.status))
    assert (job.status, job.progress, job.credits_charged) == ("succeeded", 1.0, "0.5")
    assert seen[-1] == "succeeded"
    assert job.finished_at is not None
    assert job.more == {}
    reported: list[tuple[str, int, int]] = []
    paths = client.jobs.download(
        job,
        tmp_path / "out",
        on_progress=lambda output, done, total: reported.append((output.stem, done, total)),
    )
    assert sorted(path.name for path in paths.values()) == [
        "song (instrumental).wav",
        "song (vocals).wav",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in paths.values()
    )
    for output in job.outputs:
        assert soundfile.info(paths[output.id]).frames == 8820
        assert (output.stem, output.size_bytes, output.size_bytes) in reported
    assert client.credits().available_mcr == 99_500
    (entry,) = [entry for entry in client.ledger() if entry.job == job.id and entry.kind != "hold"]
    assert entry.amount_mcr == -500


def test_what_it_would_cost(client: Client, song: Path):
    asset = client.assets.upload(song)
    quote = client.jobs.estimate(asset=asset.id, stems=["vocals"])
    assert (quote.credits, quote.credits_mcr, quote.stems) == ("0.5", 500, ["vocals"])
    assert not Job.objects.exists()


def test_all_pages_are_read(client: Client, workspace: Any, tmp_path: Path):
    asset = make_asset(workspace, tmp_path, seconds=0.01)
    jobs = [make_job(workspace, asset) for _ in range(7)]
    newest_first = [str(job.uuid) for job in reversed(jobs)]
    assert [job.id for job in client.jobs.list()] == newest_first
    assert [job.id for job in client.jobs.list(limit=3)] == newest_first[:3]


def test_a_job_is_cancelled_and_deleted(client: Client, workspace: Any, tmp_path: Path):
    job_id = str(make_job(workspace, make_asset(workspace, tmp_path)).uuid)
    assert client.jobs.cancel(job_id).status == "cancelled"
    with pytest.raises(JobFailed) as caught:
        client.jobs.wait(job_id)
    assert (caught.value.code, caught.value.job.id) == ("cancelled", job_id)
    client.jobs.delete(job_id)
    with pytest.raises(NotFound):
        client.jobs.get(job_id)


def test_a_job_that_fails_says_why(
    client: Client, worker: None, song: Path, monkeypatch: pytest.MonkeyPatch
):
    from separation.errors import BrokenMedia

    def fail(**options: Any) -> None:
        raise BrokenMedia("The recording ends too early.")

    monkeypatch.setattr("jobs.work.separation.engine_separate", fail)
    job = client.jobs.create(asset=client.assets.upload(song).id, stems=["vocals"])
    with pytest.raises(JobFailed) as caught:
        client.jobs.wait(job.id)
    assert caught.value.code == "broken_media"
    assert client.credits().available_mcr == 100_000


def test_waiting_ends_in_time(client: Client, workspace: Any, tmp_path: Path):
    job = make_job(workspace, make_asset(workspace, tmp_path))
    with pytest.raises(WaitTimeout, match="0.2 s"):
        client.jobs.wait(str(job.uuid), timeout_s=0.2)
    job.refresh_from_db()
    assert job.state == "queued"


def test_refusals_are_told_apart(client: Client, live_server: Any, song: Path):
    asset = client.assets.upload(song)
    with pytest.raises(BadRequest) as bad:
        client.jobs.create(asset=asset.id, stems=["vocals"], colour="blue")  # type: ignore[call-arg]
    assert (bad.value.code, bad.value.status) == ("validation_failed", 400)
    assert bad.value.fields == {"colour": ["There is no such field."]}
    assert bad.value.request_id
    assert "There is no such field." in str(bad.value)
    with pytest.raises(BadRequest) as unknown:
        client.jobs.create(asset=asset.id, stems=["kazoo"])
    assert unknown.value.code == "unknown_stem"
    with Client("ap_wrong", live_server.url) as stranger, pytest.raises(NotAuthenticated) as no:
        stranger.credits()
    assert no.value.code == "invalid_key"
    with (
        Client(make_key(make_workspace(credits=0)), live_server.url) as poor,
        pytest.raises(PaymentRequired) as short,
    ):
        poor.jobs.create(asset=poor.assets.upload(song).id, stems=["vocals"])
    assert (short.value.code, short.value.data["required_mcr"]) == ("insufficient_credits", 500)
    with pytest.raises(NotFound):
        client.jobs.get("00000000-0000-4000-8000-000000000000")
    assert not Job.objects.exists()


def test_speakers_are_named_merged_and_timed(client: Client, worker: None, song: Path):
    asset = client.assets.upload(song)
    job = client.jobs.create(
        asset=asset.id, service="speaker_extraction", options={"max_speakers": 4}
    )
    job = client.jobs.wait(job.id)
    found = client.speakers.get(job.id)
    assert [one.speaker for one in found.speakers] == ["SPEAKER_0", "SPEAKER_1", "SPEAKER_2"]
    assert found.speakers[0].track is not None
    named = client.speakers.rename(job.id, {"SPEAKER_0": "Alice"})
    assert named.speakers[0].name == "Alice"
    assert client.speakers.timeline(job.id).split()[7] == "Alice"
    assert client.speakers.timeline(job.id, format="vtt").startswith("WEBVTT")
    merged = client.jobs.wait(client.speakers.merge(job.id, [["SPEAKER_0", "SPEAKER_2"]]).id)
    assert merged.source_job == job.id
    assert len(client.speakers.get(merged.id).speakers) == 2
