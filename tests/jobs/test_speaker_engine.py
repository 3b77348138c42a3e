"""Jobs that look for speakers with the real models, in the real process."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from django.test import Client

from accounts.models import Workspace
from billing.models import Hold
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.engine import EngineProcess
from jobs.models import Job, JobTimeline
from jobs.services import asset_create
from separation import cli
from separation.speakers.formats import FORMATS
from tests.makers import make_asset, make_grant, make_key, make_speaker_job, run_jobs

TALK = Path(__file__).resolve().parent.parent / "separation" / "speech" / "three.flac"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats")]


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    process = EngineProcess()
    monkeypatch.setattr("jobs.engine._resident", process)
    yield
    process.close()


def test_in_a_tone_nobody_speaks_and_nothing_is_charged(alice: Any, tmp_path: Path):
    job = make_speaker_job(alice, make_asset(alice, tmp_path, seconds=2))
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.error_code, job.attempt) == ("failed", "no_speech", 1)
    assert job.stem_assets.count() == 0
    wallet = wallet_get(workspace=alice)
    assert (wallet.posted_mcr, wallet.held_mcr) == (100_000, 0)
    assert Hold.objects.get().state == "released"
    assert ledger_discrepancies() == []


def ordered(workspace: Workspace, path: Path, **options: Any) -> Job:
    """A job for a recording of this name, done; the workspace has 1000 credits then."""
    make_grant(workspace, 900_000)
    asset = asset_create(workspace=workspace, filename=path.name, path=path)
    job = make_speaker_job(workspace, asset, **options)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.error_code, job.attempt) == ("succeeded", "", 1)
    return job


def copied(folder: Path, *, seconds: float | None = None) -> Path:
    """The talk, or its beginning; storage takes the file away."""
    samples, rate = soundfile.read(TALK, dtype="int16")
    path = folder / TALK.name
    soundfile.write(path, samples if seconds is None else samples[: round(seconds * rate)], rate)
    return path


def downloaded(client: Client, url: str) -> bytes:
    response: Any = client.get(url)
    assert response.status_code == 200
    return b"".join(response.streaming_content) if response.streaming else response.content


def test_a_job_finds_and_makes_what_the_command_line_does(
    alice: Any, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert cli.main(["speakers", str(TALK), "-o", str(out), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out.splitlines()[-1])
    job = ordered(alice, copied(tmp_path))

    timeline = JobTimeline.objects.get(job=job)
    assert timeline.turns["turns"] == expected["turns"]
    assert len(timeline.statistics) == 3
    # 490,185 samples at 16 kHz, 27,500 milli-credits a second, rounded up once.
    price_mcr = -(-490_185 * 27_500 // 16_000)
    assert (job.price_mcr, job.charged_mcr, job.model) == (842_506, price_mcr, expected["model"])
    wallet = wallet_get(workspace=alice)
    assert (wallet.posted_mcr, wallet.held_mcr) == (1_000_000 - price_mcr, 0)
    assert ledger_discrepancies() == []

    answer = client.get(f"/v1/jobs/{job.uuid}/speakers", headers={"X-API-Key": make_key(alice)})
    body = answer.json()
    assert [speaker["speaker"] for speaker in body["speakers"]] == list(expected["tracks"])
    for speaker in body["speakers"]:
        label = speaker["speaker"]
        for kind, paths in (("track", expected["tracks"]), ("clip", expected["clips"])):
            sound = downloaded(client, speaker[kind]["download_url"])
            assert sound == Path(paths[label]).read_bytes()
        track = soundfile.info(io.BytesIO(downloaded(client, speaker["track"]["download_url"])))
        assert (track.frames, track.samplerate, track.channels) == (490_185, 16_000, 1)
    assert set(body["timelines"]) == set(FORMATS) == set(expected["files"])
    for name, url in body["timelines"].items():
        assert downloaded(client, url) == Path(expected["files"][name]).read_bytes()


def test_options_reach_the_engine(alice: Any, tmp_path: Path):
    options = {"num_speakers": 2, "pauses": "close", "denoise": True, "loudness": -16.0}
    job = ordered(alice, copied(tmp_path, seconds=8), **options)
    tracks = job.stem_assets.filter(kind="track").order_by("stem")
    assert [track.stem for track in tracks] == ["SPEAKER_0", "SPEAKER_1"]
    assert all(track.n_samples < 8 * 16_000 for track in tracks)
    assert job.charged_mcr == 8 * 27_500
    for row in JobTimeline.objects.get(job=job).statistics:
        assert row["gain_db"] > 3
