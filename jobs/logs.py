"""What a line of the log says about the work it belongs to."""

from contextlib import AbstractContextManager

import structlog
from django.db import transaction

from jobs.models import Ingest, Job, JobState

log = structlog.get_logger(__name__)


def request_id() -> str:
    """Of the call that is being answered; empty where nobody calls."""
    # Callers may send their own, of any length.
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))[:64]


def job_context(job: Job) -> AbstractContextManager[None]:
    """What is logged within belongs to this attempt of a job."""
    return structlog.contextvars.bound_contextvars(
        job=str(job.uuid),
        attempt=job.attempt,
        workspace=str(job.workspace.uuid),
        request_id=job.request_id,
    )


def ingest_context(ingest: Ingest) -> AbstractContextManager[None]:
    """As for a job; never with its address, which may hold secrets."""
    return structlog.contextvars.bound_contextvars(
        ingest=str(ingest.uuid),
        attempt=ingest.attempt,
        workspace=str(ingest.workspace.uuid),
        request_id=ingest.request_id,
    )


def job_log_end(job: Job) -> None:
    """Once it is committed that a job has ended, one line with all that matters of it."""
    transaction.on_commit(lambda: _log_end(job.pk), robust=True)


def _log_end(pk: int) -> None:
    job = Job.objects.select_related("asset", "workspace").get(pk=pk)
    wait_s = run_s = speed = None
    if job.started_at:
        wait_s = round((job.started_at - job.queued_at).total_seconds(), 3)
    if job.claimed_at and job.finished_at:
        run_s = round((job.finished_at - job.claimed_at).total_seconds(), 3)
    if run_s and job.state == JobState.SUCCEEDED:
        speed = round(job.recording.duration_s / run_s, 2)
    log.info(
        "job_ended",
        job=str(job.uuid),
        attempt=job.attempt,
        workspace=str(job.workspace.uuid),
        # Of the order, not of the call that may have cancelled it.
        request_id=job.request_id,
        service=job.service,
        state=job.state,
        cause=job.error_code,
        losses=job.losses,
        model=job.model,
        wait_s=wait_s,
        run_s=run_s,
        audio_s=round(job.asset.duration_s, 3) if job.asset else None,
        # Seconds of audio for each second of the last attempt.
        speed=speed,
    )
