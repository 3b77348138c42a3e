"""Looking at Stripe for payments whose events never came, or could not be handled."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import structlog
from django.db.models.functions import Now

from billing import stripe_client
from billing.matching import ForeignObject
from billing.models import (
    Payment,
    PaymentKind,
    PaymentReconciliation,
    PaymentState,
    StripeEvent,
    Subscription,
)
from billing.payments import (
    payment_fail,
    payment_sync_charge,
    payment_sync_invoice,
    payment_sync_session,
)
from billing.subscriptions import ENDED, subscription_sync
from config.errors import AppError

log = structlog.get_logger(__name__)

# Stripe repeats an event for three days.
_LOOK_BACK = timedelta(days=4)
_EVERY = timedelta(days=1)
_LASTS_AT_MOST = timedelta(minutes=5)
# Checkouts that are not paid expire in a day.
_ABANDONED_AFTER = timedelta(days=2)


def is_payment_reconciliation_due() -> bool:
    if not stripe_client.is_configured():
        return False
    recent = PaymentReconciliation.objects.filter(started_at__gt=Now() - _EVERY)
    # One that was killed is begun again; it finds settled what it had settled.
    running = recent.filter(started_at__gt=Now() - _LASTS_AT_MOST)
    return not (recent.filter(finished_at__isnull=False).exists() or running.exists())


def payments_reconcile() -> list[str]:
    """Settle what was missed; returns the ids of Stripe's objects that changed something."""
    run = PaymentReconciliation.objects.create()
    run.refresh_from_db()
    since = run.started_at - _LOOK_BACK
    found = [*_sessions(since), *_invoices(since), *_charges(since)]
    _abandoned_end()
    for subscription in Subscription.objects.exclude(status__in=ENDED):
        _try(subscription.stripe_id, lambda id: subscription_sync(subscription_id=id))
    if found:
        log.error("payments_missed", found=found)
    PaymentReconciliation.objects.filter(pk=run.pk).update(finished_at=Now(), found=found)
    return found


def _sessions(since: datetime) -> Iterator[str]:
    for session in stripe_client.sessions_paid(since=since):
        granted = Payment.objects.filter(checkout_session_id=session.id, grant__isnull=False)
        if session.mode == "payment" and not granted.exists():
            _try(session.id, lambda id: payment_sync_session(session_id=id))
            if granted.exists():
                yield session.id


def _invoices(since: datetime) -> Iterator[str]:
    for invoice in stripe_client.invoices_paid(since=since):
        granted = Payment.objects.filter(invoice_id=invoice.id, grant__isnull=False)
        if invoice.subscription and not granted.exists():
            _try(invoice.id, lambda id: payment_sync_invoice(invoice_id=id))
            if granted.exists():
                yield invoice.id


def _charges(since: datetime) -> Iterator[str]:
    for found in stripe_client.returns_list(since=since):
        heard = StripeEvent.objects.filter(object_id=found.id, processed_at__isnull=False)
        if heard.exists():
            continue
        rows = Payment.objects.filter(payment_intent_id=found.intent).values_list("returned_cents")
        before = rows.first()
        _try(found.charge, lambda id: payment_sync_charge(charge_id=id))
        if rows.first() != before:
            yield found.charge


def _abandoned_end() -> None:
    old = Payment.objects.filter(
        state=PaymentState.PENDING,
        kind__in=[PaymentKind.PACK, PaymentKind.PLAN],
        created_at__lt=Now() - _ABANDONED_AFTER,
    )
    for payment in old:
        if payment.checkout_session_id is None:
            payment_fail(payment, "The checkout was cut off.")
        else:
            _try(payment.checkout_session_id, lambda id: payment_sync_session(session_id=id))


def _try(object_id: str, sync: Callable[[str], None]) -> None:
    """One that fails does not hold up the others."""
    try:
        sync(object_id)
    except ForeignObject:
        # Another product's, on the same account.
        pass
    except AppError:
        log.exception("payment_reconciling_failed", id=object_id)
