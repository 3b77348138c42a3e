"""What a workspace wants to be told of credits that run low, and when it is time to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import BigIntegerField, Exists, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor, audit_record
from accounts.models import Workspace
from billing.models import (
    Account,
    AccountKind,
    CreditAlert,
    NoticeKind,
    Payment,
    PaymentKind,
    PaymentState,
)
from billing.notices import notices_write
from billing.posting import wallet_lock
from billing.pricing import credits_text
from config.errors import ValidationFailed

# Far above any sale.
_MAX_THRESHOLD_MCR: Final = 10**12
_AT_ONCE: Final = 100


@dataclass(frozen=True)
class Told:
    """That credits have run low: of which workspace, and what was left."""

    workspace: Workspace
    available_mcr: int
    threshold_mcr: int
    at: datetime


def credit_alert_get(*, workspace: Workspace) -> CreditAlert | None:
    return CreditAlert.objects.filter(workspace=workspace).first()


def credits_low_get(*, workspace: Workspace) -> CreditAlert | None:
    """The alert, while there are fewer credits than it names."""
    return _enabled().filter(workspace=workspace, available_mcr__lt=F("threshold_mcr")).first()


@transaction.atomic
def credit_alert_put(
    *, workspace: Workspace, actor: Actor, is_enabled: bool, threshold_mcr: int
) -> CreditAlert:
    if not 0 < threshold_mcr <= _MAX_THRESHOLD_MCR:
        problem = _("This must be more than nothing, up to 1,000,000,000.")
        raise ValidationFailed(fields={"threshold_mcr": [problem]})
    # Nobody is told what they see while they write this.
    is_armed = wallet_lock(workspace).available_mcr >= threshold_mcr
    alert, _created = CreditAlert.objects.update_or_create(
        workspace=workspace,
        defaults={
            "is_enabled": is_enabled,
            "threshold_mcr": threshold_mcr,
            "is_armed": is_armed,
        },
    )
    audit_record(
        actor=actor,
        action="credit_alert.changed",
        workspace=workspace,
        target_kind="credit_alert",
        data={"is_enabled": is_enabled, "threshold_mcr": threshold_mcr},
    )
    return alert


def has_credit_alerts_to_run() -> bool:
    return _low().exists() or _recovered().exists()


def credit_alerts_rearm() -> None:
    """Where there is enough again, the next fall is told again."""
    CreditAlert.objects.filter(pk__in=_recovered().values("pk")).update(is_armed=True)


def credit_alerts_low() -> list[int]:
    """The keys of those that are to be told now."""
    return list(_low().values_list("pk", flat=True)[:_AT_ONCE])


def credit_alert_tell(pk: int) -> Told | None:
    """Owe its members their mails, once however many try; None when there is nothing to tell.

    Call it in a transaction: who else has to hear of it is written there too.
    """
    row = CreditAlert.objects.select_related("workspace").get(pk=pk)
    # Nothing is booked between this look and the end of the transaction.
    available_mcr = wallet_lock(row.workspace).available_mcr
    changed = CreditAlert.objects.filter(
        pk=pk, is_enabled=True, is_armed=True, threshold_mcr__gt=available_mcr
    ).update(is_armed=False, told_at=Now())
    if not changed:
        return None
    row.refresh_from_db()
    assert row.told_at is not None  # noqa: S101 - it was set above
    notices_write(
        workspace=row.workspace,
        kind=NoticeKind.CREDITS_LOW,
        data={
            "available": credits_text(available_mcr),
            "threshold": credits_text(row.threshold_mcr),
        },
    )
    return Told(row.workspace, available_mcr, row.threshold_mcr, row.told_at)


def _enabled() -> QuerySet[Any]:
    wallet = Account.objects.filter(workspace=OuterRef("workspace"), kind=AccountKind.WALLET)
    available = wallet.values(available=F("posted_mcr") - F("held_mcr"))
    return CreditAlert.objects.filter(is_enabled=True).annotate(
        available_mcr=Coalesce(Subquery(available, output_field=BigIntegerField()), 0)
    )


def _low() -> QuerySet[CreditAlert]:
    # What an automatic top-up is about to buy may make the mail needless.
    buying = Payment.objects.filter(
        workspace=OuterRef("workspace"), kind=PaymentKind.TOP_UP, state=PaymentState.PENDING
    )
    low = _enabled().filter(is_armed=True, available_mcr__lt=F("threshold_mcr"))
    return low.filter(~Exists(buying)).order_by("pk")


def _recovered() -> QuerySet[CreditAlert]:
    return _enabled().filter(is_armed=False, available_mcr__gte=F("threshold_mcr"))
