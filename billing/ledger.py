"""Writing the ledger: grant, hold, capture, release.

Warning: every function here changes balances and must see its whole effect or none. Each opens (or
joins) one transaction and takes the wallet's row before any other account's, hold's or lot's, so
that all money of a workspace moves in one order. Called twice with the same key, each does its work
once.
"""

from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Workspace
from billing.models import (
    Account,
    AccountKind,
    Entry,
    Hold,
    HoldLot,
    HoldState,
    Lot,
    Transaction,
    TransactionKind,
)
from billing.pricing import credits_text
from config.errors import IdempotencyConflict, InsufficientCredits, ValidationFailed

# Far above any sale and far below what a bigint holds.
_MAX_GRANT_MCR = 10**15


@transaction.atomic
def credits_grant(
    *,
    workspace: Workspace,
    amount_mcr: int,
    source: str,
    idempotency_key: str,
    reason: str = "",
    expires_at: datetime | None = None,
) -> Transaction:
    if not 0 < amount_mcr <= _MAX_GRANT_MCR:
        raise ValidationFailed("A grant must be a positive amount.")
    fact, created = _transaction_once(
        workspace=workspace,
        kind=TransactionKind.GRANT,
        idempotency_key=idempotency_key,
        fingerprint=f"{amount_mcr}:{source}:{expires_at}",
        reason=reason,
    )
    if created:
        wallet = _account(workspace, AccountKind.WALLET)
        _post(fact, wallet, amount_mcr)
        _post(fact, _account(workspace, AccountKind.GRANTS), -amount_mcr)
        Lot.objects.create(
            account=wallet,
            transaction=fact,
            source=source,
            amount_mcr=amount_mcr,
            remaining_mcr=amount_mcr,
            expires_at=expires_at,
        )
    return fact


@transaction.atomic
def credits_hold(*, workspace: Workspace, job_uuid: UUID, amount_mcr: int) -> None:
    """Set credits aside for a job, or raise InsufficientCredits and change nothing."""
    if amount_mcr == 0:
        return
    wallet = _account(workspace, AccountKind.WALLET)
    if Lot.objects.filter(_expired(), account=wallet).exists():
        _expire(wallet)
    taken = Account.objects.filter(pk=wallet.pk, posted_mcr__gte=F("held_mcr") + amount_mcr).update(
        held_mcr=F("held_mcr") + amount_mcr
    )
    if not taken:
        wallet.refresh_from_db()
        raise InsufficientCredits(
            f"This costs {credits_text(amount_mcr)} credits; "
            f"{credits_text(wallet.available_mcr)} are available.",
            data={"required_mcr": amount_mcr, "available_mcr": wallet.available_mcr},
        )
    hold = Hold.objects.create(account=wallet, job_uuid=job_uuid, amount_mcr=amount_mcr)
    _draw_lots(hold)


@transaction.atomic
def hold_capture(*, job_uuid: UUID, amount_mcr: int) -> bool:
    """Turn a job's hold into a charge of at most the held amount; the rest is free again.

    Returns False when there is nothing (any more) to capture.
    """
    hold = _settle(job_uuid, state=HoldState.CAPTURED, captured_mcr=amount_mcr)
    if hold is None:
        return False
    _return_lots(hold, spent_mcr=amount_mcr)
    if amount_mcr:
        fact, _ = _transaction_once(
            workspace=hold.account.workspace,
            kind=TransactionKind.CAPTURE,
            idempotency_key=f"job:{job_uuid}",
            fingerprint=str(amount_mcr),
            job_uuid=job_uuid,
        )
        _post(fact, hold.account, -amount_mcr)
        _post(fact, _account(hold.account.workspace, AccountKind.SALES), amount_mcr)
    return True


@transaction.atomic
def hold_release(*, job_uuid: UUID) -> bool:
    """Give a job's held credits back. Returns False when there is nothing (any more) to release."""
    hold = _settle(job_uuid, state=HoldState.RELEASED, captured_mcr=0)
    if hold is None:
        return False
    _return_lots(hold, spent_mcr=0)
    return True


def lots_expire() -> int:
    """Take out of the wallets what has expired; returns how many wallets that were."""
    wallets = Account.objects.filter(lots__in=Lot.objects.filter(_expired())).distinct()
    for wallet in wallets:
        _expire(wallet)
    return len(wallets)


@transaction.atomic
def _expire(wallet: Account) -> None:
    """What a hold has drawn from a lot does not expire under it; what comes back, does then."""
    Account.objects.select_for_update().get(pk=wallet.pk)
    for lot in Lot.objects.filter(_expired(), account=wallet).order_by("pk"):
        fact, _ = _transaction_once(
            workspace=wallet.workspace,
            kind=TransactionKind.EXPIRE,
            # A lot may expire in parts, when a hold gives back its own after the first.
            idempotency_key=f"lot:{lot.pk}:{uuid4()}",
            fingerprint=str(lot.remaining_mcr),
        )
        _post(fact, wallet, -lot.remaining_mcr)
        _post(fact, _account(wallet.workspace, AccountKind.EXPIRED), lot.remaining_mcr)
        Lot.objects.filter(pk=lot.pk).update(remaining_mcr=0)


def _expired() -> Q:
    return Q(remaining_mcr__gt=0, expires_at__lte=Now())


def _account(workspace: Workspace, kind: AccountKind) -> Account:
    account, _ = Account.objects.get_or_create(workspace=workspace, kind=kind)
    return account


def _transaction_once(
    *,
    workspace: Workspace,
    kind: TransactionKind,
    idempotency_key: str,
    fingerprint: str,
    reason: str = "",
    job_uuid: UUID | None = None,
) -> tuple[Transaction, bool]:
    fact, created = Transaction.objects.get_or_create(
        workspace=workspace,
        kind=kind,
        idempotency_key=idempotency_key,
        defaults={"fingerprint": fingerprint, "reason": reason, "job_uuid": job_uuid},
    )
    if fact.fingerprint != fingerprint:
        raise IdempotencyConflict
    return fact, created


def _post(fact: Transaction, account: Account, amount_mcr: int) -> None:
    Account.objects.filter(pk=account.pk).update(posted_mcr=F("posted_mcr") + amount_mcr)
    # The UPDATE holds the row's lock until the end: this balance is the one after this entry.
    account.refresh_from_db(fields=["posted_mcr"])
    Entry.objects.create(
        transaction=fact, account=account, amount_mcr=amount_mcr, balance_mcr=account.posted_mcr
    )


def _settle(job_uuid: UUID, *, state: HoldState, captured_mcr: int) -> Hold | None:
    """End a pending hold; None when somebody else did so first."""
    hold = Hold.objects.select_related("account__workspace").filter(job_uuid=job_uuid).first()
    if hold is None:
        return None
    if captured_mcr > hold.amount_mcr:
        raise ValueError("a capture cannot exceed its hold")
    # The wallet before the hold: the same order of locks as in credits_hold.
    Account.objects.select_for_update().get(pk=hold.account_id)
    settled = Hold.objects.filter(pk=hold.pk, state=HoldState.PENDING).update(
        state=state, captured_mcr=captured_mcr, settled_at=Now()
    )
    if not settled:
        return None
    Account.objects.filter(pk=hold.account_id).update(held_mcr=F("held_mcr") - hold.amount_mcr)
    return hold


def _draw_lots(hold: Hold) -> None:
    """Allocate the hold to the lots that expire first. The wallet row is locked by the caller."""
    missing = hold.amount_mcr
    lots = Lot.objects.filter(account=hold.account, remaining_mcr__gt=0).order_by(
        F("expires_at").asc(nulls_last=True), "pk"
    )
    for lot in lots:
        part = min(missing, lot.remaining_mcr)
        Lot.objects.filter(pk=lot.pk).update(remaining_mcr=F("remaining_mcr") - part)
        HoldLot.objects.create(hold=hold, lot=lot, amount_mcr=part)
        missing -= part
        if not missing:
            return
    raise RuntimeError("the lots of a wallet hold less than its balance")


def _return_lots(hold: Hold, *, spent_mcr: int) -> None:
    """Give what was not spent back to its lots; the soonest to expire count as spent first."""
    for part in hold.lots.order_by("pk"):
        spent = min(spent_mcr, part.amount_mcr)
        spent_mcr -= spent
        if part.amount_mcr > spent:
            Lot.objects.filter(pk=part.lot_id).update(
                remaining_mcr=F("remaining_mcr") + part.amount_mcr - spent
            )
