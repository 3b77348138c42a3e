"""What becomes of jobs that wait for a recording, once it has come or will not come.

With the end of its import, in the same transaction, a job is either queued like any other, or ends
with the reason why not.
"""

import structlog
from django.db import DatabaseError, transaction
from django.db.models.functions import Now

from config.errors import AppError
from jobs.logs import job_log_end
from jobs.models import Asset, Ingest, Job, JobEvent, JobState
from jobs.ordering import is_preview, job_pay, order_of, range_values
from jobs.orders import order_quote
from jobs.outbox import job_ended

log = structlog.get_logger(__name__)


def jobs_begin(ingest: Ingest, *, asset: Asset) -> None:
    """Queue what waits for this recording. In the transaction that ends the import."""
    for job in _waiting(ingest):
        try:
            with transaction.atomic():
                _begin(job, asset)
        except AppError as error:
            _fail(job, code=error.code, message=error.english, asset=asset)
        except DatabaseError:
            raise
        except Exception:
            # Whatever it is: the recording has come, and the other jobs must go on.
            log.exception("job_not_begun", job=str(job.uuid))
            _fail(job, code=AppError.code, message=AppError().english, asset=asset)


def jobs_give_up(ingest: Ingest, *, code: str, message: str) -> None:
    """End what waits for a recording that will not come; in the same transaction."""
    for job in _waiting(ingest):
        _fail(job, code=code, message=message)


def _waiting(ingest: Ingest) -> list[Job]:
    waiting = Job.objects.filter(ingest=ingest, state=JobState.WAITING)
    return list(
        waiting.select_for_update(of=("self",))
        .select_related("workspace", "api_key", "ingest")
        .order_by("pk")
    )


def _begin(job: Job, asset: Asset) -> None:
    job.asset = asset
    quote = order_quote(workspace=job.workspace, order=order_of(job), asset=asset)
    Job.objects.filter(pk=job.pk, state=JobState.WAITING).update(
        asset=asset,
        state=JobState.QUEUED,
        stems=list(quote.stems),
        model=quote.model,
        more_formats=list(quote.more_formats),
        price_mcr=quote.price_mcr,
        is_preview=is_preview(asset, quote.samples),
        queued_at=Now(),
        **range_values(quote.samples),
    )
    job_pay(job, price_mcr=quote.price_mcr)


def _fail(job: Job, *, code: str, message: str, asset: Asset | None = None) -> None:
    Job.objects.filter(pk=job.pk, state=JobState.WAITING).update(
        asset=asset,
        state=JobState.FAILED,
        error_code=code,
        error_message=message[:500],
        finished_at=Now(),
    )
    JobEvent.objects.create(job=job, kind="failed", attempt=0, detail=code)
    job_log_end(job)
    job_ended(job)
