"""One script of calls for our stand-in and for localstripe, and what both should answer.

localstripe is another's (GPL-3.0): it runs as a process of its own. It listens on all interfaces,
so that process lives in a network namespace of its own, together with the client that asks it:

    unshare -rn python -m tests.fakes.stripe.compare
"""

import array
import fcntl
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import stripe

from tests.fakes.stripe.endpoints import DECLINED, GOOD
from tests.fakes.stripe.objects import API_VERSION, Json

_PORT = 8420
_SECRET = "whsec_compare"
# What the script makes happen, and both tell of.
TOLD = {
    "customer.created",
    "customer.subscription.created",
    "invoice.created",
    "invoice.payment_succeeded",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
}


def client_of(url: str, key: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": url},
        http_client=stripe.RequestsClient(timeout=10),
    )


def pick(found: Any, *names: str) -> Json:
    plain = found.to_dict()
    return {name: plain[name] for name in names}


def id_of(value: Any) -> Any:
    return value if isinstance(value, str) or value is None else value.id


def problem(call: Any) -> list[Any]:
    try:
        call()
    except stripe.StripeError as error:
        return [type(error).__name__, error.http_status, error.code]
    raise AssertionError("it was not refused")


def script(client: stripe.StripeClient) -> Json:
    """The answers, without what must differ: ids, times, texts."""
    api: Any = client.v1
    metadata = {"payment": "1", "workspace": "2"}
    customer = api.customers.create({"email": "a@example.org", "metadata": metadata})
    answers: Json = {"customer": pick(customer, "object", "email", "metadata", "livemode")}

    def card(number: str) -> Any:
        values = {"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "123"}
        made = api.payment_methods.create({"type": "card", "card": values})
        answers[f"card {number}"] = pick(made, "object", "type", "customer")
        return api.payment_methods.attach(made.id, {"customer": customer.id})

    good = card(GOOD)
    answers["attached"] = [good.card.last4, good.customer == customer.id]
    cards = api.payment_methods.list({"customer": customer.id, "type": "card"})
    answers["cards"] = [cards.object, cards.has_more, len(cards.data)]

    order = {"amount": 500, "currency": "usd", "customer": customer.id, "metadata": metadata}
    intent = api.payment_intents.create({**order, "payment_method": good.id})
    fields = ("object", "amount", "currency", "metadata", "status")
    answers["intent"] = pick(intent, *fields, "latest_charge", "last_payment_error")
    intent = api.payment_intents.confirm(intent.id)
    answers["confirmed"] = pick(intent, *fields)
    answers["read again"] = pick(api.payment_intents.retrieve(intent.id), *fields)

    charge_id = id_of(intent.latest_charge)

    def charge() -> Json:
        found = api.charges.retrieve(charge_id)
        assert id_of(found.payment_intent) == intent.id
        names = ("amount", "amount_refunded", "captured", "currency", "paid", "refunded", "status")
        return pick(found, "object", *names)

    answers["charge"] = charge()
    refund = api.refunds.create({"payment_intent": intent.id, "amount": 200})
    assert id_of(refund.charge) == charge_id
    answers["refund"] = pick(refund, "object", "amount", "currency", "status")
    answers["charge, refunded in part"] = charge()
    api.refunds.create({"charge": charge_id, "amount": 300})
    answers["charge, refunded"] = charge()

    bad = card(DECLINED)
    again = {**order, "payment_method": bad.id, "confirm": True, "off_session": True}
    again["payment_method_types"] = ["card"]
    answers["declined"] = problem(lambda: api.payment_intents.create(again))
    answers["unknown customer"] = problem(lambda: api.customers.retrieve("cus_unknown"))[:2]
    answers["unknown intent"] = problem(lambda: api.payment_intents.retrieve("pi_unknown"))[:2]

    api.customers.update(customer.id, {"invoice_settings": {"default_payment_method": good.id}})
    plan = api.plans.create(
        {"amount": 900, "currency": "usd", "interval": "month", "product": {"name": "Hobby"}}
    )
    answers["plan"] = pick(plan, "object", "amount", "currency", "interval")
    made = {"customer": customer.id, "items": [{"plan": plan.id}], "metadata": metadata}
    subscription = api.subscriptions.create(made)
    answers["subscription"] = pick(
        subscription, "object", "status", "metadata", "cancel_at_period_end", "ended_at"
    )
    # `items` of a StripeObject is its own method.
    (item,) = subscription["items"].data
    answers["item"] = [item.object, item.plan.id == plan.id, item.quantity]
    invoice = api.invoices.retrieve(id_of(subscription.latest_invoice))
    totals = ("total", "subtotal", "amount_paid")
    answers["invoice"] = pick(invoice, "object", "status", "currency", *totals)
    answers["lines"] = [[line.amount, line.currency] for line in invoice.lines.data]
    invoices = api.invoices.list({"customer": customer.id})
    answers["invoices"] = [row.id == invoice.id for row in invoices.data]
    ended = api.subscriptions.cancel(subscription.id)
    answers["cancelled"] = [ended.status, ended.ended_at is not None]
    return answers


class _Receiver(BaseHTTPRequestHandler):
    """Takes localstripe's webhooks, and checks them as the service does."""

    told: set[str] = set()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = stripe.Webhook.construct_event(body, self.headers["Stripe-Signature"], _SECRET)
        self.told.add(event.type)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    _loopback_up()
    receiver = HTTPServer(("127.0.0.1", 0), _Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{_PORT}"
    command = [sys.executable, "-m", "localstripe", "--from-scratch", "--port", str(_PORT)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for(process)
            hook = f"url=http://127.0.0.1:{receiver.server_port}/&secret={_SECRET}".encode()
            urllib.request.urlopen(f"{url}/_config/webhooks/compare", hook, timeout=10).close()
            answers = script(client_of(url, "sk_test_fake"))
            deadline = time.monotonic() + 20
            while not TOLD <= _Receiver.told and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            process.terminate()
            process.wait(10)
            # It keeps its state there, and offers no other place.
            Path("/tmp/localstripe.pickle").unlink(missing_ok=True)
    told = sorted(TOLD & _Receiver.told)
    sys.stdout.write(json.dumps({"answers": answers, "told": told}) + "\n")


def _loopback_up() -> None:
    """As `ip link set lo up`; in a new namespace it is down."""
    get, put, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = array.array("b", struct.pack("16sh14x", b"lo", 0))
        fcntl.ioctl(any_socket, get, request)
        (flags,) = struct.unpack_from("h", request, 16)
        fcntl.ioctl(any_socket, put, struct.pack("16sh14x", b"lo", flags | up))


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", _PORT), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("localstripe did not start")


if __name__ == "__main__":
    main()
