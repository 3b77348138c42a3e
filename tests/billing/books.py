"""Looking at the ledger, and damaging it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from accounts.models import AuditEvent, Workspace
from billing.models import Transaction
from billing.selectors import debt_get, wallet_get


def balances(workspace: Workspace) -> tuple[int, int]:
    """Posted and held."""
    wallet = wallet_get(workspace=workspace)
    return wallet.posted_mcr, wallet.held_mcr


def available_and_debt(workspace: Workspace) -> tuple[int, int]:
    return wallet_get(workspace=workspace).available_mcr, debt_get(workspace=workspace)


@contextmanager
def without_triggers() -> Iterator[None]:
    """As a broken disk or a hand in the database would: past all triggers."""
    with connection.cursor() as cursor:
        # What is still to be checked at the commit would find the damage: check it now.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            cursor.execute("SET session_replication_role = DEFAULT")


def payment_grants() -> int:
    return Transaction.objects.filter(kind="grant", reason__startswith="Payment").count()


def payment_audit() -> list[str]:
    rows = AuditEvent.objects.order_by("pk").values_list("action", flat=True)
    return [action for action in rows if action.startswith(("payment.", "subscription."))]
