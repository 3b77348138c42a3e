"""How listening copies and mixes change hands, as jobs and recordings on their way in do.

Each step is one guarded UPDATE that names the attempt. A row that was deleted, since its files are,
looks like one that was given to another: the worker lets go, and removes what it stored.
"""

from datetime import timedelta
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from jobs.instance import worker_name
from jobs.models import AssetState, Derived, DerivedState, Listening, Mix
from jobs.queue import wake_deriving
from jobs.scheduling import LeaseLost, lease_end

log = structlog.get_logger(__name__)
Row = TypeVar("Row", bound=Derived)

# Of a workspace, at a time, of each kind.
_AT_ONCE = 2
_CLAIM_LOCK = 0x4445_5249
_LOCK_TIMEOUT_MS = 3000
# Whoever asks again after so long has it tried again, unless the file itself is at fault.
_FAILED_FOR = timedelta(minutes=5)


def derived_claim() -> Derived | None:
    """Give this worker what waits: a mix first, since somebody waits for it."""
    return _claim(Mix) or _claim(Listening)


def has_derived_waiting() -> bool:
    return _claimable(Mix).exists() or _claimable(Listening).exists()


def derived_beat(row: Derived, *, progress: float) -> None:
    """Keep the lease, and show how far the work has come."""
    if not _mine(row).update(lease_until=lease_end(), progress=progress):
        raise LeaseLost


def derived_succeed(row: Derived, **values: object) -> None:
    """End it well; `values` say what was made.

    Not what was deleted meanwhile: its files may have been removed before the last of them came.
    """
    wanted = _mine(row).filter(_is_wanted(type(row)))
    _end(wanted, DerivedState.READY, progress=1, **values)


@transaction.atomic
def derived_fail(row: Derived, *, code: str, is_hopeless: bool) -> None:
    _end(_mine(row), DerivedState.FAILED, error_code=code, is_hopeless=is_hopeless)


@transaction.atomic
def derived_retry_or_fail(row: Derived, *, code: str) -> None:
    """Count the attempt as lost; give it back for another, or end it when there were enough."""
    losses = _mine(row).select_for_update().values_list("losses", flat=True).first()
    if losses is None:
        raise LeaseLost
    _mine(row).update(losses=losses + 1)
    if losses + 1 >= settings.JOB_MAX_ATTEMPTS:
        derived_fail(row, code=code, is_hopeless=False)
    else:
        pause = timedelta(seconds=settings.JOB_RETRY_PAUSE_SECONDS * 3**losses)
        _requeue(row, not_before=Now() + pause)


@transaction.atomic
def derived_hand_back(row: Derived) -> None:
    """Give it up because this worker has to stop; that is no fault of its."""
    _requeue(row, not_before=None)


def derived_revive(rows: QuerySet[Row]) -> int:
    """Have those tried again that failed a while ago through no fault of their files'."""
    failed = rows.filter(state=DerivedState.FAILED, is_hopeless=False)
    return failed.filter(finished_at__lt=Now() - _FAILED_FOR).update(
        state=DerivedState.QUEUED, losses=0, progress=0, not_before=None, finished_at=None
    )


def derived_reap() -> int:
    """Take back what silent workers have; returns how many."""
    reaped = 0
    for kind in (Mix, Listening):
        for row in kind.objects.filter(state=DerivedState.RUNNING, lease_until__lt=Now()):
            try:
                with transaction.atomic():
                    # As for jobs: only a lease that is over, and only a row that nobody holds.
                    silent = _mine(row).filter(lease_until__lt=Now())
                    if not silent.select_for_update(skip_locked=True).exists():
                        continue
                    derived_retry_or_fail(row, code="worker_lost")
            except Exception:
                log.exception("derived_reap_failed", derived=str(row.uuid), attempt=row.attempt)
                continue
            log.warning("derived_reaped", derived=str(row.uuid), attempt=row.attempt)
            reaped += 1
    return reaped


@transaction.atomic
def _claim(kind: type[Derived]) -> Derived | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}; "
            f"SELECT pg_advisory_xact_lock({_CLAIM_LOCK})"
        )
    row = _in_turn(kind).select_for_update(of=("self",), skip_locked=True).first()
    if row is None:
        return None
    _rows(kind).filter(pk=row.pk).update(
        state=DerivedState.RUNNING,
        attempt=F("attempt") + 1,
        progress=0,
        lease_until=lease_end(),
        worker=worker_name(),
    )
    if _claimable(kind).exists():
        # Each worker that found work wakes another, so that a burst soon has all of them.
        wake_deriving()
    related = "asset" if kind is Listening else "job__asset"
    return _rows(kind).select_related("workspace", related).get(pk=row.pk)


def _claimable(kind: type[Derived]) -> QuerySet[Derived]:
    full = (
        _rows(kind)
        .filter(state=DerivedState.RUNNING)
        .values("workspace")
        .annotate(running=Count("pk"))
        .filter(running__gte=_AT_ONCE)
        .values("workspace")
    )
    return (
        _rows(kind)
        .filter(state=DerivedState.QUEUED)
        .filter(Q(not_before=None) | Q(not_before__lte=Now()))
        .filter(_is_wanted(kind))
        .exclude(workspace__in=full)
    )


def _is_wanted(kind: type[Derived]) -> Q:
    """What was deleted meanwhile is not made any more."""
    if kind is Listening:
        return Q(asset__state=AssetState.READY)
    return Q(job__deleted_at=None, expires_at__gt=Now())


def _in_turn(kind: type[Derived]) -> QuerySet[Derived]:
    """Of the workspace with the fewest at work; then what somebody waits for; then the oldest."""
    of_workspace = _rows(kind).filter(workspace=OuterRef("workspace")).order_by()
    running = of_workspace.filter(state=DerivedState.RUNNING).values("workspace")
    order = ["-is_awaited"] if kind is Listening else []
    return _claimable(kind).order_by(
        Coalesce(Subquery(running.values(n=Count("pk"))), 0), *order, "created_at", "pk"
    )


def _rows(kind: type[Derived]) -> QuerySet[Derived]:
    rows: QuerySet[Derived] = kind._default_manager.all()
    return rows


def _mine(row: Derived) -> QuerySet[Derived]:
    return _rows(type(row)).filter(pk=row.pk, state=DerivedState.RUNNING, attempt=row.attempt)


def _requeue(row: Derived, *, not_before: object) -> None:
    queued = {"state": DerivedState.QUEUED, "lease_until": None, "worker": "", "progress": 0}
    if not _mine(row).update(**queued, not_before=not_before):
        raise LeaseLost
    wake_deriving()


def _end(mine: QuerySet[Derived], state: DerivedState, **values: object) -> None:
    if not mine.update(state=state, lease_until=None, finished_at=Now(), **values):
        raise LeaseLost
