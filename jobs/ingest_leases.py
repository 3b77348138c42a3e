"""How a recording on its way in changes hands, as jobs do (jobs/leases.py).

Each step is one guarded UPDATE that names the attempt. A cancel needs no answer from the worker:
nothing was charged, so the row just ends, and the worker's next beat finds it gone.
"""

from datetime import timedelta

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from jobs.arrivals import jobs_begin, jobs_give_up
from jobs.instance import worker_name
from jobs.leases import LeaseLost
from jobs.models import Asset, Ingest, IngestState
from jobs.outbox import ingest_ended
from jobs.queue import wake_cleaning, wake_imports
from jobs.scheduling import lease_end

log = structlog.get_logger(__name__)

# Claims happen one after the other, as those of jobs: two at the same time could both take the
# last place of a workspace.
_CLAIM_LOCK = 0x494E_4745
_LOCK_TIMEOUT_MS = 3000


@transaction.atomic
def ingest_claim() -> Ingest | None:
    """Give this worker what waits longest, of the workspace whose turn it is.

    That is one with a place free; of these, the one with the fewest at work; then the one whose
    last turn is longest ago.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}; "
            f"SELECT pg_advisory_xact_lock({_CLAIM_LOCK})"
        )
    ingest = _in_turn().select_for_update(of=("self",), skip_locked=True).first()
    if ingest is None:
        return None
    Ingest.objects.filter(pk=ingest.pk).update(
        state=IngestState.RUNNING,
        attempt=F("attempt") + 1,
        claimed_at=Now(),
        lease_until=lease_end(),
        worker=worker_name(),
    )
    if _claimable().exists():
        # Each worker that found work wakes another, so that a burst soon has all of them.
        wake_imports()
    return Ingest.objects.select_related("workspace").get(pk=ingest.pk)


def has_waiting_ingests() -> bool:
    """Whether something waits that could be claimed."""
    return _claimable().exists()


def _claimable() -> QuerySet[Ingest]:
    full = (
        Ingest.objects.filter(state=IngestState.RUNNING)
        .values("workspace")
        .annotate(running=Count("pk"))
        .filter(running__gte=settings.PARALLEL_IMPORTS)
        .values("workspace")
    )
    return (
        Ingest.objects.filter(state=IngestState.WAITING)
        .filter(Q(not_before=None) | Q(not_before__lte=Now()))
        .exclude(workspace__in=full)
    )


def _in_turn() -> QuerySet[Ingest]:
    of_workspace = Ingest.objects.filter(workspace=OuterRef("workspace")).order_by()
    running = of_workspace.filter(state=IngestState.RUNNING).values("workspace")
    last_turns = of_workspace.filter(claimed_at__isnull=False).order_by("-claimed_at")
    return _claimable().order_by(
        Coalesce(Subquery(running.values(n=Count("pk"))), 0),
        Subquery(last_turns.values("claimed_at")[:1]).asc(nulls_first=True),
        "created_at",
        "pk",
    )


def ingest_beat(ingest: Ingest) -> None:
    """Keep the lease, and show how much has come."""
    if not _mine(ingest).update(
        lease_until=lease_end(), received_bytes=ingest.received_bytes, filename=ingest.filename
    ):
        raise LeaseLost


def ingest_succeed(ingest: Ingest, *, asset: Asset) -> None:
    """The recording is there; must run in the transaction that makes the asset ready."""
    _end(
        ingest,
        IngestState.READY,
        asset=asset,
        received_bytes=asset.size_bytes,
        filename=asset.filename,
    )
    jobs_begin(ingest, asset=asset)


@transaction.atomic
def ingest_fail(ingest: Ingest, *, code: str, message: str) -> None:
    _end(ingest, IngestState.FAILED, error_code=code, error_message=message[:500])
    jobs_give_up(ingest, code=code, message=message)


@transaction.atomic
def ingest_retry_or_fail(ingest: Ingest, *, code: str, message: str) -> None:
    """Count the attempt as lost; give it back for another, or end it when there were enough."""
    losses = _mine(ingest).select_for_update().values_list("losses", flat=True).first()
    if losses is None:
        raise LeaseLost
    _mine(ingest).update(losses=losses + 1)
    if losses + 1 >= settings.JOB_MAX_ATTEMPTS:
        ingest_fail(ingest, code=code, message=message)
    else:
        pause_s = settings.JOB_RETRY_PAUSE_SECONDS * 3**losses
        _requeue(ingest, not_before=Now() + timedelta(seconds=pause_s))


@transaction.atomic
def ingest_hand_back(ingest: Ingest) -> None:
    """Give it up because this worker has to stop; that is no fault of its."""
    _requeue(ingest, not_before=None)


def ingests_reap() -> int:
    """Take back what silent workers have; returns how many."""
    reaped = 0
    for ingest in Ingest.objects.filter(state=IngestState.RUNNING, lease_until__lt=Now()):
        try:
            with transaction.atomic():
                # As for jobs: only a lease that is over, and only a row that nobody holds.
                silent = _mine(ingest).filter(lease_until__lt=Now())
                if not silent.select_for_update(skip_locked=True).exists():
                    continue
                ingest_retry_or_fail(
                    ingest, code="worker_lost", message="The machine that worked on this was lost."
                )
        except Exception:
            log.exception("ingest_reap_failed", ingest=str(ingest.uuid), attempt=ingest.attempt)
            continue
        log.warning("ingest_reaped", ingest=str(ingest.uuid), attempt=ingest.attempt)
        reaped += 1
    return reaped


def _mine(ingest: Ingest) -> QuerySet[Ingest]:
    return Ingest.objects.filter(pk=ingest.pk, state=IngestState.RUNNING, attempt=ingest.attempt)


def _requeue(ingest: Ingest, *, not_before: object) -> None:
    waiting = {"state": IngestState.WAITING, "lease_until": None, "worker": ""}
    if not _mine(ingest).update(**waiting, not_before=not_before):
        raise LeaseLost
    wake_imports()


def _end(ingest: Ingest, state: IngestState, **values: object) -> None:
    if not _mine(ingest).update(state=state, lease_until=None, finished_at=Now(), **values):
        raise LeaseLost
    ingest_ended(ingest)
    wake_cleaning()
