"""What all movements of credits share: the locked wallet, postings, lots, debt.

Each function expects to run inside a transaction, and, but for `wallet_lock`, that the wallet is
locked. Whoever has that lock is the only one to write accounts, holds, lots or key spends of the
workspace; so what they read after taking it stays true until they commit.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor
from accounts.models import Workspace
from accounts.ready_made import ReadyMade
from billing.models import Account, AccountKind, Entry, Lot, Transaction, TransactionKind
from billing.selectors import debt_get
from config.errors import IdempotencyConflict, Text, ValidationFailed, filled

# Far above any sale and far below what a bigint holds.
_MAX_MCR = 10**15
_MAX_REASON = 200
# Mostly enough; more are read when these do not hold what is needed.
_LOTS_AT_ONCE = 50


_WALLET = ReadyMade(
    Account,
    """
SELECT {columns} FROM billing_account WHERE workspace_id = %s AND kind = 'wallet'
FOR NO KEY UPDATE
""",
)
# As `lots_open`; and whether each is due.
_LOTS = ReadyMade(
    Lot,
    """
SELECT {columns}, COALESCE(expires_at <= statement_timestamp(), false) FROM billing_lot
WHERE account_id = %s AND remaining_mcr > 0 ORDER BY expires_at NULLS LAST, id LIMIT %s
""",
)


@dataclass(frozen=True)
class Part:
    """What was drawn from a lot."""

    lot: Lot
    amount_mcr: int


def amount_check(amount_mcr: int, *, what: Text) -> None:
    # `type`: a bool is an int too, and NaN compares as it likes.
    if type(amount_mcr) is not int or not 0 < amount_mcr <= _MAX_MCR:
        raise ValidationFailed(
            filled(
                _("%(what)s must be a positive whole number of milli-credits, at most %(most)s."),
                what=what,
                most=_MAX_MCR,
            )
        )


def reason_check(reason: str, *, actor: Actor) -> None:
    if actor.kind == "operator" and not reason.strip():
        raise ValidationFailed(_("Say why: the reason is kept in the ledger."))
    if len(reason) > _MAX_REASON or "\x00" in reason:
        raise ValidationFailed(
            filled(_("A reason is a text of at most %(most)s characters."), most=_MAX_REASON)
        )


def wallet_lock(workspace: Workspace) -> Account:
    """The workspace's wallet, which nobody else can change until this transaction ends."""
    wallet = _WALLET.first(workspace.pk)
    if wallet is None:
        account_get(workspace, AccountKind.WALLET)
        (wallet,) = _WALLET.all(workspace.pk)
    wallet.workspace = workspace
    return wallet


def account_get(workspace: Workspace, kind: AccountKind) -> Account:
    account, _is_new = Account.objects.get_or_create(workspace=workspace, kind=kind)
    return account


def transaction_once(
    *,
    workspace: Workspace,
    kind: TransactionKind,
    idempotency_key: str,
    fingerprint: str,
    reason: str = "",
    job_uuid: UUID | None = None,
    reverses: Transaction | None = None,
) -> tuple[Transaction, bool]:
    facts = Transaction.objects.filter(
        workspace=workspace, kind=kind, idempotency_key=idempotency_key
    )
    # Nobody can come in between: the wallet is locked.
    fact = facts.first()
    if fact is None:
        fact = Transaction.objects.create(
            workspace=workspace,
            kind=kind,
            idempotency_key=idempotency_key,
            fingerprint=fingerprint,
            reason=reason,
            job_uuid=job_uuid,
            reverses=reverses,
        )
        return fact, True
    if fact.fingerprint != fingerprint:
        raise IdempotencyConflict
    return fact, False


def post(fact: Transaction, *postings: tuple[Account, int]) -> None:
    """Write the entries of a transaction; the accounts' balances follow in memory too."""
    entries = []
    for account, amount_mcr in postings:
        if amount_mcr:
            Account.objects.filter(pk=account.pk).update(posted_mcr=F("posted_mcr") + amount_mcr)
            account.posted_mcr += amount_mcr
            entries.append(
                Entry(
                    transaction=fact,
                    account=account,
                    amount_mcr=amount_mcr,
                    balance_mcr=account.posted_mcr,
                )
            )
    Entry.objects.bulk_create(entries)


def lots_open(wallet: Account) -> QuerySet[Lot]:
    """The lots with something left, in the order in which they are spent."""
    return Lot.objects.filter(account=wallet, remaining_mcr__gt=0).order_by(
        F("expires_at").asc(nulls_last=True), "pk"
    )


def lots_first(wallet: Account) -> list[Lot]:
    """The lots to draw from, once those that are due have expired."""
    rows = _LOTS.rows(wallet.pk, _LOTS_AT_ONCE)
    is_due = any(is_due for _row, (is_due,) in rows[:1])
    if is_due:
        lots_expire_due(wallet)
        return list(lots_open(wallet)[:_LOTS_AT_ONCE])
    return [lot for lot, _ in rows]


def lots_plan(wallet: Account, amount_mcr: int, *, lots: list[Lot]) -> list[Part]:
    """From which lots an amount comes. `lots` are the first of those with something left."""
    if sum(lot.remaining_mcr for lot in lots) < amount_mcr:
        lots = list(lots_open(wallet))
    parts = []
    for lot in lots:
        part = Part(lot, min(amount_mcr, lot.remaining_mcr))
        parts.append(part)
        amount_mcr -= part.amount_mcr
        if not amount_mcr:
            return parts
    raise RuntimeError("the lots of a wallet hold less than its balance")


def lots_spend(wallet: Account, amount_mcr: int) -> None:
    """Take credits for good out of the lots that expire first."""
    if not amount_mcr:
        return
    lots = list(lots_open(wallet)[:_LOTS_AT_ONCE])
    for part in lots_plan(wallet, amount_mcr, lots=lots):
        Lot.objects.filter(pk=part.lot.pk).update(
            remaining_mcr=F("remaining_mcr") - part.amount_mcr,
            spent_mcr=F("spent_mcr") + part.amount_mcr,
        )


def lots_due() -> Q:
    return Q(remaining_mcr__gt=0, expires_at__lte=Now())


def lots_expire_due(wallet: Account) -> None:
    """What a hold has drawn from a lot does not expire under it; what comes back, does then."""
    for lot in Lot.objects.filter(lots_due(), account=wallet).order_by("pk"):
        fact, _is_new = transaction_once(
            workspace=wallet.workspace,
            kind=TransactionKind.EXPIRE,
            # A lot may expire in parts, when a hold gives back its own after the first.
            idempotency_key=f"lot:{lot.pk}:{lot.expired_mcr}",
            fingerprint=str(lot.remaining_mcr),
        )
        Lot.objects.filter(pk=lot.pk).update(
            remaining_mcr=0, expired_mcr=F("expired_mcr") + lot.remaining_mcr
        )
        expired = account_get(wallet.workspace, AccountKind.EXPIRED)
        post(fact, (wallet, -lot.remaining_mcr), (expired, lot.remaining_mcr))


def debt_repay(wallet: Account, *, cause: Transaction | UUID) -> None:
    """Credits that came free pay what is owed, before anybody can spend them.

    With this at the end of all that frees credits, a wallet with debt has nothing available.
    """
    if not wallet.available_mcr:
        return
    debt_mcr = debt_get(workspace=wallet.workspace)
    paid_mcr = min(debt_mcr, wallet.available_mcr)
    if not paid_mcr:
        return
    fact, _is_new = transaction_once(
        workspace=wallet.workspace,
        kind=TransactionKind.REPAY,
        idempotency_key=f"after:{cause if isinstance(cause, UUID) else cause.uuid}",
        fingerprint=str(paid_mcr),
    )
    lots_spend(wallet, paid_mcr)
    clawback = account_get(wallet.workspace, AccountKind.CLAWBACK)
    post(fact, (wallet, -paid_mcr), (clawback, paid_mcr))
