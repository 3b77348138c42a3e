"""Waking workers. The only module that knows django-q2.

A task carries no state: it says that there is work, and may be lost or delivered twice. What is to
be done stands in the rows that a worker claims.
"""

import structlog
from django.db import transaction
from django_q.models import OrmQ
from django_q.tasks import async_task

log = structlog.get_logger(__name__)

SEPARATION = "separation"
DEFAULT = "default"

# Each waiting wake-up drains the whole queue, so a few are as good as many.
_ENOUGH_WAITING = 3


def wake_separation() -> None:
    """After the commit, tell a worker that there is a job to claim."""
    transaction.on_commit(lambda: _enqueue("jobs.tasks.separation_drain", cluster=SEPARATION))


def wake_cleaning() -> None:
    """After the commit, have files removed that no row needs any more."""
    transaction.on_commit(lambda: _enqueue("jobs.tasks.storage_clean", cluster=DEFAULT))


def _enqueue(function: str, *, cluster: str) -> None:
    if OrmQ.objects.filter(key=cluster).count() < _ENOUGH_WAITING:
        # `save=False`: the outcome is in the job's row; a second account of it would only grow.
        async_task(function, cluster=cluster, save=False)
