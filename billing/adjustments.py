"""Credits that operators give and take by hand: shown before they are booked, booked once, and
above a limit only when a second operator agrees.

What is shown is what would be written: it is written, read, and rolled back.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import BigIntegerField, QuerySet, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Now
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor, audit_record
from accounts.models import AuditEvent, User, Workspace
from billing.clawbacks import capture_refund, credits_take
from billing.ledger import credits_grant
from billing.models import (
    AdjustmentKind,
    AdjustmentState,
    Entry,
    PendingAdjustment,
    Transaction,
    TransactionKind,
)
from billing.pricing import MCR_PER_CREDIT, OPERATOR_CREDITS_MAX
from config.errors import NotAllowed, NotFound, ValidationFailed, WrongState, filled

# Of what one operator may give alone.
_SPAN = timedelta(days=1)
_GIVEN = ("credits.granted", "credits.refunded")


@dataclass(frozen=True)
class Adjustment:
    workspace: Workspace
    kind: AdjustmentKind
    amount_mcr: int
    # With the number of a ticket or the like.
    reason: str
    job_uuid: UUID | None = None
    expires_at: datetime | None = None

    @property
    def kind_of_fact(self) -> TransactionKind:
        """As the ledger calls it."""
        is_taken = self.kind == AdjustmentKind.TAKE
        return TransactionKind.ADJUST if is_taken else TransactionKind(self.kind)


@dataclass(frozen=True)
class Line:
    """An entry of the ledger that would be written."""

    kind: str
    account: str
    amount_mcr: int
    balance_mcr: int


def adjustment_preview(*, adjustment: Adjustment, actor: Actor) -> list[Line]:
    """The lines that the ledger would get; raises what booking it would raise."""
    with transaction.atomic():
        fact = _book(adjustment, key=f"preview:{uuid4()}", actor=actor)
        # The wallet is locked: all that is newer comes of this.
        entries = Entry.objects.filter(
            transaction__workspace=adjustment.workspace, transaction__pk__gte=fact.pk
        )
        lines = [
            Line(row.transaction.kind, row.account.kind, row.amount_mcr, row.balance_mcr)
            for row in entries.select_related("transaction", "account").order_by("pk")
        ]
        transaction.set_rollback(True)
    return lines


def needs_second_operator(*, adjustment: Adjustment, operator: User) -> bool:
    limit_mcr = settings.CONSOLE_GRANT_LIMIT * MCR_PER_CREDIT
    if adjustment.kind == AdjustmentKind.TAKE:
        return adjustment.amount_mcr > limit_mcr
    # All of a day, so that a large gift in small parts is a large gift.
    return adjustment.amount_mcr + _given_alone_mcr(operator) > limit_mcr


@transaction.atomic
def adjustment_make(
    *, adjustment: Adjustment, operator: User, actor: Actor, token: UUID
) -> Transaction | PendingAdjustment:
    """Book it, or have it wait for a second operator. The same token again changes nothing."""
    # Two at the same time could both fit below the limit.
    User.objects.select_for_update(no_key=True).get(pk=operator.pk)
    pending = PendingAdjustment.objects.filter(token=token).first()
    if pending is not None:
        return pending
    key = f"console:{token}"
    known = Transaction.objects.filter(
        workspace=adjustment.workspace, kind=adjustment.kind_of_fact, idempotency_key=key
    )
    if not known.exists() and needs_second_operator(adjustment=adjustment, operator=operator):
        return _ask(adjustment, operator, actor, token)
    return _book(adjustment, key=key, actor=actor)


def adjustment_list(*, state: str | None = None) -> QuerySet[PendingAdjustment]:
    rows = PendingAdjustment.objects.select_related("workspace", "requested_by", "decided_by")
    if state is not None:
        rows = rows.filter(state=state)
    return rows.order_by("-pk")


def adjustment_of(pending: PendingAdjustment) -> Adjustment:
    return Adjustment(
        workspace=pending.workspace,
        kind=AdjustmentKind(pending.kind),
        amount_mcr=pending.amount_mcr,
        reason=pending.reason,
        job_uuid=pending.job_uuid,
        expires_at=pending.expires_at,
    )


@transaction.atomic
def adjustment_decide(
    *, adjustment_uuid: UUID, is_approved: bool, operator: User, actor: Actor
) -> PendingAdjustment:
    """Agree to what another operator asked for, or not; who asked may only take it back."""
    pending = (
        PendingAdjustment.objects.select_for_update(of=("self",))
        .select_related("workspace", "requested_by")
        .filter(uuid=adjustment_uuid)
        .first()
    )
    if pending is None:
        raise NotFound(_("There is no such request."))
    if pending.state != AdjustmentState.PENDING:
        raise WrongState(_("This was decided already."))
    asker = pending.requested_by
    fact = None
    if is_approved:
        if asker is None or not (asker.is_active and asker.is_staff):
            raise NotAllowed(_("Whoever asked for this is no operator any more."))
        if asker.pk == operator.pk:
            raise NotAllowed(_("Another operator than the one who asked has to agree."))
        # The act is theirs who asked; that another agreed is written beside it.
        key = f"approved:{pending.uuid}"
        fact = _book(adjustment_of(pending), key=key, actor=Actor.of_operator(asker))
    state = AdjustmentState.APPROVED if is_approved else AdjustmentState.REJECTED
    PendingAdjustment.objects.filter(pk=pending.pk).update(
        state=state, fact=fact, decided_by=operator, decided_at=Now()
    )
    _record(f"adjustment.{state}", pending, actor=actor)
    pending.refresh_from_db()
    return pending


def _ask(adjustment: Adjustment, operator: User, actor: Actor, token: UUID) -> PendingAdjustment:
    # Nobody shall agree to what cannot be booked.
    adjustment_preview(adjustment=adjustment, actor=actor)
    pending = PendingAdjustment.objects.create(
        token=token,
        workspace=adjustment.workspace,
        kind=adjustment.kind,
        amount_mcr=adjustment.amount_mcr,
        reason=adjustment.reason,
        job_uuid=adjustment.job_uuid,
        expires_at=adjustment.expires_at,
        requested_by=operator,
    )
    _record("adjustment.requested", pending, actor=actor)
    return pending


def _book(adjustment: Adjustment, *, key: str, actor: Actor) -> Transaction:
    if adjustment.amount_mcr > OPERATOR_CREDITS_MAX * MCR_PER_CREDIT:
        raise ValidationFailed(
            filled(_("At most %(most)s credits at a time."), most=OPERATOR_CREDITS_MAX)
        )
    workspace, amount_mcr = adjustment.workspace, adjustment.amount_mcr
    match adjustment.kind:
        case AdjustmentKind.GRANT:
            return credits_grant(
                workspace=workspace,
                amount_mcr=amount_mcr,
                source="operator",
                idempotency_key=key,
                reason=adjustment.reason,
                expires_at=adjustment.expires_at,
                actor=actor,
            )
        case AdjustmentKind.TAKE:
            return credits_take(
                workspace=workspace,
                amount_mcr=amount_mcr,
                reason=adjustment.reason,
                idempotency_key=key,
                actor=actor,
            )
        case AdjustmentKind.REFUND:
            if adjustment.job_uuid is None:
                raise ValidationFailed(_("Name the job whose charge is refunded."))
            return capture_refund(
                job_uuid=adjustment.job_uuid,
                amount_mcr=amount_mcr,
                reason=adjustment.reason,
                idempotency_key=key,
                actor=actor,
            )


def _given_alone_mcr(operator: User) -> int:
    """What the operator gave in a day, but for what a second one agreed to."""
    # First: what a second one agrees to between the two looks then counts too much, not too little.
    agreed = PendingAdjustment.objects.filter(
        requested_by=operator,
        state=AdjustmentState.APPROVED,
        decided_at__gt=Now() - _SPAN,
    ).exclude(kind=AdjustmentKind.TAKE)
    agreed_mcr = int(agreed.aggregate(sum=Sum("amount_mcr", default=0))["sum"])
    # Along the index of actors: newest first.
    events = AuditEvent.objects.filter(
        actor_uuid=operator.uuid, action__in=_GIVEN, created_at__gt=Now() - _SPAN
    )
    amount = Cast(KT("data__amount_mcr"), BigIntegerField())
    return int(events.aggregate(sum=Sum(amount, default=0))["sum"]) - agreed_mcr


def _record(action: str, pending: PendingAdjustment, *, actor: Actor) -> None:
    audit_record(
        actor=actor,
        action=action,
        workspace=pending.workspace,
        target_kind="adjustment",
        target_uuid=pending.uuid,
        data={
            "kind": pending.kind,
            "amount_mcr": pending.amount_mcr,
            "reason": pending.reason,
            "requested_by": pending.requested_by.email if pending.requested_by else None,
        },
    )
