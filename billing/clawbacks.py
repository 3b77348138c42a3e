"""Taking credits back, and giving them back: refunds, disputes, an operator's corrections.

The warning in billing/ledger.py holds here too.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from accounts.audit import SYSTEM, Actor, audit_record
from accounts.models import Workspace
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
    lots_expire_due,
    lots_spend,
    post,
    reason_check,
    transaction_once,
    wallet_lock,
)
from billing.pricing import credits_of
from billing.selectors import debt_get
from config.errors import InsufficientCredits, ValidationFailed, WrongState, filled


@transaction.atomic
def grant_clawback_sync(*, grant: Transaction, total_mcr: int, reason: str) -> None:
    """Make what was taken back of a grant equal to `total_mcr`.

    It states a total, not a step: called again, or late, with the newest total, it is right. What
    had expired is not owed; what a job holds is not touched; what is not there becomes a debt.
    """
    reason_check(reason, actor=SYSTEM)
    wallet = wallet_lock(grant.workspace)
    lots_expire_due(wallet)
    lot = Lot.objects.get(transaction=grant)
    if type(total_mcr) is not int or not 0 <= total_mcr <= lot.amount_mcr:
        raise ValidationFailed(_("What is taken back must be between nothing and the whole grant."))
    owed_mcr = min(total_mcr, lot.amount_mcr - lot.expired_mcr)
    # What expired after it was taken back elsewhere does not undo that.
    change_mcr = max(owed_mcr, min(total_mcr, lot.clawed_back_mcr)) - lot.clawed_back_mcr
    if not change_mcr:
        return
    # No key could be better: the wallet's lock and the total on the lot keep it from repeating.
    number = Transaction.objects.filter(
        workspace=grant.workspace,
        kind=TransactionKind.CLAWBACK,
        idempotency_key__startswith=f"grant:{grant.uuid}:",
    ).count()
    fact, _is_new = transaction_once(
        workspace=grant.workspace,
        kind=TransactionKind.CLAWBACK,
        idempotency_key=f"grant:{grant.uuid}:{number}",
        fingerprint=str(total_mcr),
        reason=reason,
    )
    if change_mcr > 0:
        _take_back(fact, wallet, lot, change_mcr)
    else:
        _give_back(fact, wallet, lot, -change_mcr)
    Lot.objects.filter(pk=lot.pk).update(clawed_back_mcr=F("clawed_back_mcr") + change_mcr)
    audit_record(
        actor=SYSTEM,
        action="credits.clawed_back",
        workspace=grant.workspace,
        target_kind="transaction",
        target_uuid=grant.uuid,
        data={
            "total_mcr": total_mcr,
            "change_mcr": change_mcr,
            "debt_mcr": debt_get(workspace=grant.workspace),
            "reason": reason,
        },
    )


def _take_back(fact: Transaction, wallet: Account, lot: Lot, amount_mcr: int) -> None:
    taken_mcr = min(amount_mcr, wallet.available_mcr)
    own_mcr = min(taken_mcr, lot.remaining_mcr)
    Lot.objects.filter(pk=lot.pk).update(
        remaining_mcr=F("remaining_mcr") - own_mcr, spent_mcr=F("spent_mcr") + own_mcr
    )
    lots_spend(wallet, taken_mcr - own_mcr)
    grants = account_get(wallet.workspace, AccountKind.GRANTS)
    clawback = account_get(wallet.workspace, AccountKind.CLAWBACK)
    post(fact, (wallet, -taken_mcr), (clawback, taken_mcr - amount_mcr), (grants, amount_mcr))


def _give_back(fact: Transaction, wallet: Account, lot: Lot, amount_mcr: int) -> None:
    repaid_mcr = min(amount_mcr, debt_get(workspace=wallet.workspace))
    freed_mcr = amount_mcr - repaid_mcr
    # All the lot had may be free again, when it was another lot that was taken from: then the
    # rest comes as a lot of its own.
    own_mcr = min(freed_mcr, lot.spent_mcr)
    Lot.objects.filter(pk=lot.pk).update(
        remaining_mcr=F("remaining_mcr") + own_mcr, spent_mcr=F("spent_mcr") - own_mcr
    )
    if freed_mcr > own_mcr:
        _lot_add(fact, wallet, freed_mcr - own_mcr, source="reinstated")
    grants = account_get(wallet.workspace, AccountKind.GRANTS)
    clawback = account_get(wallet.workspace, AccountKind.CLAWBACK)
    post(fact, (wallet, freed_mcr), (clawback, repaid_mcr), (grants, -amount_mcr))


@transaction.atomic
def capture_refund(
    *, job_uuid: UUID, amount_mcr: int, reason: str, idempotency_key: str, actor: Actor
) -> Transaction:
    """Give back what a job was charged, or a part of it, once."""
    amount_check(amount_mcr, what=_("A refund"))
    reason_check(reason, actor=actor)
    hold = Hold.objects.select_related("account__workspace").filter(job_uuid=job_uuid).first()
    if hold is None:
        raise WrongState(_("This job was not charged."))
    workspace = hold.account.workspace
    wallet = wallet_lock(workspace)
    known = Transaction.objects.filter(
        workspace=workspace, kind=TransactionKind.REFUND, idempotency_key=idempotency_key
    )
    charge = None
    if not known.exists():
        charge = _refundable_charge(hold, amount_mcr)
    fact, created = transaction_once(
        workspace=workspace,
        kind=TransactionKind.REFUND,
        idempotency_key=idempotency_key,
        fingerprint=f"{job_uuid}:{amount_mcr}",
        reason=reason,
        job_uuid=job_uuid,
        reverses=charge,
    )
    if not created:
        return fact
    post(fact, (wallet, amount_mcr), (account_get(workspace, AccountKind.SALES), -amount_mcr))
    _lot_add(fact, wallet, amount_mcr, source="refund")
    debt_repay(wallet, cause=fact)
    audit_record(
        actor=actor,
        action="credits.refunded",
        workspace=workspace,
        target_kind="job",
        target_uuid=job_uuid,
        data={"amount_mcr": amount_mcr, "reason": reason},
    )
    return fact


def _refundable_charge(hold: Hold, amount_mcr: int) -> Transaction:
    hold.refresh_from_db()
    if hold.state != HoldState.CAPTURED or not hold.captured_mcr:
        raise WrongState(_("This job was not charged."))
    if amount_mcr > hold.captured_mcr:
        raise ValidationFailed(
            filled(
                _("The job was charged %(charged)s credits; no more can be refunded."),
                charged=credits_of(hold.captured_mcr),
            )
        )
    charge = Transaction.objects.get(kind=TransactionKind.CAPTURE, job_uuid=hold.job_uuid)
    if Transaction.objects.filter(reverses=charge).exists():
        raise WrongState(_("This job was refunded already."))
    return charge


@transaction.atomic
def credits_take(
    *, workspace: Workspace, amount_mcr: int, reason: str, idempotency_key: str, actor: Actor
) -> Transaction:
    """Take free credits out of a wallet, for an operator who says why."""
    amount_check(amount_mcr, what=_("What is taken"))
    reason_check(reason, actor=actor)
    wallet = wallet_lock(workspace)
    fact, created = transaction_once(
        workspace=workspace,
        kind=TransactionKind.ADJUST,
        idempotency_key=idempotency_key,
        fingerprint=str(amount_mcr),
        reason=reason,
    )
    if not created:
        return fact
    lots_expire_due(wallet)
    if wallet.available_mcr < amount_mcr:
        raise InsufficientCredits(
            filled(
                _("Only %(free)s credits are available."), free=credits_of(wallet.available_mcr)
            ),
            data={"required_mcr": amount_mcr, "available_mcr": wallet.available_mcr},
        )
    lots_spend(wallet, amount_mcr)
    post(fact, (wallet, -amount_mcr), (account_get(workspace, AccountKind.GRANTS), amount_mcr))
    audit_record(
        actor=actor,
        action="credits.taken",
        workspace=workspace,
        target_kind="transaction",
        target_uuid=fact.uuid,
        data={"amount_mcr": amount_mcr, "reason": reason},
    )
    return fact


def _lot_add(fact: Transaction, wallet: Account, amount_mcr: int, *, source: str) -> None:
    Lot.objects.create(
        account=wallet,
        transaction=fact,
        source=source,
        amount_mcr=amount_mcr,
        remaining_mcr=amount_mcr,
    )
