"""Running one job: from the claimed row to its stems in storage and its end in the database."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import structlog
from django.conf import settings
from django.db import close_old_connections, connection
from django.db.utils import Error as DatabaseError

import separation
from config.errors import AppError
from jobs.leases import (
    CancelRequested,
    LeaseLost,
    job_beat,
    job_fail,
    job_retry_or_fail,
    job_stop,
    job_succeed,
)
from jobs.models import Asset, AssetState, Job, JobState
from jobs.scheduling import job_claim
from jobs.scratch import scratch_folder
from jobs.separating import asset_info, stem_info, translated_errors
from jobs.storage import local_copy, sha256_of, storage_delete_tree, storage_save
from separation.errors import MissingFile, SeparationError

log = structlog.get_logger(__name__)

# A restart of PostgreSQL takes seconds; within these the heartbeat keeps the lease if it can.
_FINISH_PAUSES_S = (0.5, 2, 5, 10)


def run_next_job() -> bool:
    """Claim a job and run it; False when none waits."""
    job = job_claim()
    if job is None:
        return False
    with structlog.contextvars.bound_contextvars(job=str(job.uuid), attempt=job.attempt):
        job_run(job)
    return True


def job_run(job: Job) -> None:
    """Run a claimed job to its end. Whatever goes wrong ends in the row, never in the caller."""
    log.info("job_started", stems=job.stems, model=job.model, n_samples=job.asset.n_samples)
    try:
        with Heartbeat(job) as heartbeat:
            outputs = _separate(job, heartbeat.report)
            heartbeat.check()
            _succeed(job, outputs)
    except LeaseLost:
        _step_back(job)
    except DatabaseError:
        # Nothing can be written now. The lease will end, and another attempt will follow.
        log.exception("job_left_to_the_reaper")
    except Exception as error:
        _end_badly(job, error)
    else:
        log.info("job_succeeded")


def _succeed(job: Job, outputs: list[Asset]) -> None:
    """Publish finished work, also over a restart of the database in this very moment."""
    # The connection has been idle for as long as the work took, and may be dead.
    if not connection.in_atomic_block:
        close_old_connections()
    for pause_s in _FINISH_PAUSES_S:
        try:
            job_succeed(job, outputs=outputs)
        except DatabaseError:
            log.warning("job_finish_failed", exc_info=True)
            connection.close()
            time.sleep(pause_s)
        else:
            return
    job_succeed(job, outputs=outputs)


def _separate(job: Job, report: Callable[[float], None]) -> list[Asset]:
    """Make the stems and put them into storage under this attempt's own prefix."""
    asset = job.asset

    def on_progress(*, step: str, completed: int, total: int | None) -> None:
        report(min(1.0, completed / (total or asset.n_samples or 1)))

    with (
        scratch_folder(job) as folder,
        local_copy(key=asset.storage_key, folder=folder) as recording,
    ):
        with translated_errors():
            result = separation.separate(
                recording,
                folder,
                stems=job.stems,
                model=job.model,
                output_format=job.output_format,
                device=settings.SEPARATION_DEVICE,
                info=asset_info(asset),
                on_progress=on_progress,
            )
        return [_stem_store(job, stem=stem, path=path) for stem, path in result.stems.items()]


def _stem_store(job: Job, *, stem: str, path: Path) -> Asset:
    key = f"jobs/{job.uuid}/{job.attempt}/{path.name}"
    storage_save(key=key, path=path)
    return Asset(
        workspace=job.workspace,
        state=AssetState.READY,
        job=job,
        stem=stem,
        filename=f"{Path(job.asset.filename).stem[:180]} ({stem}){path.suffix}",
        storage_key=key,
        size_bytes=path.stat().st_size,
        sha256=sha256_of(path),
        **asdict(stem_info(job)),
    )


def _end_badly(job: Job, error: Exception) -> None:
    try:
        match error:
            case CancelRequested():
                job_stop(job)
                log.info("job_cancelled")
            case AppError():
                job_fail(job, code=error.code, message=error.text)
                log.info("job_failed", code=error.code)
            case OSError() | MissingFile():
                # Storage or the disk: another attempt may find it well again.
                job_retry_or_fail(job, code="storage", message="Files could not be stored.")
                log.error("job_attempt_failed", exc_info=error)
            case SeparationError(retryable=True):
                job_retry_or_fail(job, code=error.code, message=error.message)
                log.warning("job_attempt_failed", code=error.code)
            case SeparationError():
                job_fail(job, code=error.code, message=error.message)
                log.error("job_failed", code=error.code)
            case _:
                job_fail(job, code="internal", message="Something went wrong on our side.")
                log.error("job_failed", exc_info=error)
    except LeaseLost:
        _step_back(job)


def _step_back(job: Job) -> None:
    """The job went on without this attempt: leave nothing of it behind."""
    if Job.objects.filter(pk=job.pk, state=JobState.SUCCEEDED, attempt=job.attempt).exists():
        # It was this attempt that won: the answer to its commit was lost on the way.
        log.info("job_succeeded")
        return
    log.warning("job_lease_lost")
    storage_delete_tree(prefix=f"jobs/{job.uuid}/{job.attempt}")


class Heartbeat:
    """Beats for a job beside its work, and tells the work to stop when the job is no longer its.

    Beating needs a thread: a segment may take longer than a lease. The work itself is only ever
    interrupted in `report`, between two segments.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._progress = 0.0
        self._stop: LeaseLost | CancelRequested | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()

    def report(self, progress: float) -> None:
        """Note the progress (0..1); raises when the work has to stop."""
        self._progress = progress
        self.check()

    def check(self) -> None:
        if self._stop is not None:
            raise self._stop

    def _beat(self) -> None:
        try:
            while not self._ended.wait(settings.JOB_HEARTBEAT_SECONDS):
                try:
                    job_beat(self._job, progress=self._progress)
                except (LeaseLost, CancelRequested) as stop:
                    self._stop = stop
                    return
                except DatabaseError:
                    # The database may be back before the lease is over; if not, the reaper acts.
                    log.warning("heartbeat_failed", exc_info=True)
                    connection.close()
        finally:
            connection.close()
