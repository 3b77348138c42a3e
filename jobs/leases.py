"""How a job changes hands: claimed, kept alive, finished, or taken back.

Each step is one guarded UPDATE. A worker names the attempt that it was given; once the job has
been taken from it, none of its writes finds a row. All times are the database's.
"""

import os
import socket
from collections.abc import Sequence
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce, Greatest, Now

from billing.ledger import hold_capture, hold_release
from jobs.models import Asset, Job, JobEvent, JobState
from jobs.queue import wake_cleaning, wake_separation

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """The job is no longer this worker's: it was given to another, or it has ended."""


class CancelRequested(Exception):
    """The caller wants the job to stop."""


def job_claim() -> Job | None:
    """Take the job that waits longest, if there is one."""
    with transaction.atomic():
        job = (
            Job.objects.select_for_update(skip_locked=True)
            .filter(state=JobState.QUEUED)
            .order_by("queued_at", "pk")
            .first()
        )
        if job is None:
            return None
        Job.objects.filter(pk=job.pk, state=JobState.QUEUED).update(
            state=JobState.RUNNING,
            attempt=F("attempt") + 1,
            progress=0,
            lease_until=_lease_end(),
            worker=f"{socket.gethostname()}:{os.getpid()}"[:100],
            started_at=Coalesce("started_at", Now()),
        )
        job = Job.objects.select_related("asset", "workspace").get(pk=job.pk)
        _event(job, "started")
    return job


def job_beat(job: Job, *, progress: float) -> None:
    """Keep the lease and show how far the work has come. Progress never goes back."""
    mine = _mine(job)
    if not mine.update(lease_until=_lease_end(), progress=Greatest(F("progress"), progress)):
        raise LeaseLost
    if mine.filter(cancel_requested_at__isnull=False).exists():
        raise CancelRequested


@transaction.atomic
def job_succeed(job: Job, *, outputs: Sequence[Asset]) -> None:
    """End the job well: its stems appear, its credits are charged, in one transaction.

    A cancel that came before is honoured: raises CancelRequested and changes nothing.
    """
    mine = _mine(job).select_for_update().values_list("cancel_requested_at", flat=True)
    if any(mine):
        raise CancelRequested
    _end(job, JobState.SUCCEEDED, progress=1, charged_mcr=job.price_mcr)
    Asset.objects.bulk_create(outputs)
    hold_capture(job_uuid=job.uuid, amount_mcr=job.price_mcr)


@transaction.atomic
def job_fail(job: Job, *, code: str, message: str) -> None:
    _end(job, JobState.FAILED, error_code=code, error_message=message[:500], detail=code)
    hold_release(job_uuid=job.uuid)


@transaction.atomic
def job_stop(job: Job) -> None:
    """End the job because its owner asked for it."""
    _end(job, JobState.CANCELLED)
    hold_release(job_uuid=job.uuid)


def job_retry_or_fail(job: Job, *, code: str, message: str) -> None:
    """Give the job back for another attempt, or end it when there were enough."""
    with transaction.atomic():
        if _mine(job).select_for_update().exclude(cancel_requested_at=None).exists():
            job_stop(job)
        elif job.attempt >= settings.JOB_MAX_ATTEMPTS:
            job_fail(job, code=code, message=message)
        # It keeps its place in the queue: it has waited already.
        elif _mine(job).update(state=JobState.QUEUED, lease_until=None, worker="", progress=0):
            _event(job, "requeued", code)
            wake_separation()
        else:
            raise LeaseLost


def jobs_reap() -> int:
    """Take back the jobs whose workers fell silent; returns how many."""
    reaped = 0
    for job in Job.objects.filter(state=JobState.RUNNING, lease_until__lt=Now()):
        try:
            with transaction.atomic():
                # Between the look and this lock the worker may have beaten: only a lease that is
                # over may be broken.
                if not _mine(job).filter(lease_until__lt=Now()).select_for_update().exists():
                    continue
                job_retry_or_fail(
                    job, code="worker_lost", message="The machine that worked on this was lost."
                )
        except Exception:
            # One job that cannot be taken back must not keep the others from it.
            log.exception("job_reap_failed", job=str(job.uuid), attempt=job.attempt)
            continue
        log.warning("job_reaped", job=str(job.uuid), attempt=job.attempt, worker=job.worker)
        reaped += 1
    return reaped


def has_waiting_jobs() -> bool:
    """Whether jobs wait although nobody may have been told."""
    patience = timedelta(seconds=5)
    return Job.objects.filter(state=JobState.QUEUED, queued_at__lt=Now() - patience).exists()


def _lease_end() -> CombinedExpression:
    return Now() + timedelta(seconds=settings.JOB_LEASE_SECONDS)


def _mine(job: Job) -> QuerySet[Job]:
    return Job.objects.filter(pk=job.pk, state=JobState.RUNNING, attempt=job.attempt)


def _end(job: Job, state: JobState, *, detail: str = "", **values: object) -> None:
    if not _mine(job).update(state=state, lease_until=None, finished_at=Now(), **values):
        raise LeaseLost
    _event(job, state.value, detail)
    wake_cleaning()


def _event(job: Job, kind: str, detail: str = "") -> None:
    JobEvent.objects.create(job=job, kind=kind, attempt=job.attempt, detail=detail)
