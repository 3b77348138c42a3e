from django.db import connection
from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from accounts.ready_made import prepared_cursor
from billing.models import Account, AccountKind, Entry, Lot, Price, Reconciliation
from billing.pricing import Rate
from config.errors import Unavailable, filled

# As `_prices_now` has it, ready made for what every order asks.
_RATE = """
SELECT unit, amount_mcr, quantity FROM billing_price
  WHERE service = %s AND (workspace_id IS NULL OR workspace_id = %s)
    AND effective_from <= statement_timestamp()
    AND (effective_until IS NULL OR effective_until > statement_timestamp())
  ORDER BY workspace_id DESC NULLS LAST, effective_from DESC LIMIT 1
"""


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


def lots_list(*, workspace: Workspace) -> QuerySet[Lot]:
    """The credits that are left, by what they came with, in the order in which they are spent."""
    return (
        Lot.objects.filter(
            account__workspace=workspace, account__kind=AccountKind.WALLET, remaining_mcr__gt=0
        )
        .select_related("transaction__payment__pack", "transaction__payment__plan")
        .order_by(F("expires_at").asc(nulls_last=True), "pk")
    )


def available_by_source(*, workspace: Workspace) -> dict[str, int]:
    """What can be spent, in milli-credits, by where it came from: a kind of payment, or a grant."""
    lots = Lot.objects.filter(
        account__workspace=workspace, account__kind=AccountKind.WALLET, remaining_mcr__gt=0
    )
    sums = lots.values("source").annotate(sum_mcr=Sum("remaining_mcr")).order_by("source")
    return {row["source"]: row["sum_mcr"] for row in sums}


def debt_get(*, workspace: Workspace) -> int:
    """What is owed for credits that were taken back after they were spent."""
    account = Account.objects.filter(workspace=workspace, kind=AccountKind.CLAWBACK).first()
    return -account.posted_mcr if account else 0


def wallets_sum() -> tuple[int, int]:
    """What is held and what is available in all wallets together."""
    wallets = Account.objects.filter(kind=AccountKind.WALLET)
    sums = wallets.aggregate(posted=Sum("posted_mcr", default=0), held=Sum("held_mcr", default=0))
    return sums["held"], sums["posted"] - sums["held"]


def reconciliation_latest() -> Reconciliation | None:
    """The last check of the books that came to its end."""
    done = Reconciliation.objects.filter(finished_at__isnull=False)
    return done.order_by("-finished_at").first()


def prices_list(*, workspace: Workspace | None) -> list[Price]:
    """The price of each service that holds now for this workspace."""
    return list(_prices_now(workspace).distinct("service"))


def rate_get(*, workspace: Workspace, service: str) -> Rate:
    with prepared_cursor() as cursor:
        cursor.execute(_RATE, [service, workspace.pk])
        row = cursor.fetchone()
    if row is None:
        raise Unavailable(filled(_("There is no price for %(service)s."), service=service))
    return Rate(*row)


def _prices_now(workspace: Workspace | None) -> QuerySet[Price]:
    return (
        Price.objects.filter(Q(workspace=None) | Q(workspace=workspace))
        .filter(effective_from__lte=Now())
        .filter(Q(effective_until=None) | Q(effective_until__gt=Now()))
        # A workspace's own price wins, then the newest.
        .order_by("service", F("workspace").desc(nulls_last=True), "-effective_from")
    )


# Each row found is money that does not add up: the sentence, and the row that it is about. One
# statement, so that all is seen at one moment. docs/adr/0006 names the invariants.
_DISCREPANCIES = """
SELECT 'transaction does not sum to zero', transaction_id FROM billing_entry
  GROUP BY transaction_id HAVING sum(amount_mcr) <> 0
UNION ALL
SELECT 'transaction has no entries', t.id FROM billing_transaction t
  WHERE NOT EXISTS (SELECT FROM billing_entry e WHERE e.transaction_id = t.id)
UNION ALL
SELECT 'entry is on the account of another workspace', e.id FROM billing_entry e
  JOIN billing_account a ON a.id = e.account_id
  JOIN billing_transaction t ON t.id = e.transaction_id
  WHERE a.workspace_id <> t.workspace_id
UNION ALL
SELECT 'paid payment has no grant', id FROM billing_payment
  WHERE state = 'paid' AND grant_id IS NULL
UNION ALL
SELECT 'balance is not the sum of its entries', a.id FROM billing_account a
  LEFT JOIN billing_entry e ON e.account_id = a.id
  GROUP BY a.id HAVING a.posted_mcr <> coalesce(sum(e.amount_mcr), 0)
UNION ALL
SELECT 'entry does not continue its balance', id FROM (
  SELECT id, balance_mcr - amount_mcr AS before,
    lag(balance_mcr, 1, 0::bigint) OVER (PARTITION BY account_id ORDER BY id) AS last
  FROM billing_entry) e WHERE before <> last
UNION ALL
SELECT 'held is not the sum of pending holds', a.id FROM billing_account a
  LEFT JOIN billing_hold h ON h.account_id = a.id AND h.state = 'pending'
  GROUP BY a.id HAVING a.held_mcr <> coalesce(sum(h.amount_mcr), 0)
UNION ALL
SELECT 'hold is not the sum of its lots', h.id FROM billing_hold h
  LEFT JOIN billing_holdlot p ON p.hold_id = h.id
  GROUP BY h.id HAVING h.amount_mcr <> coalesce(sum(p.amount_mcr), 0)
UNION ALL
SELECT 'capture is not what its hold says', coalesce(h.id, t.id) FROM
  (SELECT id, job_uuid, captured_mcr FROM billing_hold WHERE captured_mcr <> 0) h
  FULL JOIN (
    SELECT t.id, t.job_uuid, -e.amount_mcr AS charged_mcr FROM billing_transaction t
    LEFT JOIN billing_entry e ON e.transaction_id = t.id
      AND e.account_id IN (SELECT id FROM billing_account WHERE kind = 'wallet')
    WHERE t.kind = 'capture') t ON t.job_uuid = h.job_uuid
  WHERE h.captured_mcr IS DISTINCT FROM t.charged_mcr
UNION ALL
SELECT 'capture of a hold that was not captured', id FROM billing_hold
  WHERE captured_mcr <> 0 AND state <> 'captured'
UNION ALL
SELECT 'refund exceeds its charge', r.id FROM billing_transaction r
  LEFT JOIN billing_hold h ON h.job_uuid = r.job_uuid
  JOIN billing_entry e ON e.transaction_id = r.id
  JOIN billing_account a ON a.id = e.account_id AND a.kind = 'wallet'
  WHERE r.kind = 'refund' AND (r.reverses_id IS NULL OR e.amount_mcr > coalesce(h.captured_mcr, 0))
UNION ALL
SELECT 'lots do not cover what is not held', a.id FROM billing_account a
  LEFT JOIN billing_lot l ON l.account_id = a.id
  WHERE a.kind = 'wallet'
  GROUP BY a.id HAVING a.posted_mcr - a.held_mcr <> coalesce(sum(l.remaining_mcr), 0)
UNION ALL
SELECT 'lot is not the sum of its parts', l.id FROM billing_lot l
  LEFT JOIN (
    SELECT p.lot_id, sum(p.amount_mcr) AS held_mcr FROM billing_holdlot p
    JOIN billing_hold h ON h.id = p.hold_id AND h.state = 'pending' GROUP BY p.lot_id) p
  ON p.lot_id = l.id
  WHERE l.amount_mcr <> l.remaining_mcr + l.spent_mcr + l.expired_mcr + coalesce(p.held_mcr, 0)
UNION ALL
SELECT 'lot is not what its transaction granted', l.id FROM billing_lot l
  JOIN billing_transaction t ON t.id = l.transaction_id AND t.kind IN ('grant', 'refund')
  LEFT JOIN billing_entry e ON e.transaction_id = t.id AND e.account_id = l.account_id
  WHERE l.amount_mcr IS DISTINCT FROM e.amount_mcr
UNION ALL
SELECT 'expired lots are not what was booked as expired', w.id FROM billing_account w
  LEFT JOIN billing_account x ON x.workspace_id = w.workspace_id AND x.kind = 'expired'
  LEFT JOIN billing_lot l ON l.account_id = w.id
  WHERE w.kind = 'wallet'
  GROUP BY w.id, x.posted_mcr HAVING coalesce(x.posted_mcr, 0) <> coalesce(sum(l.expired_mcr), 0)
UNION ALL
SELECT 'clawed back lots are not what was booked so', w.id FROM billing_account w
  LEFT JOIN (
    SELECT a.workspace_id, sum(e.amount_mcr) AS clawed_mcr FROM billing_entry e
    JOIN billing_account a ON a.id = e.account_id AND a.kind = 'grants'
    JOIN billing_transaction t ON t.id = e.transaction_id AND t.kind = 'clawback'
    GROUP BY a.workspace_id) c ON c.workspace_id = w.workspace_id
  LEFT JOIN billing_lot l ON l.account_id = w.id
  WHERE w.kind = 'wallet'
  GROUP BY w.id, c.clawed_mcr
  HAVING coalesce(c.clawed_mcr, 0) <> coalesce(sum(l.clawed_back_mcr), 0)
UNION ALL
SELECT 'credits are available beside a debt', w.id FROM billing_account w
  JOIN billing_account d ON d.workspace_id = w.workspace_id AND d.kind = 'clawback'
  WHERE w.kind = 'wallet' AND d.posted_mcr <> 0 AND w.posted_mcr <> w.held_mcr
UNION ALL
SELECT 'key spend is not the sum of its holds', coalesce(k.id, h.any_id) FROM billing_keyspend k
  FULL JOIN (
    SELECT key_lineage, key_month, min(id) AS any_id,
      sum(CASE state WHEN 'pending' THEN amount_mcr ELSE captured_mcr END) AS spent_mcr
    FROM billing_hold WHERE key_lineage IS NOT NULL GROUP BY key_lineage, key_month) h
  ON h.key_lineage = k.key_lineage AND h.key_month = k.month
  WHERE coalesce(k.spent_mcr, 0) <> coalesce(h.spent_mcr, 0)
"""


# What other apps know of money that does not add up; they say so when they are loaded.
_more_discrepancies: set[str] = set()


def discrepancies_add(*, query: str) -> None:
    """Have the books checked by one more query, for rows of a sentence and an id."""
    _more_discrepancies.add(query)


def ledger_discrepancies() -> list[tuple[str, int]]:
    """Whatever does not add up in any workspace; empty when all is well."""
    query = " UNION ALL ".join([_DISCREPANCIES, *sorted(_more_discrepancies)])
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [(str(row[0]), int(row[1])) for row in cursor.fetchall()]
