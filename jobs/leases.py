"""How a job changes hands after its claim (jobs/scheduling.py): kept alive, finished, taken back.

Each step is one guarded UPDATE. A worker names the attempt that it was given; once the job has
been taken from it, none of its writes finds a row. All times are the database's.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest, Now

from billing.ledger import hold_capture, hold_release
from jobs.deletions import stem_expires_at
from jobs.listening import listenings_prepare
from jobs.logs import job_log_end
from jobs.models import Asset, Job, JobEvent, JobPart, JobState, JobTimeline
from jobs.naming import outputs_retitle
from jobs.outbox import job_ended
from jobs.queue import wake_cleaning, wake_separation
from jobs.scheduling import LeaseLost as LeaseLost
from jobs.scheduling import lease_end

log = structlog.get_logger(__name__)

# Many workers may be lost at the same moment, and the janitor has other duties in each round.
_REAP_AT_MOST_S = 2.0


class CancelRequested(Exception):
    """The caller wants the job to stop."""


@transaction.atomic
def job_beat(job: Job, *, progress: float, step: str = "") -> None:
    """Keep the lease and show how far the work has come. Progress never goes back."""
    with connection.cursor() as cursor:
        # A beat that a crash of the database forgets is made up for by the next.
        cursor.execute("SET LOCAL synchronous_commit = off")
    mine = _mine(job)
    # One statement: it finds no row when the job is to stop.
    if not mine.filter(cancel_requested_at=None).update(
        lease_until=lease_end(), progress=Greatest(F("progress"), progress), step=step
    ):
        raise CancelRequested if mine.exists() else LeaseLost


def job_look(job: Job) -> None:
    """Learn what a beat would, without a write."""
    row = _mine(job).values_list("cancel_requested_at").first()
    if row is None:
        raise LeaseLost
    if row[0] is not None:
        raise CancelRequested


@transaction.atomic
def job_part_add(job: Job, *, number: int, n_samples: int, keys: Mapping[str, str]) -> None:
    """Note a stretch whose stems are in storage, for an attempt that may have to go on there."""
    if not _mine(job).select_for_update().exists():
        raise LeaseLost
    JobPart.objects.update_or_create(
        job=job, number=number, defaults={"n_samples": n_samples, "keys": dict(keys)}
    )


@transaction.atomic
def job_succeed(
    job: Job,
    *,
    outputs: Sequence[Asset],
    timeline: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
) -> None:
    """End the job well: what it made appears, its credits are charged, in one transaction.

    `timeline` holds the fields of its JobTimeline, where there is one. A cancel that came before is
    honoured: raises CancelRequested and changes nothing.
    """
    mine = _mine(job).select_for_update().values_list("cancel_requested_at", "name").first()
    if mine is None:
        raise LeaseLost
    cancel_requested_at, name = mine
    if cancel_requested_at is not None:
        raise CancelRequested
    if name != job.name:
        # Somebody renamed it while it ran.
        outputs_retitle(job, outputs, name=name)
    _end(job, JobState.SUCCEEDED, progress=1, charged_mcr=job.price_mcr, result=dict(result or {}))
    Asset.objects.bulk_create(outputs)
    if timeline is not None:
        # There is one already where turns were merged, with the names that were given before.
        JobTimeline.objects.update_or_create(job=job, defaults=timeline)
    expires_at = stem_expires_at(workspace=job.workspace)
    Asset.objects.filter(job=job).update(expires_at=expires_at)
    if job.api_key_id is None:
        # Somebody ordered it on our pages, and will listen there.
        listenings_prepare(job, outputs)
    hold_capture(job_uuid=job.uuid, amount_mcr=job.price_mcr)
    job_ended(job)


@transaction.atomic
def job_fail(job: Job, *, code: str, message: str) -> None:
    _end(job, JobState.FAILED, error_code=code, error_message=message[:500], detail=code)
    hold_release(job_uuid=job.uuid)
    job_ended(job)


@transaction.atomic
def job_stop(job: Job) -> None:
    """End the job because its owner asked for it."""
    _end(job, JobState.CANCELLED)
    hold_release(job_uuid=job.uuid)
    job_ended(job)


def job_retry_or_fail(job: Job, *, code: str, message: str, pause_s: float = 0) -> None:
    """Count the attempt as lost; give the job back for another, or end it when there were enough.

    `pause_s` keeps others from it for a while, three times as long after each loss.
    """
    with transaction.atomic():
        mine = _mine(job)
        row = mine.select_for_update().values_list("cancel_requested_at", "losses").first()
        if row is None:
            raise LeaseLost
        cancel_requested_at, losses = row
        mine.update(losses=losses + 1)
        if cancel_requested_at is not None:
            job_stop(job)
        elif losses + 1 >= settings.JOB_MAX_ATTEMPTS:
            job_fail(job, code=code, message=message)
        else:
            _requeue(job, "requeued", code, pause=timedelta(seconds=pause_s * 3**losses))


def job_delay_or_fail(job: Job, *, code: str, message: str) -> None:
    """Have the job wait for storage or a disk to be well again; end it when it waited for long."""
    with transaction.atomic():
        mine = _mine(job)
        row = mine.select_for_update().values_list("cancel_requested_at", "delays").first()
        if row is None:
            raise LeaseLost
        cancel_requested_at, delays = row
        if cancel_requested_at is not None:
            job_stop(job)
        elif delays >= len(settings.JOB_DELAYS_SECONDS):
            job_fail(job, code=code, message=message)
        else:
            mine.update(delays=delays + 1)
            pause = timedelta(seconds=settings.JOB_DELAYS_SECONDS[delays])
            _requeue(job, "requeued", code, pause=pause)


def job_hand_back(job: Job) -> None:
    """Give up a job because this worker has to stop; that is no fault of the job's."""
    with transaction.atomic():
        if _mine(job).select_for_update().exclude(cancel_requested_at=None).exists():
            job_stop(job)
        else:
            _requeue(job, "handed_back")


def jobs_reap() -> int:
    """Take back the jobs whose workers fell silent, for a while; returns how many."""
    reaped = 0
    until = time.monotonic() + _REAP_AT_MOST_S
    # At random: one that cannot be taken back is not the first in every round.
    for job in Job.objects.filter(state=JobState.RUNNING, lease_until__lt=Now()).order_by("?"):
        if time.monotonic() > until:
            break
        try:
            with transaction.atomic():
                # Between the look and this lock the worker may have beaten: only a lease that is
                # over may be broken. A row that somebody else holds is looked at next time: a
                # stopped process must not keep the other jobs waiting.
                silent = _mine(job).filter(lease_until__lt=Now())
                if not silent.select_for_update(skip_locked=True).exists():
                    continue
                job_retry_or_fail(
                    job, code="worker_lost", message="The machine that worked on this was lost."
                )
        except Exception:
            # One job that cannot be taken back must not keep the others from it.
            log.exception("job_reap_failed", job=str(job.uuid), attempt=job.attempt)
            continue
        log.warning(
            "job_reaped",
            job=str(job.uuid),
            attempt=job.attempt,
            request_id=job.request_id,
            worker=job.worker,
        )
        reaped += 1
    return reaped


def _mine(job: Job) -> QuerySet[Job]:
    return Job.objects.filter(pk=job.pk, state=JobState.RUNNING, attempt=job.attempt)


def _requeue(job: Job, kind: str, detail: str = "", pause: timedelta | None = None) -> None:
    # It keeps its place in the queue: it has waited already.
    values = {
        "state": JobState.QUEUED,
        "lease_until": None,
        "worker": "",
        "progress": 0,
        "step": "",
    }
    if not _mine(job).update(**values, not_before=Now() + pause if pause else None):
        raise LeaseLost
    _event(job, kind, detail)
    wake_separation()


def _end(job: Job, state: JobState, *, detail: str = "", **values: object) -> None:
    values |= {"state": state, "lease_until": None, "step": ""}
    if not _mine(job).update(finished_at=Now(), **values):
        raise LeaseLost
    _event(job, state.value, detail)
    job_log_end(job)
    wake_cleaning()


def _event(job: Job, kind: str, detail: str = "") -> None:
    JobEvent.objects.create(job=job, kind=kind, attempt=job.attempt, detail=detail)
