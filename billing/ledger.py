"""Writing the ledger: grant, hold, capture, release, expire.

Warning: every function here changes balances and must see its whole effect or none. Each opens (or
joins) one transaction and takes the wallet's row before any other account's, hold's or lot's, so
that all money of a workspace moves in one order. Called twice with the same key, each does its work
once.
"""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.audit import SYSTEM, Actor, audit_record
from accounts.models import ApiKey, Workspace
from accounts.ready_made import prepared_cursor
from billing.key_spending import key_spend_add, key_spend_give_back
from billing.models import (
    Account,
    AccountKind,
    Hold,
    HoldState,
    Lot,
    Transaction,
    TransactionKind,
)
from billing.posting import (
    account_get,
    amount_check,
    debt_repay,
    lots_due,
    lots_expire_due,
    lots_first,
    lots_plan,
    post,
    reason_check,
    transaction_once,
    wallet_lock,
)
from billing.pricing import credits_of
from billing.selectors import debt_get
from config.errors import InsufficientCredits, ValidationFailed, filled

# One statement instead of four and more, since everybody who orders for the same workspace waits
# for it. The lock on the wallet is taken before.
_HOLD = """
WITH drawn AS (
  SELECT * FROM unnest(%(lots)s::bigint[], %(parts)s::bigint[])
  WITH ORDINALITY AS d (lot_id, amount, place)),
wallet AS (
  UPDATE billing_account SET held_mcr = held_mcr + %(amount)s WHERE id = %(account)s),
lots AS (
  UPDATE billing_lot l SET remaining_mcr = l.remaining_mcr - d.amount
  FROM drawn d WHERE l.id = d.lot_id),
hold AS (
  INSERT INTO billing_hold
    (account_id, job_uuid, key_lineage, key_month, amount_mcr, captured_mcr, state)
  VALUES (%(account)s, %(job)s, %(lineage)s, %(month)s, %(amount)s, 0, 'pending') RETURNING id)
INSERT INTO billing_holdlot (hold_id, lot_id, amount_mcr)
SELECT hold.id, d.lot_id, d.amount FROM hold, drawn d ORDER BY d.place
"""


@transaction.atomic
def credits_grant(
    *,
    workspace: Workspace,
    amount_mcr: int,
    source: str,
    idempotency_key: str,
    reason: str = "",
    expires_at: datetime | None = None,
    actor: Actor = SYSTEM,
) -> Transaction:
    amount_check(amount_mcr, what=_("A grant"))
    reason_check(reason, actor=actor)
    wallet = wallet_lock(workspace)
    fact, created = transaction_once(
        workspace=workspace,
        kind=TransactionKind.GRANT,
        idempotency_key=idempotency_key,
        fingerprint=f"{amount_mcr}:{source}:{expires_at}",
        reason=reason,
    )
    if not created:
        return fact
    post(fact, (wallet, amount_mcr), (account_get(workspace, AccountKind.GRANTS), -amount_mcr))
    Lot.objects.create(
        account=wallet,
        transaction=fact,
        source=source,
        amount_mcr=amount_mcr,
        remaining_mcr=amount_mcr,
        expires_at=expires_at,
    )
    debt_repay(wallet, cause=fact)
    if actor != SYSTEM:
        audit_record(
            actor=actor,
            action="credits.granted",
            workspace=workspace,
            target_kind="transaction",
            target_uuid=fact.uuid,
            data={"amount_mcr": amount_mcr, "reason": reason},
        )
    return fact


@transaction.atomic
def credits_hold(
    *, workspace: Workspace, job_uuid: UUID, amount_mcr: int, api_key: ApiKey | None = None
) -> None:
    """Set credits aside for a job; raise InsufficientCredits or KeyCapReached and change nothing.

    What a key orders counts towards its monthly cap.
    """
    hold_make(workspace=workspace, job_uuid=job_uuid, amount_mcr=amount_mcr, api_key=api_key)


def hold_make(
    *, workspace: Workspace, job_uuid: UUID, amount_mcr: int, api_key: ApiKey | None
) -> None:
    """As `credits_hold`, in the transaction of what is paid: what raises must undo all of that."""
    if type(amount_mcr) is not int or amount_mcr < 0:
        raise ValidationFailed(_("A hold must be a whole number of milli-credits, not negative."))
    if api_key is not None and api_key.workspace_id != workspace.pk:
        raise ValueError("a key orders for its own workspace only")
    if amount_mcr == 0:
        return
    wallet = wallet_lock(workspace)
    lots = lots_first(wallet)
    if wallet.available_mcr < amount_mcr:
        raise _insufficient(wallet, amount_mcr)
    key_month = key_spend_add(api_key=api_key, amount_mcr=amount_mcr) if api_key else None
    parts = lots_plan(wallet, amount_mcr, lots=lots)
    with prepared_cursor() as cursor:
        cursor.execute(
            _HOLD,
            {
                "account": wallet.pk,
                "job": job_uuid,
                "amount": amount_mcr,
                "lineage": api_key.lineage if api_key else None,
                "month": key_month,
                "lots": [part.lot.pk for part in parts],
                "parts": [part.amount_mcr for part in parts],
            },
        )


@transaction.atomic
def hold_capture(*, job_uuid: UUID, amount_mcr: int) -> bool:
    """Turn a job's hold into a charge of at most the held amount; the rest is free again.

    Returns False when there is nothing (any more) to capture.
    """
    hold = _settle(job_uuid, state=HoldState.CAPTURED, captured_mcr=amount_mcr)
    if hold is None:
        return False
    wallet = hold.account
    if amount_mcr:
        fact, _is_new = transaction_once(
            workspace=wallet.workspace,
            kind=TransactionKind.CAPTURE,
            idempotency_key=f"job:{job_uuid}",
            fingerprint=str(amount_mcr),
            job_uuid=job_uuid,
        )
        sales = account_get(wallet.workspace, AccountKind.SALES)
        post(fact, (wallet, -amount_mcr), (sales, amount_mcr))
    debt_repay(wallet, cause=job_uuid)
    return True


@transaction.atomic
def hold_release(*, job_uuid: UUID) -> bool:
    """Give a job's held credits back. Returns False when there is nothing (any more) to release."""
    hold = _settle(job_uuid, state=HoldState.RELEASED, captured_mcr=0)
    if hold is None:
        return False
    debt_repay(hold.account, cause=job_uuid)
    return True


def lots_expire() -> int:
    """Take out of the wallets what has expired; returns how many wallets that were."""
    workspaces = list(
        Workspace.objects.filter(accounts__lots__in=Lot.objects.filter(lots_due())).distinct()
    )
    for workspace in workspaces:
        with transaction.atomic():
            lots_expire_due(wallet_lock(workspace))
    return len(workspaces)


def _insufficient(wallet: Account, required_mcr: int) -> InsufficientCredits:
    data = {"required_mcr": required_mcr, "available_mcr": wallet.available_mcr}
    debt_mcr = debt_get(workspace=wallet.workspace)
    if debt_mcr:
        return InsufficientCredits(
            filled(
                _(
                    "This costs %(price)s credits; none are available, and %(owed)s are owed for "
                    "a payment that was taken back."
                ),
                price=credits_of(required_mcr),
                owed=credits_of(debt_mcr),
            ),
            data={**data, "debt_mcr": debt_mcr},
        )
    return InsufficientCredits(
        filled(
            _("This costs %(price)s credits; %(free)s are available."),
            price=credits_of(required_mcr),
            free=credits_of(wallet.available_mcr),
        ),
        data=data,
    )


def _settle(job_uuid: UUID, *, state: HoldState, captured_mcr: int) -> Hold | None:
    """End a pending hold; None when somebody else did so first."""
    hold = Hold.objects.select_related("account__workspace").filter(job_uuid=job_uuid).first()
    if hold is None:
        return None
    if not 0 <= captured_mcr <= hold.amount_mcr:
        raise ValueError("a capture cannot be negative or exceed its hold")
    # The wallet before the hold: the same order of locks as in credits_hold.
    hold.account = wallet_lock(hold.account.workspace)
    settled = Hold.objects.filter(pk=hold.pk, state=HoldState.PENDING).update(
        state=state, captured_mcr=captured_mcr, settled_at=Now()
    )
    if not settled:
        return None
    Account.objects.filter(pk=hold.account_id).update(held_mcr=F("held_mcr") - hold.amount_mcr)
    hold.account.held_mcr -= hold.amount_mcr
    _return_lots(hold, spent_mcr=captured_mcr)
    key_spend_give_back(hold=hold, amount_mcr=hold.amount_mcr - captured_mcr)
    return hold


def _return_lots(hold: Hold, *, spent_mcr: int) -> None:
    """Give what was not spent back to its lots; the soonest to expire count as spent first."""
    for part in hold.lots.order_by("pk"):
        spent = min(spent_mcr, part.amount_mcr)
        spent_mcr -= spent
        Lot.objects.filter(pk=part.lot_id).update(
            remaining_mcr=F("remaining_mcr") + part.amount_mcr - spent,
            spent_mcr=F("spent_mcr") + spent,
        )
