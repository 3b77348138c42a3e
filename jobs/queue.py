"""Waking workers. The only module that knows django-q2.

A task carries no state: it says that there is work, and may be lost or delivered twice. What is to
be done stands in the rows that a worker claims.
"""

from django.db import transaction
from django.db.models.functions import Now
from django_q.models import OrmQ
from django_q.tasks import async_task

SEPARATION = "separation"
IMPORTS = "imports"
DEFAULT = "default"

# A worker that ran a job wakes the next by itself, so a few are as good as many.
_ENOUGH_WAITING = 3


def wake_separation() -> None:
    """After the commit, tell a worker that there is a job to claim."""
    _wake("jobs.tasks.separation_run", cluster=SEPARATION)


def wake_imports() -> None:
    """After the commit, tell a worker that there is a recording to fetch or to check."""
    _wake("jobs.tasks.ingests_run", cluster=IMPORTS)


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


def wake_payment_reconciling() -> None:
    """After the commit, have somebody look for payments that were missed."""
    _wake("jobs.tasks.payments_reconcile", cluster=DEFAULT)


def _wake(function: str, *, cluster: str) -> None:
    def enqueue() -> None:
        # Fetched tasks stay in the table, locked, until they are done; those of a killed cluster
        # stay locked for long. Only tasks that a worker can still fetch count as waiting.
        waiting = OrmQ.objects.filter(key=cluster, lock__lte=Now()).count()
        if waiting < _ENOUGH_WAITING:
            # `save=False`: the outcome is in the rows; a second account of it would only grow.
            async_task(function, cluster=cluster, save=False)

    # Robust: a wake-up may be lost, the janitor sends another. It must never make a call fail
    # whose work is committed.
    transaction.on_commit(enqueue, robust=True)
