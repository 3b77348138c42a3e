"""Counting what the keys of one lineage spend in a month, and keeping it under their cap.

Called with the wallet locked (billing/posting.py): a lineage belongs to one workspace.
"""

from datetime import UTC, date

from django.db.models import DateField, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now, TruncMonth
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey
from accounts.ready_made import prepared_cursor
from billing.models import Hold, KeySpend
from billing.pricing import credits_of
from config.errors import KeyCapReached, filled

# One statement, so that the month is the database's in the check and in the count alike.
_ADD = """
INSERT INTO billing_keyspend AS spend (key_lineage, month, spent_mcr)
SELECT %(lineage)s, date_trunc('month', statement_timestamp() AT TIME ZONE 'UTC')::date, %(amount)s
WHERE %(cap)s::bigint IS NULL OR %(amount)s <= %(cap)s::bigint
ON CONFLICT (key_lineage, month) DO UPDATE SET spent_mcr = spend.spent_mcr + excluded.spent_mcr
WHERE %(cap)s::bigint IS NULL OR spend.spent_mcr + excluded.spent_mcr <= %(cap)s::bigint
RETURNING month
"""
_THIS_MONTH = """
SELECT spent_mcr FROM billing_keyspend WHERE key_lineage = %(lineage)s
AND month = date_trunc('month', statement_timestamp() AT TIME ZONE 'UTC')::date
"""


def key_spend_add(*, api_key: ApiKey, amount_mcr: int) -> date:
    """Count an amount in the current month (UTC), which is returned, or raise KeyCapReached."""
    cap_mcr = api_key.monthly_cap_mcr
    with prepared_cursor() as cursor:
        cursor.execute(_ADD, {"lineage": api_key.lineage, "amount": amount_mcr, "cap": cap_mcr})
        row = cursor.fetchone()
    if row is not None:
        month: date = row[0]
        return month
    spent_mcr, cap_mcr = key_spent_get(api_key=api_key), cap_mcr or 0
    raise KeyCapReached(
        filled(
            _(
                "This costs %(price)s credits; of the %(cap)s that this key may spend in a month, "
                "%(left)s are left."
            ),
            price=credits_of(amount_mcr),
            cap=credits_of(cap_mcr),
            left=credits_of(max(0, cap_mcr - spent_mcr)),
        ),
        data={"cap_mcr": cap_mcr, "spent_mcr": spent_mcr, "required_mcr": amount_mcr},
    )


def key_spend_give_back(*, hold: Hold, amount_mcr: int) -> None:
    if amount_mcr and hold.key_lineage and hold.key_month:
        KeySpend.objects.filter(key_lineage=hold.key_lineage, month=hold.key_month).update(
            spent_mcr=F("spent_mcr") - amount_mcr
        )


def key_spent_get(*, api_key: ApiKey) -> int:
    """What the key, and those that it was rolled from or into, have held or spent this month."""
    with prepared_cursor() as cursor:
        cursor.execute(_THIS_MONTH, {"lineage": api_key.lineage})
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def with_spending(keys: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
    """Keys with `spent_mcr`, as `key_spent_get` tells it."""
    month = TruncMonth(Now(), tzinfo=UTC, output_field=DateField())
    spent = KeySpend.objects.filter(key_lineage=OuterRef("lineage"), month=month)
    return keys.annotate(spent_mcr=Coalesce(Subquery(spent.values("spent_mcr")), 0))
