"""What the service reads of Stripe's objects, in the shapes of the pinned API version."""

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
    period_start: datetime
    period_end: datetime

    @classmethod
    def of(cls, data: Json) -> "InvoiceLine":
        parent = data.get("parent") or {}
        details = parent.get("subscription_item_details") or {}
        extra = parent.get("invoice_item_details") or {}
        return cls(
            id=data["id"],
            amount_cents=data["amount"],
            currency=data["currency"],
            subscription=id_of(details.get("subscription")),
            is_proration=any(bool(row.get("proration")) for row in (details, extra)),
            period_start=moment(data["period"]["start"]),
            period_end=moment(data["period"]["end"]),
        )


@dataclass(frozen=True)
class InvoicePart:
    """A payment towards an invoice, made or still open."""

    is_paid: bool
    amount_cents: int
    intent: str | None
    charge: str | None

    @classmethod
    def of(cls, data: Json) -> "InvoicePart":
        by = data["payment"]
        return cls(
            is_paid=data["status"] == "paid",
            amount_cents=data.get("amount_paid") or 0,
            intent=id_of(by.get("payment_intent")),
            charge=id_of(by.get("charge")),
        )


@dataclass(frozen=True)
class Invoice:
    id: str
    number: str
    status: str
    amount_cents: int
    currency: str
    created_at: datetime
    paid_at: datetime | None
    hosted_url: str
    pdf_url: str
    is_first: bool
    was_attempted: bool
    customer: str | None
    subscription: str | None
    metadata: dict[str, str]
    """The subscription's."""
    lines: tuple[InvoiceLine, ...]
    from_balance_cents: int
    """Settled with credit that the customer had at Stripe."""
    parts: tuple[InvoicePart, ...]
    """Known where `payments` was expanded."""

    @property
    def is_paid(self) -> bool:
        return self.status == "paid"

    @property
    def intent(self) -> str | None:
        """The first payment that settled it."""
        return next((part.intent for part in self.parts if part.is_paid and part.intent), None)

    @classmethod
    def of(cls, data: Json) -> "Invoice":
        details = (data.get("parent") or {}).get("subscription_details") or {}
        parts = (data.get("payments") or {}).get("data", [])
        paid_at = (data.get("status_transitions") or {}).get("paid_at")
        # A balance below zero is a credit.
        credit_cents = (data.get("ending_balance") or 0) - (data.get("starting_balance") or 0)
        return cls(
            id=data["id"],
            number=data.get("number") or "",
            status=data.get("status") or "",
            amount_cents=data["total"],
            currency=data["currency"],
            created_at=moment(data["created"]),
            paid_at=moment(paid_at) if paid_at else None,
            hosted_url=data.get("hosted_invoice_url") or "",
            pdf_url=data.get("invoice_pdf") or "",
            is_first=data.get("billing_reason") == "subscription_create",
            was_attempted=bool(data.get("attempted")),
            customer=id_of(data.get("customer")),
            subscription=id_of(details.get("subscription")),
            metadata=dict(details.get("metadata") or {}),
            lines=tuple(InvoiceLine.of(line) for line in data["lines"]["data"]),
            from_balance_cents=max(0, credit_cents),
            parts=tuple(InvoicePart.of(part) for part in parts),
        )


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
    """Refunded, or taken by a dispute."""

    @classmethod
    def of(cls, data: Json, disputes: list[Json]) -> "Charge":
        disputed = sum(
            # An amount in another currency cannot be compared: it counts as the whole charge.
            dispute["amount"] if dispute["currency"] == data["currency"] else data["amount"]
            for dispute in disputes
            if _has_taken(dispute)
        )
        return cls(
            id=data["id"],
            intent=id_of(data.get("payment_intent")),
            amount_cents=data["amount"],
            returned_cents=min(data["amount"], data["amount_refunded"] + disputed),
        )


def _has_taken(dispute: Json) -> bool:
    """Whether the bank has the money: what was booked says so, and the state until it is booked.

    A lost dispute may be under appeal, and one that was prevented may have cost the money.
    """
    if booked := dispute.get("balance_transactions"):
        return bool(sum(row["amount"] for row in booked) < 0)
    status = dispute["status"]
    return not (status in {"won", "prevented"} or status.startswith("warning_"))


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
