"""What the API does: one function for each call, and the bank behind it."""

import re
import time
from itertools import count

from tests.fakes.stripe import objects
from tests.fakes.stripe.objects import Json, StripeProblem, invalid, listing, missing
from tests.fakes.stripe.server import Call

MONTH_S = 30 * 86_400
# Of Stripe's own test cards.
DECLINED = "4000000000000341"
GOOD = "4242424242424242"

# The collections that can be read and listed, and how ids of their objects begin.
PREFIXES = {
    "customers": "cus",
    "payment_methods": "pm",
    "payment_intents": "pi",
    "charges": "ch",
    "refunds": "re",
    "disputes": "dp",
    "products": "prod",
    "plans": "price",
    "checkout/sessions": "cs_test",
    "subscriptions": "sub",
    "invoices": "in",
    "invoice_payments": "inpay",
    "events": "evt",
    "webhook_endpoints": "we",
}


class Api:
    """State, and the calls that read and change it. The caller holds the lock."""

    def __init__(self) -> None:
        self.now = int(time.time())
        self.rows: dict[str, dict[str, Json]] = {kind: {} for kind in PREFIXES}
        self.events: list[Json] = []
        self.numbers = count(1)
        # By payment method: not part of what the API shows.
        self.card_numbers: dict[str, str] = {}
        self.session_params: dict[str, Json] = {}

    # --- Rows ---------------------------------------------------------------------------------

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self.numbers):06d}"

    def add(self, kind: str, row: Json) -> Json:
        object_id = self.new_id(PREFIXES[kind])
        made = {"id": object_id, "created": self.now, "livemode": False, **row}
        self.rows[kind][object_id] = made
        return made

    def get(self, kind: str, object_id: str) -> Json:
        try:
            return self.rows[kind][object_id]
        except KeyError:
            raise missing(kind.rpartition("/")[2].rstrip("s"), object_id) from None

    def tell(self, kind: str, of: Json) -> Json:
        """Something happened: an event, with the object as it is now."""
        made = self.add("events", objects.event(kind, dict(of), self.now))
        self.events.append(made)
        return made

    # --- Calls --------------------------------------------------------------------------------

    def run(self, call: Call) -> Json:
        for pattern, name in ROUTES:
            found = re.fullmatch(pattern, str(call))
            if found:
                answer: Json = getattr(self, name)(*found.groups(), call.params)
                return self.expand(answer, call.params.get("expand", []))
        found = re.fullmatch(r"(GET|DELETE) (.+?)(?:/([a-z_]+_[A-Za-z0-9_]+))?", str(call))
        if found and found[2] in self.rows:
            if found[1] == "DELETE":
                del self.rows[found[2]][str(found[3])]
                return {"id": found[3], "deleted": True}
            if found[3]:
                answer = self.get(found[2], found[3])
                return self.expand(answer, call.params.get("expand", []))
            return self.page(found[2], call.params)
        raise StripeProblem(404, "invalid_request_error", f"Unrecognized request URL: {call}")

    def page(self, kind: str, params: Json) -> Json:
        rows = sorted(self.rows[kind].values(), key=lambda row: row["id"], reverse=True)
        for name, wanted in params.items():
            if name == "created":
                rows = [row for row in rows if row["created"] >= wanted["gte"]]
            elif name == "payment":
                rows = [row for row in rows if wanted.items() <= row["payment"].items()]
            elif name == "subscription":
                rows = [row for row in rows if objects.subscription_of(row) == wanted]
            elif name == "starting_after":
                rows = [row for row in rows if row["id"] < wanted]
            elif name not in {"limit", "expand"}:
                rows = [row for row in rows if row.get(name) == wanted]
        limit = params.get("limit", 10)
        return listing(f"/v1/{kind}", rows[:limit], has_more=len(rows) > limit)

    def expand(self, answer: Json, paths: list[str]) -> Json:
        for path in paths:
            name, _, rest = path.partition(".")
            if answer["object"] == "invoice" and name == "payments":
                payments = self.page("invoice_payments", {"invoice": answer["id"]})
                answer = {**answer, "payments": payments}
            elif isinstance(answer.get(name), str):
                answer = {**answer, name: self.expand(self.find(answer[name]), [rest][: len(rest)])}
        return answer

    def find(self, object_id: str) -> Json:
        return next(rows[object_id] for rows in self.rows.values() if object_id in rows)

    # --- Customers and cards ------------------------------------------------------------------

    def customer_create(self, params: Json) -> Json:
        row = self.add("customers", objects.customer(params))
        self.tell("customer.created", row)
        return row

    def customer_update(self, customer: str, params: Json) -> Json:
        row = self.get("customers", customer)
        row.update(params)
        return row

    def card_create(self, params: Json) -> Json:
        number = params["card"]["number"]
        row = self.add(
            "payment_methods", {"object": "payment_method", "type": "card", "customer": None}
        )
        row["card"] = objects.card(number)
        self.card_numbers[row["id"]] = number
        return row

    def card_attach(self, card: str, params: Json) -> Json:
        # A card that Stripe has ready for tests; attaching it makes a new one.
        if card == "pm_card_visa":
            card = self.card_create({"card": {"number": GOOD}})["id"]
        row = self.get("payment_methods", card)
        row["customer"] = self.get("customers", params["customer"])["id"]
        return row

    def card_detach(self, card: str, params: Json) -> Json:
        row = self.get("payment_methods", card)
        row["customer"] = None
        return row

    # --- Payments -----------------------------------------------------------------------------

    def intent_create(self, params: Json) -> Json:
        if params["amount"] < 50:
            raise invalid("Amount must be at least $0.50 usd", "amount")
        redirects = params.get("automatic_payment_methods", {}).get("allow_redirects")
        names = {"payment_method_types", "return_url"}
        if params.get("confirm") and not names & params.keys() and redirects != "never":
            raise invalid("You must provide a `return_url`", "return_url")
        if card := params.get("payment_method"):
            owner = self.get("payment_methods", card)["customer"]
            if owner != params.get("customer"):
                raise invalid("The payment method belongs to another customer", "payment_method")
        row = self.add("payment_intents", objects.intent(params))
        self.tell("payment_intent.created", row)
        return self.intent_confirm(row["id"], {}) if params.get("confirm") else row

    def intent_confirm(self, intent: str, params: Json) -> Json:
        row = self.get("payment_intents", intent)
        row["payment_method"] = params.get("payment_method", row["payment_method"])
        if not self.collect(row):
            error = row["last_payment_error"]
            raise StripeProblem(402, **_without_type(error), payment_intent=row)
        return row

    def intent_cancel(self, intent: str, params: Json) -> Json:
        row = self.get("payment_intents", intent)
        if row["status"] in {"succeeded", "processing", "canceled"}:
            raise invalid(f"You cannot cancel this: its status is {row['status']}")
        row["status"] = "canceled"
        self.tell("payment_intent.canceled", row)
        return row

    def collect(self, intent: Json) -> bool:
        """Have the bank pay an intent, or decline."""
        succeeded = self.card_numbers[intent["payment_method"]] != DECLINED
        charge = self.add("charges", objects.charge(intent, succeeded=succeeded))
        intent["latest_charge"] = charge["id"]
        if succeeded:
            intent.update(
                status="succeeded", amount_received=intent["amount"], last_payment_error=None
            )
            self.tell("charge.succeeded", charge)
            self.tell("payment_intent.succeeded", intent)
        else:
            error = {
                "type": "card_error",
                "code": "card_declined",
                "decline_code": "generic_decline",
                "message": "Your card was declined.",
            }
            intent.update(status="requires_payment_method", last_payment_error=error)
            self.tell("charge.failed", charge)
            self.tell("payment_intent.payment_failed", intent)
        return succeeded

    def refund_create(self, params: Json) -> Json:
        if "payment_intent" in params:
            charge_id = self.get("payment_intents", params["payment_intent"])["latest_charge"]
        else:
            charge_id = params["charge"]
        charge = self.get("charges", charge_id)
        left = charge["amount"] - charge["amount_refunded"]
        amount = params.get("amount", left)
        if not 0 < amount <= left:
            raise invalid(f"Refund amount is greater than unrefunded amount ({left})", "amount")
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        row = self.add(
            "refunds",
            {
                "object": "refund",
                "amount": amount,
                "charge": charge["id"],
                "currency": charge["currency"],
                "metadata": params.get("metadata", {}),
                "payment_intent": charge["payment_intent"],
                "status": "succeeded",
            },
        )
        self.tell("charge.refunded", charge)
        self.tell("refund.created", row)
        return row

    # --- Checkout and the portal --------------------------------------------------------------

    def session_create(self, params: Json) -> Json:
        self.get("customers", params["customer"])
        (item,) = params["line_items"]
        price = item["price_data"]
        amount_cents = price["unit_amount"] * int(item["quantity"])
        row = self.add(
            "checkout/sessions", objects.session(params, amount_cents, price["currency"])
        )
        row["expires_at"] = self.now + 86_400
        row["url"] = f"https://checkout.stripe.test/{row['id']}"
        self.session_params[row["id"]] = params
        return row

    def session_expire(self, session: str, params: Json) -> Json:
        row = self.get("checkout/sessions", session)
        if row["status"] != "open":
            raise invalid("Only open sessions can be expired")
        row.update(status="expired", url=None)
        self.tell("checkout.session.expired", row)
        return row

    def portal_create(self, params: Json) -> Json:
        self.get("customers", params["customer"])
        return {
            "id": self.new_id("bps"),
            "object": "billing_portal.session",
            "customer": params["customer"],
            "return_url": params["return_url"],
            "url": f"https://billing.stripe.test/{params['customer']}",
        }

    # --- Plans and subscriptions --------------------------------------------------------------

    def product_create(self, params: Json) -> Json:
        return self.add("products", {"object": "product", "name": params["name"]})

    def plan_create(self, params: Json) -> Json:
        product = params["product"]
        if isinstance(product, dict):
            product = self.product_create(product)["id"]
        row = {
            "object": "plan",
            "amount": params["amount"],
            "unit_amount": params["amount"],
            "currency": params["currency"],
            "interval": params["interval"],
            "product": product,
        }
        return self.add("plans", row)

    def subscription_create(self, params: Json) -> Json:
        self.get("customers", params["customer"])
        items = []
        for item in params["items"]:
            price = self.get("plans", item.get("price") or item["plan"])
            made = objects.subscription_item(price, self.now, self.now + MONTH_S)
            items.append({"id": self.new_id("si"), **made})
        row = self.add("subscriptions", objects.subscription(params, items))
        self.tell("customer.subscription.created", row)
        self.bill(row, "subscription_create")
        return row

    def subscription_update(self, subscription: str, params: Json) -> Json:
        row = self.get("subscriptions", subscription)
        row.update(params)
        self.tell("customer.subscription.updated", row)
        return row

    def subscription_cancel(self, subscription: str, params: Json) -> Json:
        row = self.get("subscriptions", subscription)
        row.update(status="canceled", ended_at=self.now, canceled_at=self.now)
        self.tell("customer.subscription.deleted", row)
        return row

    def bill(self, subscription: Json, why: str) -> Json:
        lines = [
            {"id": self.new_id("il"), **objects.invoice_line(subscription, item)}
            for item in subscription["items"]["data"]
        ]
        currency = lines[0]["currency"]
        row = objects.invoice(subscription, subscription["customer"], currency, lines, why)
        made = self.add("invoices", row)
        self.number_invoice(made)
        subscription["latest_invoice"] = made["id"]
        self.tell("invoice.created", made)
        self.pay_invoice(made, subscription)
        return made

    def number_invoice(self, invoice: Json) -> None:
        page = f"https://invoice.stripe.test/{invoice['id']}"
        invoice.update(
            number=f"FAKE-{len(self.rows['invoices']):04d}",
            hosted_invoice_url=page,
            invoice_pdf=f"{page}/pdf",
        )

    def pay_invoice(self, invoice: Json, subscription: Json) -> None:
        params = {
            "amount": invoice["total"],
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "payment_method": subscription["default_payment_method"]
            or self.card_of(invoice["customer"]),
        }
        intent = self.add("payment_intents", objects.intent(params))
        paid = self.collect(intent)
        invoice["attempted"] = True
        self.settle_invoice(invoice, intent, paid=paid)
        status = "active" if paid else "past_due"
        if subscription["status"] != status:
            subscription["status"] = status
            self.tell("customer.subscription.updated", subscription)

    def settle_invoice(self, invoice: Json, intent: Json, *, paid: bool) -> None:
        payment = {
            "object": "invoice_payment",
            "amount_paid": invoice["total"] if paid else None,
            "amount_requested": invoice["total"],
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "payment": {"type": "payment_intent", "payment_intent": intent["id"]},
            "status": "paid" if paid else "open",
        }
        self.add("invoice_payments", payment)
        if not paid:
            self.tell("invoice.payment_failed", invoice)
            return
        invoice.update(status="paid", amount_paid=invoice["total"], amount_remaining=0)
        invoice["status_transitions"] = {"paid_at": self.now}
        self.tell("invoice.paid", invoice)
        self.tell("invoice.payment_succeeded", invoice)

    def card_of(self, customer: str) -> str:
        chosen = self.get("customers", customer)["invoice_settings"]["default_payment_method"]
        if chosen:
            return str(chosen)
        cards = self.page("payment_methods", {"customer": customer})["data"]
        if not cards:
            raise invalid("This customer has no attached payment source")
        return str(cards[0]["id"])

    # --- Webhook endpoints --------------------------------------------------------------------

    def endpoint_create(self, params: Json) -> Json:
        row = self.add(
            "webhook_endpoints", {"object": "webhook_endpoint", "status": "enabled", **params}
        )
        return {**row, "secret": f"whsec_{row['id']}"}

    def endpoint_update(self, endpoint: str, params: Json) -> Json:
        row = self.get("webhook_endpoints", endpoint)
        row.update(params)
        return row


def _without_type(error: Json) -> Json:
    return {"kind": error["type"], **{k: v for k, v in error.items() if k != "type"}}


ROUTES = [
    ("POST customers", "customer_create"),
    (r"POST customers/(cus_\w+)", "customer_update"),
    ("POST payment_methods", "card_create"),
    (r"POST payment_methods/(\w+)/attach", "card_attach"),
    (r"POST payment_methods/(\w+)/detach", "card_detach"),
    ("POST payment_intents", "intent_create"),
    (r"POST payment_intents/(\w+)/confirm", "intent_confirm"),
    (r"POST payment_intents/(\w+)/cancel", "intent_cancel"),
    ("POST refunds", "refund_create"),
    ("POST checkout/sessions", "session_create"),
    (r"POST checkout/sessions/(\w+)/expire", "session_expire"),
    ("POST billing_portal/sessions", "portal_create"),
    ("POST products", "product_create"),
    ("POST plans", "plan_create"),
    ("POST subscriptions", "subscription_create"),
    (r"POST subscriptions/(\w+)", "subscription_update"),
    (r"DELETE subscriptions/(\w+)", "subscription_cancel"),
    ("POST webhook_endpoints", "endpoint_create"),
    (r"POST webhook_endpoints/(\w+)", "endpoint_update"),
]
