import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.db import connection
from django.db.models.functions import Now
from django.db.utils import OperationalError
from django_q.models import OrmQ

import separation
from billing.ledger import hold_release
from billing.selectors import ledger_discrepancies, wallet_get
from jobs import runner
from jobs.cleaning import storage_clean
from jobs.engine import EngineLost
from jobs.heartbeat import Heartbeat, time_limit_s
from jobs.instance import FOLDER_VARIABLE, stop_request
from jobs.leases import LeaseLost, job_succeed
from jobs.models import Job, JobState
from jobs.runner import job_run
from jobs.scheduling import job_claim
from jobs.services import job_cancel
from jobs.storage import storage_save
from jobs.tasks import separation_run
from jobs.work import outputs
from jobs.work import separation as work_separation
from separation import errors as engine_errors
from tests.e2e.processes import ROOT
from tests.fakes.engine import separate_here
from tests.makers import make_asset, make_job, make_workspace, run_jobs

pytestmark = pytest.mark.django_db

Stored = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def _beat_in_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread would not see the rows of a test's open transaction; its beats have own tests."""
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)
    monkeypatch.setattr(work_separation, "engine_separate", separate_here)


@pytest.fixture(autouse=True)
def _no_pauses(settings: Any) -> None:
    settings.JOB_RETRY_PAUSE_SECONDS = 0


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder through which a supervisor speaks to this worker."""
    folder = tmp_path / "instance"
    folder.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return folder


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
    assert (call["turn"], call["urgent"]) == (str(job.workspace.uuid), True)
    outputs = list(job.stem_assets.order_by("pk"))
    assert [(o.stem, o.filename, o.n_samples, o.codec) for o in outputs] == [
        ("vocals", "song (vocals).wav", 22_050, "pcm_s16le"),
        ("drums", "song (drums).wav", 22_050, "pcm_s16le"),
    ]
    assert stored() == [
        *sorted(f"jobs/{job.uuid}/1/{stem}.wav" for stem in ("vocals", "drums")),
        f"uploads/{job.recording.uuid}",
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
    assert stored() == [f"uploads/{job.recording.uuid}"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (engine_errors.OutOfMemory("Not enough memory."), "out_of_memory"),
        (engine_errors.ModelUnavailable("The weights cannot be fetched."), "model_unavailable"),
        (MemoryError(), "out_of_memory"),
        (EngineLost(-9), "engine_lost"),
    ],
)
def test_a_passing_error_gets_three_attempts(
    job: Job, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
):
    fail_with(error, monkeypatch)
    assert run_jobs() == 3
    job.refresh_from_db()
    assert (job.state, job.attempt, job.losses, job.error_code) == ("failed", 3, 3, code)
    assert charged(job) == (0, 0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (engine_errors.DiskFull("No space."), "disk_full"),
        (engine_errors.MissingFile("There is no such file."), "storage"),
        (OSError("the storage is away"), "storage"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
    ],
)
def test_storage_and_disks_are_given_time(
    job: Job, monkeypatch: pytest.MonkeyPatch, settings: Any, error: Exception, code: str
):
    fail_with(error, monkeypatch)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.delays, job.losses, job.events.latest("pk").detail) == (
        ("queued", 1, 0, code)
    )
    settings.JOB_DELAYS_SECONDS = (0, 0)
    Job.objects.update(not_before=None)
    assert run_jobs() == 2
    job.refresh_from_db()
    assert (job.state, job.delays, job.losses, job.error_code) == ("failed", 2, 0, code)
    assert charged(job) == (0, 0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (engine_errors.ModelForbidden("The licence forbids it."), "model_unavailable"),
        (engine_errors.WeightsMismatch("Not what was pinned."), "weights_mismatch"),
        (engine_errors.UnknownStem("There is no such stem."), "unknown_stem"),
        (engine_errors.EmptyFile("No samples."), "empty_file"),
    ],
)
def test_what_would_fail_again_gets_one_attempt(
    job: Job, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
):
    fail_with(error, monkeypatch)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, job.losses, job.error_code) == ("failed", 1, 0, code)
    assert job.error_message == str(error)
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
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    fake_separation: list[Any],
    stored: Stored,
    settings: Any,
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

    monkeypatch.setattr(outputs, "storage_save", save_while_another_takes_over)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("running", 2)
    assert stored() == [f"uploads/{job.recording.uuid}"]
    assert charged(job) == (0, 1_250)


def test_what_a_lost_attempt_stored_after_the_end_is_swept_once_more(
    job: Job, monkeypatch: pytest.MonkeyPatch, fake_separation: list[Any], stored: Stored
):
    """Its process was stopped for so long that the job had ended, and was swept, when it went on;
    and storage does not answer when it tidies up."""
    real = storage_save

    def save_when_all_is_over(*, key: str, path: Path) -> None:
        if "1/vocals" in key:
            Job.objects.filter(pk=job.pk).update(
                state="cancelled", lease_until=None, finished_at=Now(), swept_at=Now()
            )
            hold_release(job_uuid=job.uuid)
        real(key=key, path=path)

    def refuse(**_: Any) -> None:
        raise OSError("the storage is away")

    monkeypatch.setattr(outputs, "storage_save", save_when_all_is_over)
    monkeypatch.setattr(runner, "storage_delete_tree", refuse)
    assert run_jobs() == 1
    assert len(stored()) == 3
    assert storage_clean() == 1
    assert stored() == [f"uploads/{job.recording.uuid}"]


@pytest.mark.django_db(transaction=True)
def test_who_lost_the_job_tidies_up_though_the_database_was_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: Stored
):
    """Which is when leases get lost; the connection of the worker's own is dead then."""
    workspace = make_workspace()
    job = make_job(workspace, make_asset(workspace, tmp_path))

    def separate(*, folder: Path, **options: Any) -> None:
        (folder / "vocals.wav").touch()
        storage_save(key=f"jobs/{job.uuid}/1/vocals.wav", path=folder / "vocals.wav")
        Job.objects.filter(pk=job.pk).update(attempt=2)
        assert connection.connection is not None
        connection.connection.close()
        raise LeaseLost

    monkeypatch.setattr(work_separation, "engine_separate", separate)
    monkeypatch.setattr("jobs.settling.time.sleep", lambda _: None)
    assert runner.run_next_job()
    assert stored() == [f"uploads/{job.recording.uuid}"]


def test_a_failed_wake_up_after_the_end_does_not_undo_it(
    job: Job, monkeypatch: pytest.MonkeyPatch, fake_separation: list[Any], stored: Stored
):
    """The answer to the commit got lost, in whatever way: the attempt has won all the same."""
    real = job_succeed

    def succeed_but_say_otherwise(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        raise OperationalError("the connection was lost during the commit")

    monkeypatch.setattr(runner, "job_succeed", succeed_but_say_otherwise)
    monkeypatch.setattr("jobs.settling.time.sleep", lambda _: None)
    monkeypatch.setattr("jobs.settling.connection.close", lambda: None)
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
    monkeypatch.setattr("jobs.settling.time.sleep", pauses.append)
    monkeypatch.setattr("jobs.settling.connection.close", lambda: None)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, charged(job)) == ("running", 1, (0, 1_250))
    assert pauses == [0.5, 2, 5, 10]


def test_a_cancel_that_comes_before_the_end_is_not_charged(
    job: Job, monkeypatch: pytest.MonkeyPatch, fake_separation: list[Any]
):
    def save_while_the_owner_cancels(*, key: str, path: Path) -> None:
        job_cancel(workspace=job.workspace, job_uuid=job.uuid)

    monkeypatch.setattr(outputs, "storage_save", save_while_the_owner_cancels)
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


@pytest.mark.django_db(transaction=True)
def test_a_task_drains_the_queue(alice: Any, tmp_path: Path, fake_separation: list[Any]):
    asset = make_asset(alice, tmp_path, seconds=0.1)
    for _ in range(3):
        make_job(alice, asset)
    separation_run()
    assert Job.objects.filter(state=JobState.SUCCEEDED).count() == 3


def test_a_worker_that_is_to_stop_claims_nothing_and_wakes_another(
    job: Job,
    fake_separation: list[Any],
    instance: Path,
    django_capture_on_commit_callbacks: Any,
):
    stop_request(instance)
    with django_capture_on_commit_callbacks(execute=True):
        separation_run()
    job.refresh_from_db()
    assert (job.state, job.attempt, fake_separation) == ("queued", 0, [])
    assert OrmQ.objects.filter(key="separation").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_to_stop_finishes_what_it_can_in_time(
    job: Job, fake_separation: Any, instance: Path, monkeypatch: Any, settings: Any
):
    settings.JOBS_AT_ONCE = 1
    next_one = make_job(job.workspace, job.recording)
    real = separation.separate

    def separate(*args: Any, **options: Any) -> Any:
        stop_request(instance)
        return real(*args, **options)

    monkeypatch.setattr(separation, "separate", separate)
    separation_run()
    job.refresh_from_db()
    next_one.refresh_from_db()
    assert (job.state, next_one.state, next_one.attempt) == ("succeeded", "queued", 0)


def test_a_worker_that_is_to_stop_hands_back_what_takes_longer(
    job: Job,
    fake_separation: list[Any],
    instance: Path,
    settings: Any,
):
    settings.JOB_STOP_GRACE_SECONDS = 0
    claimed = job_claim()
    assert claimed is not None
    stop_request(instance)
    with structlog.testing.capture_logs() as logs:
        job_run(claimed)
    job.refresh_from_db()
    assert (job.state, job.attempt, job.losses) == ("queued", 1, 0)
    assert charged(job) == (0, 1_250)
    assert [line["event"] for line in logs] == [
        "job_started",
        "job_goes_on_for_now",
        "job_handed_back",
    ]
    (instance / "stop").unlink()
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, job.losses, charged(job)) == ("succeeded", 2, 0, (1_250, 0))
    kinds = [event.kind for event in job.events.order_by("pk")]
    assert kinds == ["queued", "started", "handed_back", "started", "succeeded"]


def test_a_job_over_its_time_ends_and_is_not_tried_again(
    job: Job, fake_separation: list[Any], settings: Any, stored: Stored
):
    settings.JOB_TIME_LIMIT_BASE_SECONDS = 0
    settings.JOB_TIME_LIMIT_FACTOR = 0
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, job.losses, job.error_code) == ("failed", 1, 0, "time_limit")
    assert charged(job) == (0, 0)
    assert stored() == [f"uploads/{job.recording.uuid}"]


def test_the_time_limit_grows_with_the_recording(job: Job, settings: Any):
    settings.JOB_TIME_LIMIT_BASE_SECONDS = 600
    settings.JOB_TIME_LIMIT_FACTOR = 20
    assert time_limit_s(job) == 600 + 20 * 0.5


def test_a_worker_does_not_load_what_separates():
    """Its memory would be there twice, and a process with threads of PyTorch's cannot be forked."""
    program = """
import sys, django
django.setup()
import jobs.tasks, jobs.runner, jobs.engine
print(sorted({"torch", "demucs", "onnx"} & set(sys.modules)))
"""
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, check=True
    )
    assert done.stdout == b"[]\n"


def beat_on_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def report(self: Heartbeat, progress: float, *, step: str = "") -> None:
        self._progress = progress
        self._keep_lease()

    monkeypatch.setattr(Heartbeat, "report", report)
