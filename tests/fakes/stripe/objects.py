"""Objects in the shapes of API version 2026-10-28.endive, as far as the service reads them."""

from typing import Any

API_VERSION = "2026-10-28.endive"
Json = dict[str, Any]


class StripeProblem(Exception):
    def __init__(self, status: int, kind: str, message: str, **more: Any) -> None:
        self.status = status
        self.error = {"type": kind, "message": message, **more}


def missing(kind: str, object_id: str) -> StripeProblem:
    return StripeProblem(
        404,
        "invalid_request_error",
        f"No such {kind}: '{object_id}'",
        code="resource_missing",
        param="id",
    )


def invalid(message: str, param: str = "") -> StripeProblem:
    return StripeProblem(400, "invalid_request_error", message, param=param)


def listing(url: str, rows: list[Json], *, has_more: bool = False) -> Json:
    return {"object": "list", "url": url, "has_more": has_more, "data": rows}


def card(number: str) -> Json:
    return {"brand": "visa", "last4": number[-4:], "exp_month": 12, "exp_year": 2040}


def customer(params: Json) -> Json:
    return {
        "object": "customer",
        "email": params.get("email"),
        "name": params.get("name"),
        "invoice_settings": {"default_payment_method": None},
        "metadata": params.get("metadata", {}),
    }


def session(params: Json, amount_cents: int, currency: str) -> Json:
    return {
        "object": "checkout.session",
        "mode": params["mode"],
        "status": "open",
        "payment_status": "unpaid",
        "amount_subtotal": amount_cents,
        "amount_total": amount_cents,
        "currency": currency,
        "client_reference_id": params.get("client_reference_id"),
        "customer": params.get("customer"),
        "metadata": params.get("metadata", {}),
        "success_url": params.get("success_url"),
        "cancel_url": params.get("cancel_url"),
        "payment_intent": None,
        "invoice": None,
        "subscription": None,
    }


def intent(params: Json) -> Json:
    return {
        "object": "payment_intent",
        "amount": params["amount"],
        "amount_received": 0,
        "currency": params["currency"],
        "customer": params.get("customer"),
        "payment_method": params.get("payment_method"),
        "metadata": params.get("metadata", {}),
        "status": "requires_confirmation"
        if params.get("payment_method")
        else "requires_payment_method",
        "latest_charge": None,
        "last_payment_error": None,
    }


def charge(of: Json, *, succeeded: bool) -> Json:
    return {
        "object": "charge",
        "amount": of["amount"],
        "amount_captured": of["amount"] if succeeded else 0,
        "amount_refunded": 0,
        "captured": succeeded,
        "currency": of["currency"],
        "customer": of["customer"],
        "disputed": False,
        "metadata": of["metadata"],
        "paid": succeeded,
        "payment_intent": of["id"],
        "payment_method": of["payment_method"],
        "refunded": False,
        "status": "succeeded" if succeeded else "failed",
    }


def subscription(params: Json, items: list[Json]) -> Json:
    return {
        "object": "subscription",
        "status": "active",
        "customer": params["customer"],
        "metadata": params.get("metadata", {}),
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "ended_at": None,
        "default_payment_method": params.get("default_payment_method"),
        "items": listing("/v1/subscription_items", items),
        "latest_invoice": None,
    }


def subscription_item(price: Json, start: int, end: int) -> Json:
    return {
        "object": "subscription_item",
        "current_period_start": start,
        "current_period_end": end,
        "plan": price,
        "price": price,
        "quantity": 1,
        "metadata": {},
    }


def invoice_line(of: Json, item: Json) -> Json:
    price = item["price"]
    return {
        "object": "line_item",
        "amount": price["unit_amount"],
        "currency": price["currency"],
        "description": "1 × plan",
        "metadata": of["metadata"],
        "period": {"start": item["current_period_start"], "end": item["current_period_end"]},
        "parent": {
            "type": "subscription_item_details",
            "invoice_item_details": None,
            "subscription_item_details": {
                "subscription": of["id"],
                "subscription_item": item["id"],
                "invoice_item": None,
                "proration": False,
                "proration_details": None,
            },
        },
        "pricing": {
            "type": "price_details",
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": str(price["unit_amount"]),
        },
        "quantity": 1,
        "subscription": of["id"],
    }


def subscription_of(invoice: Json) -> str | None:
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    found: str | None = details.get("subscription")
    return found


def invoice(of: Json | None, customer_id: str, currency: str, lines: list[Json], why: str) -> Json:
    total = sum(line["amount"] for line in lines)
    details = {"subscription": of["id"], "metadata": of["metadata"]} if of else None
    return {
        "object": "invoice",
        "amount_due": total,
        "amount_paid": 0,
        "amount_remaining": total,
        "attempted": False,
        "billing_reason": why,
        "currency": currency,
        "customer": customer_id,
        "lines": {**listing("/v1/invoices/lines", lines), "total_count": len(lines)},
        "metadata": {},
        "parent": {
            "type": "subscription_details",
            "quote_details": None,
            "subscription_details": details,
        }
        if of
        else None,
        "starting_balance": 0,
        "ending_balance": 0,
        "status": "open",
        "subtotal": total,
        "total": total,
    }


def event(kind: str, of: Json, created: int) -> Json:
    return {
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "data": {"object": of},
    }
