"""The only module that speaks to Stripe.

Every call has a time limit, and every call that makes something carries an idempotency key that is
derived from a row of ours: sent again after a lost answer or a kill, it makes nothing new.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any, cast
from uuid import uuid4

import stripe
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from billing.stripe_objects import (
    Charge,
    Event,
    Intent,
    Invoice,
    Json,
    Return,
    Session,
    StripeSubscription,
    id_of,
)
from config.errors import (
    CardDeclined,
    InvalidEvent,
    PaymentProviderFailed,
    PaymentProviderRefused,
    PaymentsUnavailable,
    filled,
)

# Raise it together with stripe-python, and run `stripe_setup`: events of another version are
# refused.
API_VERSION = "2026-10-28.endive"
# Connect, read. With the retry well below the 60 s that a task of the `default` cluster may last.
_TIMEOUT_S = (5.0, 15.0)
_NETWORK_RETRIES = 1
_SIGNATURE_TOLERANCE_S = 300


class StripeObjectMissing(PaymentProviderRefused):
    """Stripe has no such object: another account's, or made up."""


class StripeKeyReused(PaymentProviderRefused):
    """The idempotency key was used before, with other values: whatever that call made is there."""


class StripeSecretRefused(PaymentProviderFailed):
    """STRIPE_SECRET_KEY is no key, or no longer one."""


def is_configured() -> bool:
    """With the key alone, people would pay, and wait for their credits until the night."""
    return bool(settings.STRIPE_SECRET_KEY and settings.STRIPE_WEBHOOK_SECRETS)


def _client() -> stripe.StripeClient:
    # The key is enough here: the webhook's secret is had by it.
    if not settings.STRIPE_SECRET_KEY:
        raise PaymentsUnavailable
    return _client_for(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE)


@lru_cache(maxsize=8)
def _client_for(key: str, base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": base} if base else {},
        http_client=stripe.RequestsClient(timeout=_TIMEOUT_S),
        max_network_retries=_NETWORK_RETRIES,
    )


@contextmanager
def _errors() -> Iterator[None]:
    """Stripe's errors as ours. Their texts go to the log, never to a caller."""
    try:
        yield
    except stripe.CardError as error:
        raise CardDeclined(data={"decline_code": str(error.code or "")}) from error
    except stripe.InvalidRequestError as error:
        missing = error.code == "resource_missing"
        raise (StripeObjectMissing if missing else PaymentProviderRefused) from error
    except stripe.IdempotencyError as error:
        raise StripeKeyReused from error
    except stripe.AuthenticationError as error:
        raise StripeSecretRefused from error
    except stripe.StripeError as error:
        # No connection, a limit, a fault of theirs, a key that was just replaced: all may pass.
        raise PaymentProviderFailed from error


def _options(idempotency_key: str) -> Any:
    return {"idempotency_key": idempotency_key}


def _plain(found: stripe.StripeObject) -> Json:
    return found.to_dict()


# --- Customers --------------------------------------------------------------------------------


def customer_create(*, workspace: str) -> str:
    # Nothing that may change goes along: the same key with other values would be an error.
    params: Any = {"metadata": {"workspace": workspace}}
    key = f"customer:{workspace}"
    with _errors():
        customers = _client().v1.customers
        try:
            customer = customers.create(params=params, options=_options(key))
        except stripe.APIError as error:
            if not _is_replayed(error):
                raise
            # A fault is kept under its key for a day. Should it have made one, that stays unused.
            customer = customers.create(params=params, options=_options(f"{key}:{uuid4()}"))
    return customer.id


def _is_replayed(error: stripe.StripeError) -> bool:
    return (error.headers or {}).get("Idempotent-Replayed") == "true"


def customer_card(*, customer: str) -> str | None:
    """The saved card to charge: the customer's own choice, else the newest."""
    with _errors():
        client = _client()
        found = _plain(client.v1.customers.retrieve(customer))
        chosen = id_of((found.get("invoice_settings") or {}).get("default_payment_method"))
        if chosen:
            return chosen
        cards = client.v1.payment_methods.list(
            params={"customer": customer, "type": "card", "limit": 1}
        )
    return cards.data[0].id if cards.data else None


def portal_url(*, customer: str, return_url: str) -> str:
    with _errors():
        portal = _client().v1.billing_portal.sessions.create(
            params={"customer": customer, "return_url": return_url}
        )
    return portal.url


# --- Checkout ---------------------------------------------------------------------------------


def session_create(*, params: Json, idempotency_key: str) -> Session:
    with _errors():
        found = _client().v1.checkout.sessions.create(
            params=cast(Any, params), options=_options(idempotency_key)
        )
    return Session.of(_plain(found))


def session_get(*, session_id: str) -> Session:
    with _errors():
        found = _client().v1.checkout.sessions.retrieve(
            session_id, params={"expand": ["payment_intent"]}
        )
    return Session.of(_plain(found))


def session_expire(*, session_id: str) -> None:
    with _errors():
        _client().v1.checkout.sessions.expire(session_id)


def session_of_intent(*, intent: str) -> str | None:
    with _errors():
        found = _client().v1.checkout.sessions.list(params={"payment_intent": intent, "limit": 1})
    return found.data[0].id if found.data else None


def sessions_paid(*, since: datetime) -> list[Session]:
    created: Any = {"gte": int(since.timestamp())}
    with _errors():
        found = _client().v1.checkout.sessions.list(
            params={"created": created, "status": "complete", "limit": 100}
        )
        sessions = [Session.of(_plain(row)) for row in found.auto_paging_iter()]
    return [session for session in sessions if session.payment_status == "paid"]


# --- Payment intents and charges --------------------------------------------------------------


def intent_create(*, params: Json, idempotency_key: str) -> Intent:
    with _errors():
        found = _client().v1.payment_intents.create(
            params=cast(Any, params), options=_options(idempotency_key)
        )
    return Intent.of(_plain(found))


def intent_get(*, intent: str) -> Intent:
    with _errors():
        return Intent.of(_plain(_client().v1.payment_intents.retrieve(intent)))


def intent_cancel(*, intent: str) -> None:
    with _errors():
        _client().v1.payment_intents.cancel(intent)


def intents_of_customer(*, customer: str, since: datetime) -> list[Intent]:
    created: Any = {"gte": int(since.timestamp())}
    with _errors():
        found = _client().v1.payment_intents.list(
            params={"customer": customer, "created": created, "limit": 100}
        )
        return [Intent.of(_plain(row)) for row in found.auto_paging_iter()]


def charge_get(*, charge: str) -> Charge:
    with _errors():
        client = _client()
        found = _plain(client.v1.charges.retrieve(charge))
        disputes: list[Json] = []
        if found["disputed"]:
            listed = client.v1.disputes.list(params={"charge": charge, "limit": 100})
            disputes = [_plain(row) for row in listed.auto_paging_iter()]
    return Charge.of(found, disputes)


def charge_of_refund(*, refund: str) -> str | None:
    with _errors():
        return id_of(_plain(_client().v1.refunds.retrieve(refund)).get("charge"))


def charge_of_dispute(*, dispute: str) -> str | None:
    with _errors():
        return id_of(_plain(_client().v1.disputes.retrieve(dispute)).get("charge"))


def returns_list(*, since: datetime) -> list[Return]:
    created: Any = {"gte": int(since.timestamp())}
    with _errors():
        client = _client()
        refunds = client.v1.refunds.list(params={"created": created, "limit": 100})
        disputes = client.v1.disputes.list(params={"created": created, "limit": 100})
        rows = [_plain(row) for found in (refunds, disputes) for row in found.auto_paging_iter()]
    return [
        Return(row["id"], charge, id_of(row.get("payment_intent")))
        for row in rows
        if (charge := id_of(row.get("charge")))
    ]


# --- Invoices and subscriptions ---------------------------------------------------------------


def invoice_get(*, invoice: str) -> Invoice:
    with _errors():
        found = _client().v1.invoices.retrieve(invoice, params={"expand": ["payments"]})
        data = _plain(found)
        if data["lines"]["has_more"]:
            lines = found.lines.auto_paging_iter()
            data["lines"]["data"] = [_plain(line) for line in lines]
    return Invoice.of(data)


def invoices_of_intent(*, intent: str) -> list[str]:
    payment: Any = {"type": "payment_intent", "payment_intent": intent}
    with _errors():
        found = _client().v1.invoice_payments.list(params={"payment": payment, "limit": 100})
    return [str(id_of(_plain(row)["invoice"])) for row in found.data]


def invoices_of_customer(*, customer: str, limit: int) -> list[Invoice]:
    with _errors():
        found = _client().v1.invoices.list(params={"customer": customer, "limit": limit})
    return [Invoice.of(_plain(row)) for row in found.data]


def invoices_of_subscription(*, subscription: str, limit: int) -> list[Invoice]:
    """Those that were paid, newest first."""
    with _errors():
        found = _client().v1.invoices.list(
            params={"subscription": subscription, "status": "paid", "limit": limit}
        )
    return [Invoice.of(_plain(row)) for row in found.data]


def invoices_paid(*, since: datetime) -> list[Invoice]:
    created: Any = {"gte": int(since.timestamp())}
    with _errors():
        found = _client().v1.invoices.list(
            params={"created": created, "status": "paid", "limit": 100}
        )
        return [Invoice.of(_plain(row)) for row in found.auto_paging_iter()]


def subscription_get(*, subscription: str) -> StripeSubscription:
    with _errors():
        found = _client().v1.subscriptions.retrieve(subscription)
    return StripeSubscription.of(_plain(found))


# --- Webhooks ---------------------------------------------------------------------------------


def event_read(*, body: bytes, signature: str) -> Event:
    """Check who sent an event and for whom, and read what it is about. Raises InvalidEvent."""
    if not is_configured():
        raise PaymentsUnavailable
    if not any(_is_signed(body, signature, secret) for secret in settings.STRIPE_WEBHOOK_SECRETS):
        raise InvalidEvent(_("The signature is missing, wrong or too old."))
    try:
        data = json.loads(body)
        event = Event(data["id"], data["type"], data["data"]["object"].get("id") or "")
        livemode, api_version = data["livemode"], data["api_version"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidEvent(_("This is not an event.")) from None
    texts = (event.id, event.type, event.object_id)
    if not all(isinstance(text, str) and _is_plain(text) for text in texts):
        raise InvalidEvent(_("This is not an event."))
    if livemode is not _is_live():
        raise InvalidEvent(
            _("The event is of another mode (test or live) than the configured key.")
        )
    if api_version != API_VERSION:
        raise InvalidEvent(
            filled(_("The event is of another API version than %(version)s."), version=API_VERSION)
        )
    return event


def _is_plain(text: str) -> bool:
    """As all that Stripe writes; the database refuses some of the rest."""
    return len(text) <= 255 and text.isascii() and text.isprintable()


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, _SIGNATURE_TOLERANCE_S)
    except (stripe.SignatureVerificationError, ValueError, TypeError):
        # The last two: a body or a header that is not even text.
        return False
    return True


def _is_live() -> bool:
    return settings.STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))


def webhook_endpoint_put(*, url: str, events: list[str]) -> str | None:
    """Have Stripe send these events to `url`. Returns the secret of an endpoint that is new.

    An endpoint's API version cannot be changed: one of another version is replaced.
    """
    with _errors():
        endpoints = _client().v1.webhook_endpoints
        old = [
            row
            for row in endpoints.list(params={"limit": 100}).auto_paging_iter()
            if row.url == url
        ]
        kept = next((row for row in old if row.api_version == API_VERSION), None)
        secret = None
        if kept:
            endpoints.update(
                kept.id, params=cast(Any, {"enabled_events": events, "disabled": False})
            )
        else:
            params = {"url": url, "enabled_events": events, "api_version": API_VERSION}
            secret = endpoints.create(params=cast(Any, params)).secret
        for row in old:
            if row.api_version != API_VERSION:
                endpoints.delete(row.id)
    return secret
