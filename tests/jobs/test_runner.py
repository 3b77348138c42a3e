from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db.utils import OperationalError
from django_q.models import OrmQ

import separation
from billing.selectors import ledger_discrepancies, wallet_get
from jobs import runner
from jobs.cleaning import storage_clean
from jobs.leases import CancelRequested, LeaseLost, job_beat, job_succeed
from jobs.models import Job, JobState
from jobs.runner import Heartbeat
from jobs.scheduling import job_claim
from jobs.services import job_cancel
from jobs.storage import storage_save
from jobs.tasks import separation_run
from separation import errors as engine_errors
from tests.makers import make_asset, make_job, run_jobs

pytestmark = pytest.mark.django_db

Stored = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def _beat_in_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread would not see the rows of a test's open transaction; its beats have own tests."""
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)


@pytest.fixture
def job(alice: Any, tmp_path: Path) -> Job:
    return make_job(alice, make_asset(alice, tmp_path, seconds=0.5), stems=("vocals", "drums"))


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def separate(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(separation, "separate", separate)


def charged(job: Job) -> tuple[int, int]:
    wallet = wallet_get(workspace=job.workspace)
    return 100_000 - wallet.posted_mcr, wallet.held_mcr


def test_it_works(job: Job, fake_separation: list[dict[str, Any]], stored: Stored):
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.charged_mcr, job.progress) == ("succeeded", 1_250, 1)
    assert charged(job) == (1_250, 0)
    (call,) = fake_separation
    assert (call["stems"], call["model"]) == (["vocals", "drums"], "htdemucs")
    outputs = list(job.stem_assets.order_by("pk"))
    assert [(o.stem, o.filename, o.n_samples, o.codec) for o in outputs] == [
        ("vocals", "song (vocals).wav", 22_050, "pcm_s16le"),
        ("drums", "song (drums).wav", 22_050, "pcm_s16le"),
    ]
    assert stored() == [
        *sorted(f"jobs/{job.uuid}/1/{stem}.wav" for stem in ("vocals", "drums")),
        f"uploads/{job.asset.uuid}",
    ]
    assert [event.kind for event in job.events.order_by("pk")] == ["queued", "started", "succeeded"]
    assert ledger_discrepancies() == []


def test_it_drains_the_queue(alice: Any, tmp_path: Path, fake_separation: list[Any]):
    asset = make_asset(alice, tmp_path, seconds=0.1)
    jobs = [make_job(alice, asset) for _ in range(3)]
    assert run_jobs() == 3
    assert Job.objects.filter(state=JobState.SUCCEEDED).count() == len(jobs)


def test_a_permanent_error_ends_the_job_at_once(
    job: Job, monkeypatch: pytest.MonkeyPatch, stored: Stored
):
    fail_with(engine_errors.BrokenMedia("Nothing in it can be decoded."), monkeypatch)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("failed", 1)
    assert (job.error_code, job.error_message) == ("broken_media", "Nothing in it can be decoded.")
    assert charged(job) == (0, 0)
    assert stored() == [f"uploads/{job.asset.uuid}"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (engine_errors.OutOfMemory("Not enough memory."), "out_of_memory"),
        (engine_errors.DiskFull("No space."), "disk_full"),
        (OSError("the storage is away"), "storage"),
    ],
)
def test_a_passing_error_gets_three_attempts(
    job: Job, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
):
    fail_with(error, monkeypatch)
    assert run_jobs() == 3
    job.refresh_from_db()
    assert (job.state, job.attempt, job.error_code) == ("failed", 3, code)
    assert charged(job) == (0, 0)


def test_an_unknown_error_tells_the_user_nothing_of_its_text(
    job: Job, monkeypatch: pytest.MonkeyPatch
):
    fail_with(RuntimeError("password=hunter2"), monkeypatch)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "internal")
    assert "hunter2" not in job.error_message
    assert charged(job) == (0, 0)


def test_files_of_a_failed_attempt_are_swept(
    job: Job, monkeypatch: pytest.MonkeyPatch, fake_separation: list[Any], stored: Stored
):
    real, calls = storage_save, []

    def save_second_fails_once(*, key: str, path: Path) -> None:
        calls.append(key)
        if len(calls) == 2:
            raise OSError("the storage is away")
        real(key=key, path=path)

    monkeypatch.setattr(runner, "storage_save", save_second_fails_once)
    assert run_jobs() == 2
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert f"jobs/{job.uuid}/1/vocals.wav" in stored()
    assert storage_clean() == 1
    assert [name.split("/")[2] for name in stored() if name.startswith("jobs")] == ["2", "2"]
    assert storage_clean() == 0
    assert charged(job) == (1_250, 0)


def test_a_cancel_stops_the_work_between_two_segments(job: Job, monkeypatch: pytest.MonkeyPatch):
    def separate(*args: Any, on_progress: Any, **options: Any) -> None:
        job_cancel(workspace=job.workspace, job_uuid=job.uuid)
        on_progress(step="separate", completed=1, total=2)
        raise AssertionError("went on after the cancel")

    monkeypatch.setattr(separation, "separate", separate)
    beat_on_report(monkeypatch)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("cancelled", "")
    assert charged(job) == (0, 0)


def test_a_worker_that_lost_its_job_leaves_nothing(
    job: Job, monkeypatch: pytest.MonkeyPatch, fake_separation: list[Any], stored: Stored
):
    real = storage_save

    def save_while_another_takes_over(*, key: str, path: Path) -> None:
        real(key=key, path=path)
        Job.objects.filter(pk=job.pk).update(attempt=2)

    monkeypatch.setattr(runner, "storage_save", save_while_another_takes_over)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("running", 2)
    assert stored() == [f"uploads/{job.asset.uuid}"]
    assert charged(job) == (0, 1_250)


def test_a_failed_wake_up_after_the_end_does_not_undo_it(
    job: Job, monkeypatch: pytest.MonkeyPatch, fake_separation: list[Any], stored: Stored
):
    """The answer to the commit got lost, in whatever way: the attempt has won all the same."""
    real = job_succeed

    def succeed_but_say_otherwise(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        raise OperationalError("the connection was lost during the commit")

    monkeypatch.setattr(runner, "job_succeed", succeed_but_say_otherwise)
    monkeypatch.setattr("jobs.runner.time.sleep", lambda _: None)
    monkeypatch.setattr("jobs.runner.connection.close", lambda: None)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, charged(job)) == ("succeeded", 1, (1_250, 0))
    storage_clean()
    assert f"jobs/{job.uuid}/1/vocals.wav" in stored()


def test_a_database_that_stays_away_leaves_the_job_to_the_reaper(
    job: Job, monkeypatch: pytest.MonkeyPatch, fake_separation: list[Any]
):
    pauses: list[float] = []

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("the server is restarting")

    monkeypatch.setattr(runner, "job_succeed", fail)
    monkeypatch.setattr("jobs.runner.time.sleep", pauses.append)
    monkeypatch.setattr("jobs.runner.connection.close", lambda: None)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, charged(job)) == ("running", 1, (0, 1_250))
    assert pauses == [0.5, 2, 5, 10]


def test_a_cancel_that_comes_before_the_end_is_not_charged(
    job: Job, monkeypatch: pytest.MonkeyPatch, fake_separation: list[Any]
):
    def save_while_the_owner_cancels(*, key: str, path: Path) -> None:
        job_cancel(workspace=job.workspace, job_uuid=job.uuid)

    monkeypatch.setattr(runner, "storage_save", save_while_the_owner_cancels)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, charged(job)) == ("cancelled", (0, 0))
    assert job.stem_assets.count() == 0


def test_a_cancel_during_a_failing_attempt_ends_the_job(job: Job, monkeypatch: pytest.MonkeyPatch):
    def separate(*args: Any, **options: Any) -> None:
        job_cancel(workspace=job.workspace, job_uuid=job.uuid)
        raise OSError("the storage is away")

    monkeypatch.setattr(separation, "separate", separate)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, charged(job)) == ("cancelled", 1, (0, 0))


def test_it_removes_what_a_killed_worker_left(job: Job, fake_separation: list[Any], settings: Any):
    leftover = settings.SCRATCH_DIR / f"{job.uuid}.0"
    leftover.mkdir(parents=True)
    (leftover / "vocals.wav").touch()
    assert run_jobs() == 1
    assert list(settings.SCRATCH_DIR.iterdir()) == []


def test_it_leaves_the_files_of_a_worker_beside_it(
    alice: Any, tmp_path: Path, fake_separation: list[Any], settings: Any
):
    asset = make_asset(alice, tmp_path, seconds=0.1)
    beside, mine = make_job(alice, asset), make_job(alice, asset)
    job_claim()
    folder = settings.SCRATCH_DIR / f"{beside.uuid}.1"
    folder.mkdir(parents=True)
    assert run_jobs() == 1
    mine.refresh_from_db()
    assert mine.state == "succeeded"
    assert list(settings.SCRATCH_DIR.iterdir()) == [folder]


def test_a_very_long_name_keeps_its_ending(alice: Any, tmp_path: Path, fake_separation: list[Any]):
    job = make_job(alice, make_asset(alice, tmp_path, name="x" * 240 + ".wav"))
    assert run_jobs() == 1
    assert job.stem_assets.get().filename == "x" * 180 + " (vocals).wav"


def test_a_task_runs_one_job_and_wakes_the_next(
    alice: Any,
    tmp_path: Path,
    fake_separation: list[Any],
    django_capture_on_commit_callbacks: Any,
):
    """So that a worker that is asked to stop does so after the job at hand."""
    asset = make_asset(alice, tmp_path, seconds=0.1)
    for _ in range(2):
        make_job(alice, asset)
    with django_capture_on_commit_callbacks(execute=True):
        separation_run()
    assert Job.objects.filter(state=JobState.SUCCEEDED).count() == 1
    assert OrmQ.objects.filter(key="separation").count() == 2


def beat_on_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def report(self: Heartbeat, progress: float) -> None:
        job_beat(self._job, progress=progress)

    monkeypatch.setattr(Heartbeat, "report", report)


class TestHeartbeat:
    @pytest.mark.parametrize("stop", [LeaseLost(), CancelRequested()])
    def test_what_the_beat_learns_stops_the_work(
        self, job: Job, stop: Exception, monkeypatch: pytest.MonkeyPatch, settings: Any
    ):
        def beat(*args: Any, **kwargs: Any) -> None:
            raise stop

        monkeypatch.undo()
        monkeypatch.setattr(runner, "job_beat", beat)
        settings.JOB_HEARTBEAT_SECONDS = 0
        claimed = job_claim()
        assert claimed is not None
        with Heartbeat(claimed) as heartbeat:
            heartbeat._thread.join()
            with pytest.raises(type(stop)):
                heartbeat.report(0.5)
