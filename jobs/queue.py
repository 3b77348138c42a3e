"""Waking workers.

A task carries no state: it says that there is work, and may be lost or delivered twice. What is to
be done stands in the rows that a worker claims.
"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django_q.brokers import get_broker
from django_q.models import Failure
from django_q.tasks import async_task

log = structlog.get_logger(__name__)

SEPARATION = "separation"
IMPORTS = "imports"
DEFAULT = "default"

# A broker that lets callers wait is left alone for a while; the janitor wakes instead.
_SLOW_S = 0.5
_REST_S = 5.0
_rest_until = 0.0

# One connection for each thread: that of SQS must not be shared.
_local = threading.local()


def wake_separation() -> None:
    """After the commit, tell a worker that there is a job to claim."""
    _wake("jobs.tasks.separation_run", cluster=SEPARATION)


def wake_imports() -> None:
    """After the commit, tell a worker that there is a recording to fetch or to check."""
    _wake("jobs.tasks.ingests_run", cluster=IMPORTS)


def wake_deriving() -> None:
    """After the commit, tell a worker that there is a listening copy or a mix to make."""
    _wake("jobs.tasks.derived_run", cluster=IMPORTS)


def wake_webhooks() -> None:
    """After the commit, have somebody deliver what is due."""
    _wake("jobs.tasks.webhooks_run", cluster=DEFAULT)


def wake_cleaning() -> None:
    """After the commit, have files removed that no row needs any more."""
    _wake("jobs.tasks.storage_clean", cluster=DEFAULT)


def wake_reconciliation() -> None:
    """After the commit, have the books checked."""
    _wake("jobs.tasks.ledger_reconcile", cluster=DEFAULT)


def wake_payments() -> None:
    """After the commit, have events of Stripe's handled and top-ups paid."""
    _wake("jobs.tasks.payments_run", cluster=DEFAULT)


def wake_notices() -> None:
    """After the commit, have somebody see to alerts of low credits, and send mails about them."""
    _wake("jobs.tasks.notices_run", cluster=DEFAULT)


def wake_payment_reconciling() -> None:
    """After the commit, have somebody look for payments that were missed."""
    _wake("jobs.tasks.payments_reconcile", cluster=DEFAULT)


def broker_check() -> None:
    """Raise unless the broker answers."""
    _broker(DEFAULT).queue_size()


@dataclass(frozen=True)
class DeadWakeUp:
    """A task that ended badly. What it was for is found again by the next, or by the janitor."""

    function: str
    ended_at: datetime
    error: str


def wake_ups_waiting() -> dict[str, int]:
    """How many wait for each cluster; -1 where the broker does not say."""
    sizes = {}
    for cluster in (SEPARATION, IMPORTS, DEFAULT):
        try:
            sizes[cluster] = int(_broker(cluster).queue_size())
        except Exception:
            log.warning("queue_unreachable", queue=cluster, exc_info=True)
            sizes[cluster] = -1
    return sizes


def wake_ups_dead(*, limit: int) -> list[DeadWakeUp]:
    """The last ones that failed."""
    rows = Failure.objects.order_by("-stopped")[:limit]
    return [DeadWakeUp(row.func, row.stopped, str(row.result or "")[-500:]) for row in rows]


def _wake(function: str, *, cluster: str) -> None:
    # A wake-up may be lost, the janitor sends another. It must never make a call fail whose work is
    # committed.
    transaction.on_commit(lambda: _enqueue(function, cluster), robust=True)


def _enqueue(function: str, cluster: str) -> None:
    global _rest_until
    started = time.monotonic()
    if started < _rest_until:
        return
    try:
        broker = _broker(cluster)
        # Tasks that wait now are fetched later, and find what was committed before.
        if broker.queue_size() < broker.enough_waiting:
            # `save=False`: the outcome is in the rows; a second account of it would only grow.
            async_task(function, broker=broker, cluster=cluster, save=False)
    except Exception:
        log.warning("wake_failed", task=function, exc_info=True)
        if time.monotonic() - started > _SLOW_S:
            _rest_until = time.monotonic() + _REST_S


def _broker(cluster: str) -> Any:
    brokers: dict[str, Any] = _local.__dict__.setdefault("brokers", {})
    if cluster not in brokers:
        brokers[cluster] = get_broker(cluster)
    return brokers[cluster]
