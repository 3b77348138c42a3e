"""What a workspace wants of the automatic top-up. Buying is in billing/top_ups.py."""

from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Now, TruncMonth
from django.utils.translation import gettext_lazy as _

from accounts.audit import SYSTEM, Actor, audit_record
from accounts.models import Workspace
from billing import stripe_client
from billing.models import (
    AutoTopUp,
    NoticeKind,
    Pack,
    Payment,
    PaymentKind,
    PaymentState,
    StripeCustomer,
)
from billing.notices import notices_write
from billing.shop import pack_get
from config.errors import (
    NoSavedCard,
    PaymentsUnavailable,
    Text,
    ValidationFailed,
    WrongState,
    filled,
)

# Far above any sale.
_MAX_THRESHOLD_MCR = 10**12
_MAX_CEILING_CENTS = 10**8
# Top-ups that count towards the ceiling of this month (UTC).
_THIS_MONTH = TruncMonth(Now(), tzinfo=UTC)
COUNTED = Q(state=PaymentState.PENDING) | Q(state=PaymentState.PAID, paid_at__gte=_THIS_MONTH)


@dataclass(frozen=True)
class TopUpWish:
    is_enabled: bool
    threshold_mcr: int
    pack: str
    monthly_ceiling_cents: int


def auto_top_up_get(*, workspace: Workspace) -> AutoTopUp | None:
    return AutoTopUp.objects.select_related("pack").filter(workspace=workspace).first()


def auto_top_up_last(*, workspace: Workspace) -> Payment | None:
    rows = Payment.objects.filter(workspace=workspace, kind=PaymentKind.TOP_UP)
    return rows.order_by("-pk").first()


def auto_top_ups_cents(*, workspace: Workspace) -> int:
    """What top-ups have cost this month, or are about to."""
    rows = Payment.objects.filter(COUNTED, workspace=workspace, kind=PaymentKind.TOP_UP)
    sums: dict[str, int] = rows.aggregate(cents=Sum("amount_cents", default=0))
    return sums["cents"]


def auto_top_up_put(*, workspace: Workspace, actor: Actor, wish: TopUpWish) -> AutoTopUp:
    pack = pack_get(code=wish.pack)
    if not 0 < wish.threshold_mcr <= _MAX_THRESHOLD_MCR:
        raise _wrong("threshold_mcr", _("This must be more than nothing, up to 1,000,000,000."))
    if not 0 < wish.monthly_ceiling_cents <= _MAX_CEILING_CENTS:
        raise _wrong(
            "monthly_ceiling_cents",
            filled(_("This must be from 1 to %(most)s."), most=_MAX_CEILING_CENTS),
        )
    if wish.monthly_ceiling_cents < pack.price_cents:
        problem = filled(_("This is less than one pack costs, %(cents)s."), cents=pack.price_cents)
        raise _wrong("monthly_ceiling_cents", problem)
    if wish.is_enabled and card_of(workspace=workspace) is None:
        raise NoSavedCard
    with transaction.atomic():
        _require_unchanged(pack)
        AutoTopUp.objects.update_or_create(
            workspace=workspace,
            defaults={
                "is_enabled": wish.is_enabled,
                "threshold_mcr": wish.threshold_mcr,
                "pack": pack,
                "monthly_ceiling_cents": wish.monthly_ceiling_cents,
                "disabled_reason": "",
            },
        )
        audit_record(
            actor=actor,
            action="auto_top_up.changed",
            workspace=workspace,
            target_kind="auto_top_up",
            data={
                "is_enabled": wish.is_enabled,
                "threshold_mcr": wish.threshold_mcr,
                "pack": pack.code,
                "monthly_ceiling_cents": wish.monthly_ceiling_cents,
            },
        )
    return AutoTopUp.objects.select_related("pack").get(workspace=workspace)


@transaction.atomic
def auto_top_up_disable(*, workspace: Workspace, reason: str) -> None:
    if AutoTopUp.objects.filter(workspace=workspace, is_enabled=True).update(
        is_enabled=False, disabled_reason=reason[:200]
    ):
        audit_record(
            actor=SYSTEM,
            action="auto_top_up.disabled",
            workspace=workspace,
            target_kind="auto_top_up",
            data={"reason": reason[:200]},
        )
        notices_write(
            workspace=workspace, kind=NoticeKind.TOP_UP_OFF, data={"reason": reason[:200]}
        )


def card_of(*, workspace: Workspace) -> str | None:
    """The saved card that a top-up would charge."""
    if not stripe_client.is_configured():
        raise PaymentsUnavailable
    row = StripeCustomer.objects.filter(workspace=workspace).first()
    return stripe_client.customer_card(customer=row.stripe_id) if row else None


def _require_unchanged(pack: Pack) -> None:
    """What was agreed to is what is offered; it cannot change until this transaction ends."""
    now = Pack.objects.select_for_update(no_key=True).get(pk=pack.pk)
    if _terms(now) != _terms(pack):
        raise WrongState(_("The pack has just changed; look at it again."))


def _terms(pack: Pack) -> tuple[Any, ...]:
    return pack.is_active, pack.price_cents, pack.credits_mcr, pack.expires_after_days


def _wrong(field: str, problem: Text) -> ValidationFailed:
    return ValidationFailed(fields={field: [problem]})
