"""Events of Stripe's: stored once when they come, handled by a worker that refetches.

Of an event only its type and the id of its object count. What the object is now is asked of Stripe,
so that events may come late, twice, in any order, or not at all.
"""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from billing import stripe_client
from billing.matching import Contradiction, ForeignObject
from billing.models import StripeEvent
from billing.payments import (
    payment_sync_charge,
    payment_sync_dispute,
    payment_sync_intent,
    payment_sync_invoice,
    payment_sync_refund,
    payment_sync_session,
)
from billing.stripe_client import StripeObjectMissing
from billing.subscriptions import subscription_sync
from config.errors import PaymentProviderFailed

log = structlog.get_logger(__name__)

# With the pauses below: about half a day. The nightly reconciliation looks for the rest.
_MAX_ATTEMPTS = 20
_FIRST_PAUSE_S = 5
_LONGEST_PAUSE_S = 3600
# A task of the `default` cluster ends in time to leave room for its slowest call.
_TASK_S = 10.0


def _session(object_id: str) -> None:
    payment_sync_session(session_id=object_id)


def _intent(object_id: str) -> None:
    payment_sync_intent(intent_id=object_id)


def _invoice(object_id: str) -> None:
    payment_sync_invoice(invoice_id=object_id)


def _charge(object_id: str) -> None:
    payment_sync_charge(charge_id=object_id)


def _refund(object_id: str) -> None:
    payment_sync_refund(refund_id=object_id)


def _dispute(object_id: str) -> None:
    payment_sync_dispute(dispute_id=object_id)


def _subscription(object_id: str) -> None:
    subscription_sync(subscription_id=object_id)


HANDLERS: Mapping[str, Callable[[str], None]] = {
    "checkout.session.completed": _session,
    "checkout.session.async_payment_succeeded": _session,
    "checkout.session.async_payment_failed": _session,
    "checkout.session.expired": _session,
    "payment_intent.succeeded": _intent,
    "payment_intent.payment_failed": _intent,
    "payment_intent.canceled": _intent,
    "invoice.paid": _invoice,
    "invoice.payment_failed": _invoice,
    "invoice.voided": _invoice,
    "invoice.marked_uncollectible": _invoice,
    "charge.refunded": _charge,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.closed": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
    "customer.subscription.created": _subscription,
    "customer.subscription.updated": _subscription,
    "customer.subscription.deleted": _subscription,
    "customer.subscription.paused": _subscription,
    "customer.subscription.resumed": _subscription,
}


def event_receive(*, body: bytes, signature: str) -> bool:
    """Check and store an event; False when it was here before. Raises InvalidEvent."""
    event = stripe_client.event_read(body=body, signature=signature)
    row = StripeEvent(stripe_id=event.id, type=event.type, object_id=event.object_id)
    if event.type not in HANDLERS:
        row.processed_at = Now()
    StripeEvent.objects.bulk_create([row], ignore_conflicts=True)
    return event.type in HANDLERS


def has_events_to_process() -> bool:
    return stripe_client.is_configured() and _waiting().exists()


def events_process() -> bool:
    """Handle events one at a time for a while; True when there may be more."""
    if not stripe_client.is_configured():
        return False
    started = time.monotonic()
    while time.monotonic() - started < _TASK_S:
        event = _claim()
        if event is None:
            return False
        if not _process(event):
            break
    return True


def _waiting() -> QuerySet[StripeEvent]:
    return StripeEvent.objects.filter(
        processed_at=None, next_attempt_at__lte=Now(), attempts__lt=_MAX_ATTEMPTS
    )


@transaction.atomic
def _claim() -> StripeEvent | None:
    """Lease an event: whoever is killed with it leaves it to the next once the lease is over.

    The attempt is counted here, so that an event that kills its worker is not tried for ever.
    """
    event = _waiting().select_for_update(skip_locked=True).order_by("next_attempt_at", "pk").first()
    if event is not None:
        lease = timedelta(seconds=settings.STRIPE_EVENT_LEASE_SECONDS)
        StripeEvent.objects.filter(pk=event.pk).update(
            attempts=F("attempts") + 1, next_attempt_at=Now() + lease
        )
    return event


def _process(event: StripeEvent) -> bool:
    """False when Stripe does not answer: one slow failure is enough for a task."""
    try:
        HANDLERS[event.type](event.object_id)
    except Contradiction as error:
        log.error("payment_contradicted", id=event.object_id, type=event.type, reason=str(error))
        _end(event, str(error))
    except ForeignObject as error:
        _end(event, str(error))
    except StripeObjectMissing:
        _end(event, "Stripe has no such object.")
    except Exception as error:
        # Whatever it is: the other events must go on, and this one is tried again.
        log.exception("stripe_event_failed", id=event.stripe_id, type=event.type)
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(event.attempts, 10), _LONGEST_PAUSE_S)
        StripeEvent.objects.filter(pk=event.pk, processed_at=None).update(
            next_attempt_at=Now() + timedelta(seconds=pause_s), error=type(error).__name__
        )
        return not isinstance(error, PaymentProviderFailed)
    else:
        _end(event, "")
    return True


def _end(event: StripeEvent, error: str) -> None:
    if error:
        log.warning("stripe_event_foreign", id=event.stripe_id, type=event.type, reason=error)
    StripeEvent.objects.filter(pk=event.pk).update(processed_at=Now(), error=error[:500])
