"""Checking the books each night, whatever else happens."""

from datetime import datetime, timedelta

import structlog
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from billing.models import Reconciliation
from billing.selectors import ledger_discrepancies

log = structlog.get_logger(__name__)

# UTC, by the database's clock.
_HOUR = timedelta(hours=3)
# A run that has not finished by then was killed; another may begin.
_PATIENCE = timedelta(hours=1)
# Any number, as long as nothing else uses it for an advisory lock.
_LOCK = 0x73746D77


def ledger_reconcile() -> Reconciliation:
    """Check the books now; what is found is kept, and logged as an error."""
    return _finish(Reconciliation.objects.create())


def ledger_reconcile_if_due() -> Reconciliation | None:
    """Check the books once a night, however many ask for it at the same time."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if not is_reconciliation_due():
            return None
        row = Reconciliation.objects.create()
    return _finish(row)


def is_reconciliation_due() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    at_work_or_done = Q(finished_at__isnull=False) | Q(started_at__gt=now - _PATIENCE)
    return not Reconciliation.objects.filter(at_work_or_done, started_at__gte=_due_at(now)).exists()


def _due_at(now: datetime) -> datetime:
    """When the last check should have begun."""
    midnight = (now - _HOUR).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + _HOUR


def _finish(row: Reconciliation) -> Reconciliation:
    found = ledger_discrepancies()
    for sentence, row_id in found:
        log.error("ledger_discrepancy", sentence=sentence, row_id=row_id)
    row.discrepancies = [list(discrepancy) for discrepancy in found]
    Reconciliation.objects.filter(pk=row.pk).update(
        discrepancies=row.discrepancies, finished_at=Now()
    )
    return row
