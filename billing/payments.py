"""Bringing our payments in step with Stripe's.

Each `…_sync_…` fetches what Stripe says now and brings our rows there. It may run any number of
times, beside itself and in any order: a payment grants its credits at most once, in the transaction
that marks it paid, and an older answer never replaces a newer one. No call to Stripe is made while
a row is locked.

Each returns whether credits were granted or taken back. What is not about a payment of ours, or
contradicts it, raises ForeignObject and changes nothing.
"""

from contextlib import suppress
from datetime import timedelta

from django.db import transaction

from billing import stripe_client
from billing.auto_top_ups import auto_top_up_disable
from billing.granting import payment_grant
from billing.matching import (
    Contradiction,
    ForeignObject,
    amount_check,
    payment_metadata,
    payment_named,
    refusal,
)
from billing.models import Payment, PaymentKind, PaymentState, StripeCustomer
from billing.returns import Part, returned_sync, returned_sync_invoice
from billing.stripe_client import StripeObjectMissing
from billing.stripe_objects import Intent, Invoice, InvoiceLine, Session
from billing.subscriptions import subscription_sync
from config.errors import PaymentProviderRefused

# Those that have taken money, are at it, or cannot any more. All others wait for somebody to act.
INTENT_DECIDED = frozenset({"succeeded", "processing", "canceled"})
_INTENT_FAILED = frozenset({"requires_payment_method", "canceled"})


# --- Checkouts --------------------------------------------------------------------------------


def payment_sync_session(*, session_id: str) -> bool:
    session = stripe_client.session_get(session_id=session_id)
    is_paid = session.payment_status == "paid"
    payment = payment_named(session.metadata, customer=session.customer)
    if session.reference != str(payment.workspace.uuid):
        raise ForeignObject("The session is for another workspace than its payment.")
    if payment.checkout_session_id not in (None, session.id):
        raise refusal("The session is not the payment's own.", is_paid=is_paid)
    if session.subscription:
        # First: what lives there keeps a second one from being opened, whatever it costs.
        subscription_sync(subscription_id=session.subscription)
    amount_check(payment, session.amount_cents, session.currency, is_paid=is_paid)
    if session.status == "expired":
        payment_fail(payment, "The checkout was not finished in time.")
        return False
    if session.mode == "subscription":
        return _sync_first_month(payment, session)
    return _sync_purchase(payment, session)


def _sync_purchase(payment: Payment, session: Session) -> bool:
    intent = session.intent
    if session.payment_status == "paid" and intent:
        # `paid` alone counts: a completed checkout may still wait for a bank.
        granted = payment_grant(
            payment, key=f"cs:{session.id}", intent=intent.id, session=session.id
        )
        return _sync_returned(payment, intent) or granted
    if session.status == "complete" and intent and intent.status in _INTENT_FAILED:
        payment_fail(payment, intent.failure or "The payment failed.")
    return False


def _sync_first_month(payment: Payment, session: Session) -> bool:
    if session.invoice is None:
        return False
    invoice = stripe_client.invoice_get(invoice=session.invoice)
    changed = _sync_invoice(invoice)
    # An open page waits for another card; behind a closed one a bank may still be at work.
    if session.status == "complete" and not invoice.is_paid and _is_over(invoice):
        payment_fail(payment, "The payment failed.")
    return changed


def _is_over(invoice: Invoice) -> bool:
    return _is_given_up(invoice) or _open_statuses(invoice) <= _INTENT_FAILED


# --- Intents ----------------------------------------------------------------------------------


def payment_sync_intent(*, intent_id: str) -> bool:
    intent = stripe_client.intent_get(intent=intent_id)
    if session_id := stripe_client.session_of_intent(intent=intent.id):
        return payment_sync_session(session_id=session_id)
    if invoice_ids := stripe_client.invoices_of_intent(intent=intent.id):
        return _sync_invoices(invoice_ids)
    return _sync_top_up(intent)


def _sync_invoices(invoice_ids: list[str]) -> bool:
    changed, refused = False, []
    for invoice_id in invoice_ids:
        try:
            changed |= payment_sync_invoice(invoice_id=invoice_id)
        except ForeignObject as error:
            # The others are paid all the same.
            refused.append(error)
    if refused:
        # What is ours goes first: it must be told, and the rest need not.
        raise next((one for one in refused if isinstance(one, Contradiction)), refused[0])
    return changed


def _sync_top_up(intent: Intent) -> bool:
    is_paid = intent.status == "succeeded"
    payment = payment_named(intent.metadata, customer=intent.customer)
    if payment.kind != PaymentKind.TOP_UP:
        raise ForeignObject("The payment intent is not a top-up's.")
    if payment.payment_intent_id not in (None, intent.id):
        raise refusal("The payment intent is not the payment's own.", is_paid=is_paid)
    amount_check(payment, intent.amount_cents, intent.currency, is_paid=is_paid)
    if is_paid:
        granted = payment_grant(payment, key=f"pi:{intent.id}", intent=intent.id)
        return _sync_returned(payment, intent) or granted
    if intent.status not in INTENT_DECIDED:
        # Nobody is there to act; left alive, it could take money beside the next top-up.
        with suppress(PaymentProviderRefused):
            stripe_client.intent_cancel(intent=intent.id)
        ended = stripe_client.intent_get(intent=intent.id)
        if ended.status != "canceled":
            # Something has just become of it.
            return ended.status in INTENT_DECIDED and _sync_top_up(ended)
    if intent.status != "processing":
        top_up_fail(payment, intent.failure or "The payment failed.")
    return False


# --- Invoices ---------------------------------------------------------------------------------


def payment_sync_invoice(*, invoice_id: str) -> bool:
    return _sync_invoice(stripe_client.invoice_get(invoice=invoice_id))


def _sync_invoice(invoice: Invoice) -> bool:
    if invoice.subscription is None:
        # The receipt of a pack, whose session grants; or an invoice that an operator wrote.
        return False
    first = payment_named(invoice.metadata, customer=invoice.customer)
    if first.kind != PaymentKind.PLAN:
        raise ForeignObject("The subscription is not of a plan.")
    line = _agreed_line(first, invoice)
    payment = first if invoice.is_first else _renewal(first, invoice)
    if payment is None:
        return False
    if payment.invoice_id not in (None, invoice.id):
        raise refusal("The invoice is not the payment's own.", is_paid=invoice.is_paid)
    subscription_sync(subscription_id=invoice.subscription)
    if invoice.is_paid:
        key = f"inv:{invoice.id}:{line.id}"
        # A month that is paid late is a whole month all the same.
        paid_at = invoice.paid_at or line.period_start
        expires_at = max(line.period_end, paid_at + (line.period_end - line.period_start))
        granted = payment_grant(
            payment, key=key, intent=invoice.intent, invoice=invoice.id, expires_at=expires_at
        )
        return returned_sync_invoice(payment=payment, invoice=invoice) or granted
    if not invoice.is_first and _has_failed(invoice):
        payment_fail(payment, "The payment failed.")
    return False


def _agreed_line(first: Payment, invoice: Invoice) -> InvoiceLine:
    """The line of the plan; what was agreed at the checkout holds for every month."""
    is_paid = invoice.is_paid
    lines = [
        line
        for line in invoice.lines
        if line.subscription == invoice.subscription and not line.is_proration
    ]
    if len(lines) != 1:
        count = len(lines)
        raise refusal(f"The invoice has {count} lines of the plan, not one.", is_paid=is_paid)
    if any(line.is_proration or line.amount_cents < 0 for line in invoice.lines):
        # Such as the rest of a month whose credits are spent.
        raise refusal("The invoice gives back a part of another month.", is_paid=is_paid)
    amount_check(first, lines[0].amount_cents, lines[0].currency, is_paid=is_paid)
    return lines[0]


def _renewal(first: Payment, invoice: Invoice) -> Payment | None:
    """The payment of a later month, once there is something to say of it."""
    if not invoice.is_paid and not _has_failed(invoice):
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
    """A bank debit is attempted long before it is paid or refused."""
    if invoice.status == "open" and invoice.was_attempted:
        return "processing" not in _open_statuses(invoice)
    return _is_given_up(invoice)


def _is_given_up(invoice: Invoice) -> bool:
    return invoice.status in {"void", "uncollectible"}


def _open_statuses(invoice: Invoice) -> set[str]:
    """Of the payment intents that are to pay it."""
    intents = [part.intent for part in invoice.parts if part.intent]
    return {stripe_client.intent_get(intent=intent).status for intent in intents}


# --- What becomes of a payment ----------------------------------------------------------------


def payment_settle(*, payment: Payment) -> bool:
    """Ask Stripe what became of one of our payments, and end it when nothing can come of it."""
    try:
        return _settle(payment)
    except StripeObjectMissing:
        _give_up(payment, "Stripe does not have it any more.")
        return False
    except ForeignObject:
        _give_up(payment, "Stripe's side of it is not what was agreed.")
        raise


def _give_up(payment: Payment, reason: str) -> None:
    # A top-up that may have been charged must not be followed by another.
    fail = top_up_fail if payment.kind == PaymentKind.TOP_UP else payment_fail
    fail(payment, reason)


def _settle(payment: Payment) -> bool:
    if payment.invoice_id:
        return payment_sync_invoice(invoice_id=payment.invoice_id)
    if payment.checkout_session_id:
        return payment_sync_session(session_id=payment.checkout_session_id)
    if payment.kind == PaymentKind.TOP_UP:
        intent_id = top_up_intent(payment)
        return intent_id is not None and payment_sync_intent(intent_id=intent_id)
    payment_fail(payment, "The checkout was cut off.")
    return False


def top_up_intent(payment: Payment) -> str | None:
    """What its call made at Stripe; also where the answer never came."""
    if payment.payment_intent_id:
        return payment.payment_intent_id
    row = StripeCustomer.objects.filter(workspace=payment.workspace).first()
    if row is None:
        return None
    made = stripe_client.intents_of_customer(
        customer=row.stripe_id, since=payment.created_at - timedelta(hours=1)
    )
    return next((one.id for one in made if one.metadata == payment_metadata(payment)), None)


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


# --- What was given back ----------------------------------------------------------------------


def payment_sync_refund(*, refund_id: str) -> bool:
    return _sync_charge(stripe_client.charge_of_refund(refund=refund_id))


def payment_sync_dispute(*, dispute_id: str) -> bool:
    return _sync_charge(stripe_client.charge_of_dispute(dispute=dispute_id))


def payment_sync_charge(*, charge_id: str) -> bool:
    """Refunds and disputes. Those of a payment that was not heard of yet wait for its grant."""
    return _sync_charge(charge_id)


def _sync_charge(charge_id: str | None) -> bool:
    charge = stripe_client.charge_get(charge=charge_id) if charge_id else None
    if charge is None or charge.intent is None:
        raise ForeignObject("It is of no payment intent.")
    bought = Payment.objects.filter(payment_intent_id=charge.intent, grant__isnull=False)
    payment = bought.exclude(kind=PaymentKind.PLAN).select_related("workspace").first()
    if payment is None:
        # This grants what is not granted yet, and then looks at the charges. Those of a plan's
        # invoices are found only so.
        return payment_sync_intent(intent_id=charge.intent)
    return returned_sync(payment=payment, parts=[Part(charge.id)])


def _sync_returned(payment: Payment, intent: Intent) -> bool:
    # Also after a grant: the news of a refund may have come, and gone, before it.
    if intent.charge is None:
        return False
    return returned_sync(payment=payment, parts=[Part(intent.charge)])
