"""New prices. What was a price stays in the list for good: a change is a row that holds from a
moment on."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor, audit_record
from accounts.models import Workspace
from billing.models import Price, PriceUnit
from config.errors import ValidationFailed, WrongState, filled

# As the database has it.
_MAX_MCR = 10**12


def price_set(
    *,
    service: str,
    unit: str,
    amount_mcr: int,
    quantity: int,
    workspace: Workspace | None,
    effective_from: datetime | None,
    reason: str,
    actor: Actor,
) -> Price:
    """A price from a moment on, for all or for one workspace; without a moment, from now."""
    if not Price.objects.filter(service=service, workspace=None).exists():
        raise ValidationFailed(
            filled(_("There is no price of %(service)s to change."), service=service)
        )
    if unit not in PriceUnit.values or not 0 <= amount_mcr <= _MAX_MCR or quantity < 1:
        raise ValidationFailed(_("A price is an amount for a number of units."))
    now = timezone.now()
    starts_at = effective_from or now
    if starts_at < now:
        raise ValidationFailed(_("A price cannot begin in the past: jobs were ordered since."))
    try:
        with transaction.atomic():
            price = Price.objects.create(
                service=service,
                unit=unit,
                amount_mcr=amount_mcr,
                quantity=quantity,
                workspace=workspace,
                effective_from=starts_at,
            )
            audit_record(
                actor=actor,
                action="price.set",
                workspace=workspace,
                target_kind="price",
                data={
                    "service": service,
                    "unit": unit,
                    "amount_mcr": amount_mcr,
                    "quantity": quantity,
                    "effective_from": starts_at.isoformat(),
                    "reason": reason,
                },
            )
    except IntegrityError:
        raise WrongState(_("There is a price from that very moment already.")) from None
    return price
