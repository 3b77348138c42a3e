"""Bringing our payments in step with Stripe's.

Each `…_sync_…` fetches what Stripe says now and brings our rows there. It may run any number of
times, beside itself and in any order: a payment grants its credits at most once, in the transaction
that marks it paid, and an older answer never replaces a newer one. No call to Stripe is made while
a row is locked.

What is not about a payment of ours, or contradicts it, raises ForeignObject and changes nothing.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.audit import SYSTEM, audit_record
from billing import stripe_client
from billing.auto_top_ups import auto_top_up_disable
from billing.clawbacks import grant_clawback_sync
from billing.ledger import credits_grant
from billing.matching import ForeignObject, amount_check, payment_named
from billing.models import Payment, PaymentKind, PaymentState
from billing.stripe_objects import Charge, Intent, Invoice, InvoiceLine, Session
from billing.subscriptions import subscription_sync
from config.errors import PaymentProviderFailed

_FETCHES = 20


# --- What was bought --------------------------------------------------------------------------


def payment_sync_session(*, session_id: str) -> None:
    session = stripe_client.session_get(session_id=session_id)
    payment = payment_named(session.metadata, customer=session.customer)
    if session.reference != str(payment.workspace.uuid):
        raise ForeignObject("The session is for another workspace than its payment.")
    if payment.checkout_session_id not in (None, session.id):
        raise ForeignObject("The session is not the payment's own.")
    amount_check(payment, session.amount_cents, session.currency)
    if session.status == "expired":
        payment_fail(payment, "The checkout was not finished in time.")
    elif session.mode == "subscription":
        if session.invoice:
            payment_sync_invoice(invoice_id=session.invoice)
    else:
        _sync_purchase(payment, session)


def _sync_purchase(payment: Payment, session: Session) -> None:
    intent = session.intent
    if session.payment_status == "paid" and intent:
        # `paid` alone counts: a completed checkout may still wait for a bank.
        _grant(payment, key=f"cs:{session.id}", intent=intent.id, session=session.id)
        _sync_returned(payment, intent)
    elif session.status == "complete" and intent and intent.status in _INTENT_FAILED:
        payment_fail(payment, intent.failure or "The payment failed.")


_INTENT_FAILED = frozenset({"requires_payment_method", "canceled"})


def payment_sync_intent(*, intent_id: str) -> None:
    intent = stripe_client.intent_get(intent=intent_id)
    if session_id := stripe_client.session_of_intent(intent=intent.id):
        payment_sync_session(session_id=session_id)
    elif invoice_id := stripe_client.invoice_of_intent(intent=intent.id):
        payment_sync_invoice(invoice_id=invoice_id)
    else:
        _sync_top_up(intent)


def _sync_top_up(intent: Intent) -> None:
    payment = payment_named(intent.metadata, customer=intent.customer)
    if payment.kind != PaymentKind.TOP_UP:
        raise ForeignObject("The payment intent is not a top-up's.")
    if payment.payment_intent_id not in (None, intent.id):
        raise ForeignObject("The payment intent is not the payment's own.")
    amount_check(payment, intent.amount_cents, intent.currency)
    if intent.status == "succeeded":
        _grant(payment, key=f"pi:{intent.id}", intent=intent.id)
        _sync_returned(payment, intent)
    elif intent.status in _INTENT_FAILED | {"requires_action"}:
        # Nobody is there to act.
        top_up_fail(payment, intent.failure or "The payment failed.")


def payment_sync_invoice(*, invoice_id: str) -> None:
    invoice = stripe_client.invoice_get(invoice=invoice_id)
    if invoice.subscription is None:
        # The receipt of a pack, whose session grants; or an invoice that an operator wrote.
        return
    first = payment_named(invoice.metadata, customer=invoice.customer)
    if first.kind != PaymentKind.PLAN:
        raise ForeignObject("The subscription is not of a plan.")
    line = _plan_line(invoice)
    # What was agreed at the checkout holds for every month, whatever became of the plan.
    amount_check(first, line.amount_cents, line.currency)
    payment = first if invoice.is_first else _renewal(first, invoice)
    if payment is None:
        return
    if payment.invoice_id not in (None, invoice.id):
        raise ForeignObject("The invoice is not the payment's own.")
    subscription_sync(subscription_id=invoice.subscription)
    if invoice.status == "paid":
        _grant(
            payment,
            key=f"inv:{invoice.id}:{line.id}",
            intent=invoice.intent,
            invoice=invoice.id,
            expires_at=line.period_end,
        )
        if invoice.intent:
            _sync_returned(payment, stripe_client.intent_get(intent=invoice.intent))
    elif _has_failed(invoice) and not invoice.is_first:
        # The page of the first month stays open for another card, until it expires.
        payment_fail(payment, "The payment failed.")


def _plan_line(invoice: Invoice) -> InvoiceLine:
    lines = [
        line
        for line in invoice.lines
        if line.subscription == invoice.subscription and not line.is_proration
    ]
    if len(lines) != 1:
        raise ForeignObject(f"The invoice has {len(lines)} lines of the plan, not one.")
    return lines[0]


def _renewal(first: Payment, invoice: Invoice) -> Payment | None:
    """The payment of a later month, once there is something to say of it."""
    if invoice.status != "paid" and not _has_failed(invoice):
        return None
    payment, _ = Payment.objects.select_related("workspace").get_or_create(
        invoice_id=invoice.id,
        defaults={
            "workspace": first.workspace,
            "kind": PaymentKind.PLAN,
            "plan": first.plan,
            "credits_mcr": first.credits_mcr,
            "amount_cents": first.amount_cents,
            "currency": first.currency,
        },
    )
    if payment.workspace_id != first.workspace_id:
        raise ForeignObject("The invoice is another workspace's.")
    return payment


def _has_failed(invoice: Invoice) -> bool:
    is_given_up = invoice.status in {"void", "uncollectible"}
    return is_given_up or (invoice.status == "open" and invoice.was_attempted)


def payment_fail(payment: Payment, reason: str) -> bool:
    """Nothing came of it, so far: a later try may still pay it."""
    return bool(
        Payment.objects.filter(pk=payment.pk, state=PaymentState.PENDING).update(
            state=PaymentState.FAILED, failure=reason[:200]
        )
    )


@transaction.atomic
def top_up_fail(payment: Payment, reason: str) -> None:
    """A card that is refused must not be tried for ever: the automatic top-up goes off."""
    if payment_fail(payment, reason):
        auto_top_up_disable(workspace=payment.workspace, reason=reason)


@transaction.atomic
def _grant(
    payment: Payment,
    *,
    key: str,
    intent: str | None,
    session: str | None = None,
    invoice: str | None = None,
    expires_at: datetime | None = None,
) -> None:
    rows = Payment.objects.select_for_update(of=("self",)).annotate(now=Now())
    row = rows.get(pk=payment.pk)
    if row.grant_id is not None:
        return
    if payment.pack and payment.pack.expires_after_days:
        expires_at = row.now + timedelta(days=payment.pack.expires_after_days)
    grant = credits_grant(
        workspace=payment.workspace,
        amount_mcr=row.credits_mcr,
        source=row.kind,
        idempotency_key=key,
        reason=f"Payment {row.uuid}",
        expires_at=expires_at,
    )
    Payment.objects.filter(pk=row.pk).update(
        state=PaymentState.PAID,
        grant=grant,
        paid_at=row.now,
        failure="",
        payment_intent_id=intent or row.payment_intent_id,
        checkout_session_id=session or row.checkout_session_id,
        invoice_id=invoice or row.invoice_id,
    )
    _record(payment, "payment.paid", amount_cents=row.amount_cents, credits_mcr=row.credits_mcr)


def _record(payment: Payment, action: str, **data: int) -> None:
    audit_record(
        actor=SYSTEM,
        action=action,
        workspace=payment.workspace,
        target_kind="payment",
        target_uuid=payment.uuid,
        data={"currency": payment.currency, **data},
    )


# --- What was given back ----------------------------------------------------------------------


def payment_sync_refund(*, refund_id: str) -> None:
    _sync_charge(stripe_client.charge_of_refund(refund=refund_id))


def payment_sync_dispute(*, dispute_id: str) -> None:
    _sync_charge(stripe_client.charge_of_dispute(dispute=dispute_id))


def payment_sync_charge(*, charge_id: str) -> None:
    """Refunds and disputes. Those of a payment that was not heard of yet wait for its grant."""
    _sync_charge(charge_id)


def _sync_charge(charge_id: str | None) -> None:
    charge = stripe_client.charge_get(charge=charge_id) if charge_id else None
    if charge is None or charge.intent is None:
        raise ForeignObject("It is of no payment intent.")
    if not Payment.objects.filter(payment_intent_id=charge.intent, grant__isnull=False).exists():
        # This grants, and then looks at the charge.
        payment_sync_intent(intent_id=charge.intent)
        return
    payment = Payment.objects.select_related("workspace").get(payment_intent_id=charge.intent)
    _put_returned(payment, charge.id)


def _sync_returned(payment: Payment, intent: Intent) -> None:
    # Also after a grant: the news of a refund may have come, and gone, before it.
    if intent.charge:
        _put_returned(payment, intent.charge)


def _put_returned(payment: Payment, charge_id: str) -> None:
    for _ in range(_FETCHES):
        fetches = Payment.objects.values_list("fetches", flat=True).get(pk=payment.pk)
        charge = stripe_client.charge_get(charge=charge_id)
        if _write_returned(payment, charge, fetches):
            return
    raise PaymentProviderFailed


@transaction.atomic
def _write_returned(payment: Payment, charge: Charge, fetches: int) -> bool:
    """False when something was written since the charge was fetched: it may be newer."""
    row = Payment.objects.select_for_update(of=("self",)).select_related("grant").get(pk=payment.pk)
    # Of what was charged, which may be less than the price: a coupon of the operator's.
    returned_cents = row.amount_cents * charge.returned_cents // charge.amount_cents
    if row.grant is None or row.returned_cents == returned_cents:
        return True
    if row.fetches != fetches:
        return False
    Payment.objects.filter(pk=row.pk).update(
        returned_cents=returned_cents, fetches=F("fetches") + 1
    )
    grant_clawback_sync(
        grant=row.grant,
        total_mcr=row.credits_mcr * charge.returned_cents // charge.amount_cents,
        reason=f"Payment {row.uuid}",
    )
    _record(payment, "payment.refunded", returned_cents=returned_cents)
    return True
