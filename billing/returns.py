"""Money that went back, and the credits that go with it: refunds and disputes.

What was returned is a total, not a step: it may be written any number of times, and an older answer
of Stripe's never replaces a newer one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from django.db import transaction
from django.db.models import F

from accounts.audit import SYSTEM, audit_record
from billing import stripe_client
from billing.auto_top_ups import auto_top_up_disable
from billing.clawbacks import grant_clawback_sync
from billing.models import Payment
from billing.stripe_objects import Invoice
from config.errors import PaymentProviderFailed

_FETCHES = 20


@dataclass(frozen=True)
class Part:
    """What a charge brought for a payment: all of it, or so much."""

    charge: str
    amount_cents: int | None = None


def returned_sync_invoice(*, payment: Payment, invoice: Invoice) -> bool:
    """Several charges, and credit that the customer had at Stripe, may have paid it together."""
    parts, other_cents = [], invoice.from_balance_cents
    for row in invoice.parts:
        if row.is_paid:
            charge = row.charge
            if row.intent:
                charge = stripe_client.intent_get(intent=row.intent).charge
            if charge:
                parts.append(Part(charge, row.amount_cents))
            else:
                other_cents += row.amount_cents
    return returned_sync(payment=payment, parts=parts, other_cents=other_cents)


def returned_sync(*, payment: Payment, parts: Sequence[Part], other_cents: int = 0) -> bool:
    """Take back the share of the credits whose money went back; True when that changed something.

    `other_cents` were paid by something that cannot go back to a card.
    """
    if not parts:
        return False
    for _ in range(_FETCHES):
        fetches = Payment.objects.values_list("fetches", flat=True).get(pk=payment.pk)
        written = _write(payment, _share(parts, other_cents), fetches)
        if written is not None:
            return written
    raise PaymentProviderFailed


def _share(parts: Sequence[Part], other_cents: int) -> Fraction:
    """Of what was paid, which may be less than the price: a coupon of the operator's."""
    paid, returned = Fraction(other_cents), Fraction(0)
    for part in parts:
        charge = stripe_client.charge_get(charge=part.charge)
        own_cents = charge.amount_cents
        if part.amount_cents is not None:
            # The charge may have paid other invoices too: each bears its share.
            own_cents = min(own_cents, part.amount_cents)
        paid += own_cents
        returned += Fraction(own_cents * charge.returned_cents, charge.amount_cents)
    return returned / paid if paid else Fraction(0)


@transaction.atomic
def _write(payment: Payment, share: Fraction, fetches: int) -> bool | None:
    """None when something was written since the charges were fetched: it may be newer."""
    row = Payment.objects.select_for_update(of=("self",)).select_related("grant").get(pk=payment.pk)
    returned_cents = int(row.amount_cents * share)
    if row.grant is None or row.returned_cents == returned_cents:
        return False
    if row.fetches != fetches:
        return None
    Payment.objects.filter(pk=row.pk).update(
        returned_cents=returned_cents, fetches=F("fetches") + 1
    )
    if returned_cents > row.returned_cents:
        # Else the lower balance would have the card charged again at once.
        auto_top_up_disable(
            workspace=payment.workspace, reason="A payment was given back or disputed."
        )
    grant_clawback_sync(
        grant=row.grant, total_mcr=int(row.credits_mcr * share), reason=f"Payment {row.uuid}"
    )
    audit_record(
        actor=SYSTEM,
        action="payment.refunded",
        workspace=payment.workspace,
        target_kind="payment",
        target_uuid=payment.uuid,
        data={"currency": payment.currency, "returned_cents": returned_cents},
    )
    return True
