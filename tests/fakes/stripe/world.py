"""What people, banks and time do: the controls that tests use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fakes.stripe import objects
from tests.fakes.stripe.endpoints import DECLINED, GOOD, MONTH_S, Api
from tests.fakes.stripe.objects import Json
from tests.fakes.stripe.server import Fault, Front, Gate, HttpServer


class FakeStripe(Api):
    secret_key = "sk_test_fake"
    webhook_secret = "whsec_fake"

    def __init__(self) -> None:
        super().__init__()
        self.front = Front(self.secret_key, self.run)
        self.http = HttpServer(self.front)

    def start(self) -> None:
        self.http.start()

    def stop(self) -> None:
        self.http.stop()

    @property
    def url(self) -> str:
        return self.http.url

    # --- What tests look at and break ---------------------------------------------------------

    def calls(self, pattern: str) -> int:
        """How many calls of "METHOD path" came."""
        return sum(call == pattern for call in self.front.calls)

    def fail(self, calls: str, *, times: int = 1, status: int = 503, after: bool = False) -> None:
        """Break the next calls that match; `status` 0 breaks the connection itself."""
        self.front.faults.append(Fault(calls, times, status, after))

    @contextmanager
    def held(self, calls: str, *, times: int = 1_000_000, after: bool = False) -> Iterator[Gate]:
        """Calls that match wait until the block ends; `after`, with their answers."""
        gate = Gate(calls, times, after)
        self.front.gates.append(gate)
        try:
            yield gate
        finally:
            gate.opened.set()

    def told(self, kind: str) -> list[Json]:
        with self.front.lock:
            return [event for event in self.events if event["type"] == kind]

    # --- People -------------------------------------------------------------------------------

    def session_at(self, url: str) -> str:
        return url.rpartition("/")[2]

    def pay(self, session_id: str, *, number: str = GOOD, delayed: bool = False) -> Json:
        """Somebody fills in the page. Declined, the page stays open for another card; `delayed`,
        the bank takes its time (`bank_answers`)."""
        with self.front.lock:
            session = self.get("checkout/sessions", session_id)
            assert session["status"] == "open", session["status"]
            card = self.card_create({"card": {"number": number}})
            if session["mode"] == "subscription":
                return self._subscribe(session, card)
            return self._buy(session, card, delayed=delayed)

    def _buy(self, session: Json, card: Json, *, delayed: bool) -> Json:
        data = self.session_params[session["id"]]["payment_intent_data"]
        if data.get("setup_future_usage"):
            card["customer"] = session["customer"]
        intent = self.add(
            "payment_intents",
            objects.intent(
                {
                    "amount": session["amount_total"],
                    "currency": session["currency"],
                    "customer": session["customer"],
                    "payment_method": card["id"],
                    "metadata": data["metadata"],
                }
            ),
        )
        session["payment_intent"] = intent["id"]
        if delayed:
            intent["status"] = "processing"
            session["status"] = "complete"
            self.tell("payment_intent.processing", intent)
            self.tell("checkout.session.completed", session)
        elif self.collect(intent):
            session.update(status="complete", payment_status="paid")
            self._receipt(session, intent)
            self.tell("checkout.session.completed", session)
        return intent

    def bank_answers(self, session_id: str, *, good: bool) -> None:
        """The end of a delayed payment."""
        with self.front.lock:
            session = self.get("checkout/sessions", session_id)
            intent = self.get("payment_intents", session["payment_intent"])
            self.card_numbers[intent["payment_method"]] = GOOD if good else DECLINED
            if self.collect(intent):
                session["payment_status"] = "paid"
                self._receipt(session, intent)
                self.tell("checkout.session.async_payment_succeeded", session)
            else:
                self.tell("checkout.session.async_payment_failed", session)

    def _receipt(self, session: Json, intent: Json) -> None:
        line = {
            "id": self.new_id("il"),
            "object": "line_item",
            "amount": intent["amount"],
            "currency": intent["currency"],
            "parent": None,
            "period": {"start": self.now, "end": self.now},
        }
        row = objects.invoice(None, session["customer"], intent["currency"], [line], "manual")
        invoice = self.add("invoices", row)
        self.number_invoice(invoice)
        session["invoice"] = invoice["id"]
        self.settle_invoice(invoice, intent, paid=True)

    def _subscribe(self, session: Json, card: Json) -> Json:
        params = self.session_params[session["id"]]
        price = params["line_items"][0]["price_data"]
        plan = self.plan_create(
            {
                "amount": price["unit_amount"],
                "currency": price["currency"],
                "interval": price["recurring"]["interval"],
                "product": price["product_data"],
            }
        )
        card["customer"] = session["customer"]
        row = self.subscription_create(
            {
                "customer": session["customer"],
                "items": [{"price": plan["id"]}],
                "metadata": params["subscription_data"]["metadata"],
                "default_payment_method": card["id"],
            }
        )
        session.update(
            status="complete",
            payment_status="paid",
            subscription=row["id"],
            invoice=row["latest_invoice"],
        )
        self.tell("checkout.session.completed", session)
        return row

    def break_card(self, customer: str) -> None:
        """From now on the bank declines the customer's cards."""
        with self.front.lock:
            for card in self.rows["payment_methods"].values():
                if card["customer"] == customer:
                    self.card_numbers[card["id"]] = DECLINED

    # --- The operator and the banks -----------------------------------------------------------

    def refund(self, intent: str, amount_cents: int | None = None) -> Json:
        with self.front.lock:
            amount = {} if amount_cents is None else {"amount": amount_cents}
            return self.refund_create({"payment_intent": intent, **amount})

    def dispute(self, intent: str, status: str = "needs_response") -> Json:
        """One that is opened takes the money; a warning, or one that was prevented, does not."""
        with self.front.lock:
            charge = self.get("charges", self.get("payment_intents", intent)["latest_charge"])
            charge["disputed"] = True
            row = self.add(
                "disputes",
                {
                    "object": "dispute",
                    "amount": charge["amount"],
                    "charge": charge["id"],
                    "currency": charge["currency"],
                    "payment_intent": intent,
                    "reason": "fraudulent",
                    "status": status,
                    "balance_transactions": [],
                },
            )
            self.tell("charge.dispute.created", row)
            if status == "needs_response":
                self._move_funds(row, -row["amount"])
                self.tell("charge.dispute.funds_withdrawn", row)
            return row

    def dispute_ends(self, dispute: str, *, won: bool) -> None:
        with self.front.lock:
            row = self.get("disputes", dispute)
            row["status"] = "won" if won else "lost"
            self.tell("charge.dispute.closed", row)
            if won:
                self._move_funds(row, row["amount"])
                self.tell("charge.dispute.funds_reinstated", row)

    def _move_funds(self, dispute: Json, amount: int) -> None:
        booked = {"object": "balance_transaction", "amount": amount, "currency": "usd"}
        dispute["balance_transactions"].append({"id": self.new_id("txn"), **booked})

    def foreign_event(self, kind: str, object_id: str, **of: Any) -> Json:
        """An event about something that is not ours, or not there."""
        with self.front.lock:
            return self.tell(kind, {"id": object_id, "object": "x", **of})

    # --- Time ---------------------------------------------------------------------------------

    def advance(self, *, months: int = 0, seconds: int = 0) -> None:
        """Let time pass: subscriptions renew or end, one month after the other."""
        with self.front.lock:
            until = self.now + months * MONTH_S + seconds
            while due := self._next_due(until):
                self.now = due["items"]["data"][0]["current_period_end"]
                self._renew(due)
            self.now = until

    def _next_due(self, until: int) -> Json | None:
        def end(row: Json) -> int:
            return int(row["items"]["data"][0]["current_period_end"])

        live = [row for row in self.rows["subscriptions"].values() if row["status"] != "canceled"]
        return min((row for row in live if end(row) <= until), key=end, default=None)

    def _renew(self, subscription: Json) -> None:
        if subscription["cancel_at_period_end"]:
            self.subscription_cancel(subscription["id"], {})
            return
        for item in subscription["items"]["data"]:
            item["current_period_start"] = item["current_period_end"]
            item["current_period_end"] += MONTH_S
        self.tell("customer.subscription.updated", subscription)
        self.bill(subscription, "subscription_cycle")
