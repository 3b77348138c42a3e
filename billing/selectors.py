from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from accounts.models import Workspace
from billing.models import Account, AccountKind, Entry, Price
from billing.pricing import Rate
from config.errors import Unavailable


def wallet_get(*, workspace: Workspace) -> Account:
    """The workspace's wallet; an unsaved empty one if nothing was ever booked."""
    wallet = Account.objects.filter(workspace=workspace, kind=AccountKind.WALLET).first()
    return wallet or Account(workspace=workspace, kind=AccountKind.WALLET)


def ledger_list(*, workspace: Workspace) -> QuerySet[Entry]:
    """What went into and out of the wallet, newest first."""
    return (
        Entry.objects.filter(account__workspace=workspace, account__kind=AccountKind.WALLET)
        .select_related("transaction")
        .order_by("-pk")
    )


def prices_list(*, workspace: Workspace | None) -> list[Price]:
    """The price of each service that holds now for this workspace."""
    return list(
        Price.objects.filter(Q(workspace=None) | Q(workspace=workspace))
        .filter(effective_from__lte=Now())
        # A workspace's own price wins, then the newest.
        .order_by("service", F("workspace").desc(nulls_last=True), "-effective_from")
        .distinct("service")
    )


def rate_get(*, workspace: Workspace, service: str) -> Rate:
    for price in prices_list(workspace=workspace):
        if price.service == service:
            return Rate(price.unit, price.amount_mcr)
    raise Unavailable(f"There is no price for {service}.")


# Each row found is money that does not add up. The names are those of the invariants in the ADR.
_DISCREPANCIES = """
SELECT 'transaction does not sum to zero', transaction_id FROM billing_entry
  GROUP BY transaction_id HAVING sum(amount_mcr) <> 0
UNION ALL
SELECT 'balance is not the sum of its entries', a.id FROM billing_account a
  LEFT JOIN billing_entry e ON e.account_id = a.id
  GROUP BY a.id HAVING a.posted_mcr <> coalesce(sum(e.amount_mcr), 0)
UNION ALL
SELECT 'held is not the sum of pending holds', a.id FROM billing_account a
  LEFT JOIN billing_hold h ON h.account_id = a.id AND h.state = 'pending'
  GROUP BY a.id HAVING a.held_mcr <> coalesce(sum(h.amount_mcr), 0)
UNION ALL
SELECT 'lots do not cover what is not held', a.id FROM billing_account a
  LEFT JOIN billing_lot l ON l.account_id = a.id
  WHERE a.kind = 'wallet'
  GROUP BY a.id HAVING a.posted_mcr - a.held_mcr <> coalesce(sum(l.remaining_mcr), 0)
"""


def ledger_discrepancies() -> list[tuple[str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_DISCREPANCIES)
        return [(str(row[0]), int(row[1])) for row in cursor.fetchall()]
