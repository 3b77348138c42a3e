"""Running one job: from the claimed row to its files in storage and its end in the database.

What is done in between is the service's own: `jobs.work`.
"""

import errno

import structlog
from django.conf import settings
from django.db.utils import Error as DatabaseError

from jobs.engine import EngineLost
from jobs.heartbeat import Heartbeat, StopRequested, TimeLimitReached
from jobs.leases import (
    CancelRequested,
    LeaseLost,
    job_delay_or_fail,
    job_fail,
    job_hand_back,
    job_retry_or_fail,
    job_stop,
    job_succeed,
)
from jobs.logs import job_context
from jobs.models import Job, JobState
from jobs.queue import wake_cleaning
from jobs.scheduling import job_claim
from jobs.separating import code_and_text
from jobs.settling import settle
from jobs.storage import storage_delete_tree
from jobs.work import job_work
from separation.errors import DiskFull, MissingFile, OutOfMemory, SeparationError

log = structlog.get_logger(__name__)


def run_next_job() -> bool:
    """Claim a job and run it; False when none waits."""
    job = job_claim()
    if job is None:
        return False
    with job_context(job):
        job_run(job)
    return True


def job_run(job: Job) -> None:
    """Run a claimed job to its end. Whatever goes wrong ends in the row, never in the caller."""
    log.info(
        "job_started",
        service=job.service,
        stems=job.stems,
        model=job.model,
        n_samples=job.n_samples,
    )
    try:
        try:
            _attempt(job)
        except LeaseLost:
            settle(lambda: _step_back(job))
    except DatabaseError:
        # Nothing can be written now. The lease will end, and another attempt will follow.
        log.exception("job_left_to_the_reaper")


def _attempt(job: Job) -> None:
    try:
        with Heartbeat(job) as heartbeat:
            made = job_work(job, heartbeat)
            settle(lambda: job_succeed(job, **vars(made)))
    except (LeaseLost, DatabaseError):
        raise
    except Exception as error:
        _end_badly(job, error)
    else:
        log.info("job_succeeded")


def _end_badly(job: Job, error: Exception) -> None:
    match error:
        case CancelRequested():
            settle(lambda: job_stop(job))
            log.info("job_cancelled")
        case StopRequested():
            settle(lambda: job_hand_back(job))
            log.info("job_handed_back")
        case TimeLimitReached():
            # Another attempt would take as long.
            _fail(job, "time_limit", "This took longer than a job may take.")
        case EngineLost():
            log.error("engine_lost", status=error.status)
            _retry(job, "engine_lost", "The process that worked on this was lost.", pause_s=0)
        case DiskFull() | OSError(errno=errno.ENOSPC | errno.EDQUOT):
            _delay(job, "disk_full", "There was no space to work on this.")
        case OSError() | MissingFile():
            # Storage or the disk: another attempt may find it well again.
            log.error("job_storage_failed", exc_info=error)
            _delay(job, "storage", "Files could not be stored.")
        case MemoryError():
            _retry(job, OutOfMemory.code, "There was not enough memory.")
        case SeparationError(retryable=True):
            _retry(job, error.code, error.message)
        case SeparationError():
            _fail(job, *code_and_text(error))
        case _:
            log.error("job_broke", exc_info=error)
            _fail(job, "internal", "Something went wrong on our side.")


def _fail(job: Job, code: str, message: str) -> None:
    settle(lambda: job_fail(job, code=code, message=message))
    log.warning("job_failed", code=code)


def _delay(job: Job, code: str, message: str) -> None:
    """For what is no fault of the job's or of the worker's."""
    settle(lambda: job_delay_or_fail(job, code=code, message=message))
    log.warning("job_attempt_failed", code=code)


def _retry(job: Job, code: str, message: str, *, pause_s: float | None = None) -> None:
    """For what may be well again in a while, but not at once."""
    pause_s = settings.JOB_RETRY_PAUSE_SECONDS if pause_s is None else pause_s
    settle(lambda: job_retry_or_fail(job, code=code, message=message, pause_s=pause_s))
    log.warning("job_attempt_failed", code=code)


def _step_back(job: Job) -> None:
    """The job went on without this attempt: leave nothing of it behind."""
    if Job.objects.filter(pk=job.pk, state=JobState.SUCCEEDED, attempt=job.attempt).exists():
        # It was this attempt that won: the answer to its commit was lost on the way.
        log.info("job_succeeded")
        return
    log.warning("job_lease_lost")
    try:
        storage_delete_tree(prefix=f"jobs/{job.uuid}/{job.attempt}")
    except OSError:
        log.warning("job_files_left", exc_info=True)
    # Parts stay for the attempt that goes on. If none will, all is to be swept once more: this
    # attempt may have stored something since.
    if Job.objects.filter(pk=job.pk, finished_at__isnull=False).update(swept_at=None):
        wake_cleaning()
