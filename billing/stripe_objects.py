"""What the service reads of Stripe's objects, in the shapes of the pinned API version."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Intent:
    id: str
    status: str
    amount_cents: int
    currency: str
    customer: str | None
    metadata: dict[str, str]
    charge: str | None
    failure: str

    @classmethod
    def of(cls, data: Json) -> "Intent":
        error = data.get("last_payment_error") or {}
        return cls(
            id=data["id"],
            status=data["status"],
            amount_cents=data["amount"],
            currency=data["currency"],
            customer=id_of(data.get("customer")),
            metadata=dict(data.get("metadata") or {}),
            charge=id_of(data.get("latest_charge")),
            failure=str(error.get("message") or "")[:200],
        )


@dataclass(frozen=True)
class Session:
    id: str
    url: str
    mode: str
    status: str
    payment_status: str
    amount_cents: int
    currency: str
    reference: str
    metadata: dict[str, str]
    customer: str | None
    intent: Intent | None
    invoice: str | None
    subscription: str | None

    @classmethod
    def of(cls, data: Json) -> "Session":
        intent = data.get("payment_intent")
        return cls(
            id=data["id"],
            url=data.get("url") or "",
            mode=data["mode"],
            status=data.get("status") or "",
            payment_status=data["payment_status"],
            amount_cents=data.get("amount_total") or 0,
            currency=data.get("currency") or "",
            reference=data.get("client_reference_id") or "",
            metadata=dict(data.get("metadata") or {}),
            customer=id_of(data.get("customer")),
            intent=Intent.of(intent) if isinstance(intent, dict) else None,
            invoice=id_of(data.get("invoice")),
            subscription=id_of(data.get("subscription")),
        )


@dataclass(frozen=True)
class InvoiceLine:
    id: str
    amount_cents: int
    currency: str
    subscription: str | None
    is_proration: bool
    period_end: datetime

    @classmethod
    def of(cls, data: Json) -> "InvoiceLine":
        details = (data.get("parent") or {}).get("subscription_item_details") or {}
        return cls(
            id=data["id"],
            amount_cents=data["amount"],
            currency=data["currency"],
            subscription=id_of(details.get("subscription")),
            is_proration=bool(details.get("proration")),
            period_end=moment(data["period"]["end"]),
        )


@dataclass(frozen=True)
class Invoice:
    id: str
    number: str
    status: str
    amount_cents: int
    currency: str
    created_at: datetime
    hosted_url: str
    pdf_url: str
    is_first: bool
    was_attempted: bool
    customer: str | None
    subscription: str | None
    metadata: dict[str, str]
    """The subscription's."""
    lines: tuple[InvoiceLine, ...]
    intent: str | None
    """The payment that settled it; known where `payments` was expanded."""

    @classmethod
    def of(cls, data: Json) -> "Invoice":
        details = (data.get("parent") or {}).get("subscription_details") or {}
        return cls(
            id=data["id"],
            number=data.get("number") or "",
            status=data.get("status") or "",
            amount_cents=data["total"],
            currency=data["currency"],
            created_at=moment(data["created"]),
            hosted_url=data.get("hosted_invoice_url") or "",
            pdf_url=data.get("invoice_pdf") or "",
            is_first=data.get("billing_reason") == "subscription_create",
            was_attempted=bool(data.get("attempted")),
            customer=id_of(data.get("customer")),
            subscription=id_of(details.get("subscription")),
            metadata=dict(details.get("metadata") or {}),
            lines=tuple(InvoiceLine.of(line) for line in data["lines"]["data"]),
            intent=next(_paid_by(data), None),
        )


def _paid_by(invoice: Json) -> Iterator[str]:
    for payment in (invoice.get("payments") or {}).get("data", []):
        intent = id_of(payment["payment"].get("payment_intent"))
        if payment["status"] == "paid" and intent:
            yield intent


@dataclass(frozen=True)
class StripeSubscription:
    id: str
    status: str
    customer: str | None
    metadata: dict[str, str]
    cancel_at_period_end: bool
    current_period_end: datetime | None

    @classmethod
    def of(cls, data: Json) -> "StripeSubscription":
        ends = [item["current_period_end"] for item in data["items"]["data"]]
        return cls(
            id=data["id"],
            status=data["status"],
            customer=id_of(data.get("customer")),
            metadata=dict(data.get("metadata") or {}),
            # Stripe's portal may write the same wish as a date.
            cancel_at_period_end=bool(data["cancel_at_period_end"] or data.get("cancel_at")),
            current_period_end=moment(max(ends)) if ends else None,
        )


@dataclass(frozen=True)
class Charge:
    id: str
    intent: str | None
    amount_cents: int
    returned_cents: int
    """Refunded, or in dispute: a dispute takes the money until it is won."""

    @classmethod
    def of(cls, data: Json, disputes: list[Json]) -> "Charge":
        disputed = sum(
            dispute["amount"] for dispute in disputes if dispute["status"] in _MONEY_TAKEN
        )
        return cls(
            id=data["id"],
            intent=id_of(data.get("payment_intent")),
            amount_cents=data["amount"],
            returned_cents=min(data["amount"], data["amount_refunded"] + disputed),
        )


# The others are won ones, and warnings, which take no money.
_MONEY_TAKEN = frozenset({"needs_response", "under_review", "lost"})


@dataclass(frozen=True)
class Return:
    """A refund or a dispute."""

    id: str
    charge: str
    intent: str | None


@dataclass(frozen=True)
class Event:
    id: str
    type: str
    object_id: str


def id_of(value: Any) -> str | None:
    """The id of an object that may have been expanded."""
    found: str | None = value["id"] if isinstance(value, dict) else value
    return found


def moment(timestamp: int) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)
