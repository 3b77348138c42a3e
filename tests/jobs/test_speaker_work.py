"""Jobs that look for speakers, from the claim to the end; who speaks is made up, tracks are not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import soundfile
from django.db import IntegrityError, transaction

from billing.models import Hold, Transaction
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.cleaning import storage_clean
from jobs.engine import EngineLost
from jobs.heartbeat import Heartbeat
from jobs.leases import LeaseLost, job_succeed
from jobs.models import Asset, Job, JobTimeline
from jobs.scheduling import job_claim
from jobs.services import job_cancel, job_delete
from jobs.storage import storage_open, storage_save
from jobs.work import job_work, outputs
from jobs.work import speakers as work_speakers
from separation import errors as engine_errors
from separation.speakers import diarization
from tests.fakes.engine import speakers_here
from tests.makers import make_asset, make_grant, make_speaker_job, run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats")]

Stored = Callable[[], list[str]]
SECONDS = 2
PRICE_MCR = 55_000


@pytest.fixture(autouse=True)
def _no_pauses(settings: Any) -> None:
    settings.JOB_RETRY_PAUSE_SECONDS = 0


@pytest.fixture
def asset(alice: Any, tmp_path: Path) -> Asset:
    return make_asset(alice, tmp_path, name="meeting.wav", seconds=SECONDS)


@pytest.fixture
def job(alice: Any, asset: Asset) -> Job:
    return make_speaker_job(alice, asset)


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def diarize(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(diarization, "diarize", diarize)
    monkeypatch.setattr(work_speakers, "engine_speakers", speakers_here)


def charged(job: Job) -> tuple[int, int]:
    wallet = wallet_get(workspace=job.workspace)
    return 100_000 - wallet.posted_mcr, wallet.held_mcr


def test_it_works(job: Job, fake_diarization: list[Any], stored: Stored):
    assert charged(job) == (0, PRICE_MCR)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("succeeded", "")
    assert (job.charged_mcr, job.progress, job.step) == (PRICE_MCR, 1, "")
    assert charged(job) == (PRICE_MCR, 0)
    files = [(o.kind, o.stem, o.filename) for o in job.stem_assets.order_by("pk")]
    labels = ["SPEAKER_0", "SPEAKER_1", "SPEAKER_2"]
    assert files == [
        *[("track", label, f"meeting ({label}).wav") for label in labels],
        *[("clip", label, f"meeting ({label}, sample).wav") for label in labels],
    ]
    numbers = [f"jobs/{job.uuid}/1/speaker_{number}" for number in range(3)]
    assert stored() == sorted(
        [
            *[f"{name}.wav" for name in numbers],
            *[f"{name}_sample.wav" for name in numbers],
            f"uploads/{job.recording.uuid}",
        ]
    )
    timeline = JobTimeline.objects.get(job=job)
    assert timeline.turns == {
        "duration_s": 2.0,
        "turns": [
            {"start_s": start, "end_s": end, "speaker": speaker, "confidence": confidence}
            for start, end, speaker, confidence in [
                (0.0, 0.8, "SPEAKER_0", 0.9),
                (0.7, 1.2, "SPEAKER_1", 0.8),
                (1.2, 1.6, "SPEAKER_2", 0.7),
                (1.6, 1.8, "SPEAKER_1", 0.6),
            ]
        ],
    }
    rows = [(row["speaker"], row["turns"], row["talk_s"]) for row in timeline.statistics]
    assert rows == [("SPEAKER_0", 1, 0.8), ("SPEAKER_1", 2, 0.7), ("SPEAKER_2", 1, 0.4)]
    assert timeline.overlaps == [
        {"start_s": 0.7, "end_s": 0.8, "speakers": ["SPEAKER_0", "SPEAKER_1"]}
    ]
    assert [event.kind for event in job.events.order_by("pk")] == ["queued", "started", "succeeded"]
    assert ledger_discrepancies() == []


def test_rows_tell_what_the_files_hold(job: Job, fake_diarization: list[Any]):
    run_jobs()
    for output in job.stem_assets.all():
        with storage_open(key=output.storage_key) as handle:
            info = soundfile.info(handle)
        assert (output.n_samples, output.sample_rate) == (info.frames, info.samplerate)
        assert (output.channels, output.codec) == (info.channels, "pcm_s16le")
    tracks = job.stem_assets.filter(kind="track")
    assert set(tracks.values_list("n_samples", flat=True)) == {job.recording.n_samples}


def test_closed_pauses_make_shorter_tracks(alice: Any, asset: Asset, fake_diarization: list[Any]):
    job = make_speaker_job(alice, asset, pauses="close")
    run_jobs()
    tracks = list(job.stem_assets.filter(kind="track").order_by("stem"))
    for output in tracks:
        with storage_open(key=output.storage_key) as handle:
            assert output.n_samples == soundfile.info(handle).frames
        assert output.n_samples < asset.n_samples


def test_options_reach_the_library(alice: Any, asset: Asset, monkeypatch: pytest.MonkeyPatch):
    calls: list[dict[str, Any]] = []

    def engine(**call: Any) -> None:
        calls.append(call)
        raise engine_errors.NoSpeech("Nobody speaks.")

    monkeypatch.setattr(work_speakers, "engine_speakers", engine)
    make_speaker_job(
        alice,
        asset,
        min_speakers=2,
        max_speakers=4,
        pauses="close",
        loudness=-16.0,
        overlap="mute",
        clips=False,
    )
    run_jobs()
    (call,) = calls
    expected = {
        "count": {"exact": None, "minimum": 2, "maximum": 4},
        "timeline": None,
        "output_format": "wav",
        "pauses": "close",
        "loudness": -16.0,
        "denoise": False,
        "overlap": "mute",
        "clips": False,
        "model": "pyannote-wespeaker",
        "device": "cpu",
    }
    assert {name: call[name] for name in expected} == expected


def test_a_recording_in_which_nobody_speaks_costs_nothing(
    job: Job, monkeypatch: pytest.MonkeyPatch, stored: Stored
):
    fail_with(engine_errors.NoSpeech("Nobody speaks in this recording."), monkeypatch)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, job.losses) == ("failed", 1, 0)
    assert (job.error_code, job.error_message) == ("no_speech", "Nobody speaks in this recording.")
    assert charged(job) == (0, 0)
    assert Hold.objects.get(job_uuid=job.uuid).state == "released"
    assert not Transaction.objects.filter(kind="capture").exists()
    assert not JobTimeline.objects.exists()
    assert stored() == [f"uploads/{job.recording.uuid}"]
    assert ledger_discrepancies() == []


def test_a_lost_attempt_begins_anew(
    job: Job, monkeypatch: pytest.MonkeyPatch, fake_diarization: list[Any], settings: Any
):
    # Long enough for parts, if there were any.
    settings.JOB_PARTS_FROM_SECONDS = 0
    lost = [EngineLost(-9)]

    def engine(**call: Any) -> Any:
        if lost:
            raise lost.pop()
        return speakers_here(**call)

    monkeypatch.setattr(work_speakers, "engine_speakers", engine)
    assert run_jobs() == 2
    job.refresh_from_db()
    assert (job.state, job.attempt, job.losses) == ("succeeded", 2, 1)
    assert job.parts.count() == 0
    assert charged(job) == (PRICE_MCR, 0)


def test_an_attempt_that_lost_its_lease_changes_nothing(
    job: Job, fake_diarization: list[Any], stored: Stored
):
    claimed = job_claim()
    assert claimed is not None
    with Heartbeat(claimed) as heartbeat:
        made = job_work(claimed, heartbeat)
    Job.objects.filter(pk=job.pk).update(attempt=2)
    with pytest.raises(LeaseLost), transaction.atomic():
        job_succeed(claimed, outputs=made.outputs, timeline=made.timeline)
    assert not JobTimeline.objects.exists()
    assert job.stem_assets.count() == 0
    assert charged(job) == (0, PRICE_MCR)


def test_a_cancel_before_the_end_leaves_no_timeline(
    job: Job, fake_diarization: list[Any], monkeypatch: pytest.MonkeyPatch
):
    def save_while_the_owner_cancels(*, key: str, path: Path) -> None:
        job_cancel(workspace=job.workspace, job_uuid=job.uuid)

    monkeypatch.setattr(outputs, "storage_save", save_while_the_owner_cancels)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, charged(job)) == ("cancelled", (0, 0))
    assert not JobTimeline.objects.exists()


def test_files_that_cannot_be_stored_are_made_anew(
    job: Job, fake_diarization: list[Any], monkeypatch: pytest.MonkeyPatch, settings: Any
):
    settings.JOB_DELAYS_SECONDS = (0,)
    real, calls = storage_save, []

    def save_second_fails_once(*, key: str, path: Path) -> None:
        calls.append(key)
        if len(calls) == 2:
            raise OSError("the storage is away")
        real(key=key, path=path)

    monkeypatch.setattr(outputs, "storage_save", save_second_fails_once)
    assert run_jobs() == 2
    job.refresh_from_db()
    assert (job.state, job.attempt, job.delays) == ("succeeded", 2, 1)
    assert {o.storage_key.split("/")[2] for o in job.stem_assets.all()} == {"2"}


def test_deleting_the_job_deletes_who_spoke(job: Job, fake_diarization: list[Any], stored: Stored):
    run_jobs()
    job_delete(workspace=job.workspace, job_uuid=job.uuid)
    assert not JobTimeline.objects.exists()
    storage_clean()
    assert stored() == [f"uploads/{job.recording.uuid}"]


def test_progress_adds_up_over_the_steps_and_never_goes_back(
    job: Job, fake_diarization: list[Any], monkeypatch: pytest.MonkeyPatch
):
    told: list[tuple[str, float]] = []
    monkeypatch.setattr(
        Heartbeat, "report", lambda self, progress, *, step="": told.append((step, progress))
    )
    run_jobs()
    steps = list(dict.fromkeys(step for step, _ in told))
    assert steps == ["load", "listen", "cluster", "tracks"]
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    after = dict(told)
    assert after["cluster"] == pytest.approx(70 / 85)
    assert after["tracks"] == 1


def test_a_step_shows_while_it_lasts_and_not_afterwards(job: Job, monkeypatch: pytest.MonkeyPatch):
    seen: list[str] = []

    def report(self: Heartbeat, progress: float, *, step: str = "") -> None:
        self._progress, self._step = progress, step
        self._beaten_at = float("-inf")
        self._keep_lease()
        seen.append(Job.objects.get().step)

    def engine(*, on_progress: Any, **_: Any) -> None:
        on_progress(step="listen", completed=1, total=4)
        on_progress(step="cluster", completed=0, total=None)
        raise EngineLost(-9)

    monkeypatch.setattr(Heartbeat, "report", report)
    monkeypatch.setattr(work_speakers, "engine_speakers", engine)
    run_jobs()
    job.refresh_from_db()
    assert seen == ["listen", "cluster"] * 3
    assert (job.state, job.step) == ("failed", "")


def test_two_speakers_of_one_name_cannot_be_stored_twice(job: Job, fake_diarization: list[Any]):
    """A track and a clip of a speaker are two files; two tracks of one are a mistake."""
    run_jobs()
    output = job.stem_assets.filter(kind="track").first()
    assert output is not None
    output.pk, output.uuid, output.storage_key = None, uuid4(), "another"
    with pytest.raises(IntegrityError, match="asset_output_unique"), transaction.atomic():
        output.save(force_insert=True)


@pytest.mark.parametrize(
    ("n_samples", "sample_rate", "price_mcr"),
    [
        (0, 16_000, 0),
        (1, 44_100, 1),
        (44_099, 44_100, 27_500),
        (44_101, 44_100, 27_501),
        (88_199, 44_100, 55_000),
        (132_301, 44_100, 82_501),
        (7_777_777, 96_000, 2_228_010),
        (4_800_000, 16_000, 8_250_000),
        (39_690_000, 44_100, 24_750_000),
        (86_400_000, 48_000, 49_500_000),
        (172_800_000, 48_000, 99_000_000),
    ],
)
def test_what_is_held_is_what_is_charged(
    alice: Any, asset: Asset, n_samples: int, sample_rate: int, price_mcr: int
):
    make_grant(alice, 99_000_000)
    Asset.objects.filter(pk=asset.pk).update(n_samples=n_samples, sample_rate=sample_rate)
    job = make_speaker_job(alice, asset)
    assert job.price_mcr == price_mcr
    assert wallet_get(workspace=alice).held_mcr == price_mcr
    claimed = job_claim()
    assert claimed is not None
    job_succeed(claimed, outputs=[], timeline={"turns": {}, "statistics": [], "overlaps": []})
    wallet = wallet_get(workspace=alice)
    assert (wallet.posted_mcr, wallet.held_mcr) == (99_100_000 - price_mcr, 0)
    assert ledger_discrepancies() == []
