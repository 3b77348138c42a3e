import json
import time
from typing import Any

import pytest
from django.test import Client
from django_q.models import OrmQ

from billing.models import StripeEvent
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.objects import Json
from tests.fakes.stripe.webhooks import sign

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(fake_stripe: FakeStripe) -> Json:
    return fake_stripe.foreign_event("checkout.session.completed", "cs_test_1")


def post(body: bytes, signature: str | None) -> tuple[int, str]:
    headers = {} if signature is None else {"Stripe-Signature": signature}
    response = Client(headers=headers).post(
        "/stripe/webhook", body, content_type="application/json"
    )
    answer = response.json()
    return response.status_code, answer.get("error", {}).get("message", "")


def test_an_event_is_stored_once_and_wakes_a_worker(
    event: Json, stripe_sender: Sender, django_capture_on_commit_callbacks: Any
):
    with django_capture_on_commit_callbacks(execute=True):
        assert [stripe_sender.send(event) for _ in range(3)] == [200] * 3
    row = StripeEvent.objects.get()
    assert (row.stripe_id, row.type, row.object_id) == (event["id"], event["type"], "cs_test_1")
    assert (row.processed_at, row.attempts) == (None, 0)
    assert {task.key for task in OrmQ.objects.all()} == {"default"}


def test_an_unknown_type_is_stored_and_done_with(
    fake_stripe: FakeStripe, stripe_sender: Sender, django_capture_on_commit_callbacks: Any
):
    with django_capture_on_commit_callbacks(execute=True):
        # The balance is an object without an id.
        event = fake_stripe.foreign_event("balance.available", "")
        del event["data"]["object"]["id"]
        assert stripe_sender.send(event) == 200
    assert StripeEvent.objects.get().processed_at is not None
    assert OrmQ.objects.count() == 0


def test_either_secret_is_good_while_one_is_replaced(
    event: Json, stripe_sender: Sender, settings: Any
):
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_new", *settings.STRIPE_WEBHOOK_SECRETS]
    assert stripe_sender.send(event) == 200
    stripe_sender.secret = "whsec_new"
    assert stripe_sender.send(event) == 200


class TestRefused:
    SIGNATURE = "The signature is missing, wrong or too old."

    @pytest.fixture(autouse=True)
    def _nothing_is_stored(self, fake_stripe: FakeStripe) -> Any:
        yield
        assert StripeEvent.objects.count() == 0
        assert fake_stripe.front.calls == []

    @pytest.mark.parametrize(
        "signature", [None, "", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=é", "t=1,v1=", "," * 500]
    )
    def test_no_signature(self, event: Json, signature: str | None):
        assert post(json.dumps(event).encode(), signature) == (400, self.SIGNATURE)

    def test_forged(self, event: Json, stripe_sender: Sender):
        assert stripe_sender.send_forged(event) == 400

    def test_stale(self, event: Json, stripe_sender: Sender):
        assert stripe_sender.send_stale(event) == 400

    def test_a_stale_one_whose_date_was_changed(self, event: Json, fake_stripe: FakeStripe):
        body = json.dumps(event).encode()
        old = sign(body, fake_stripe.webhook_secret, at=1)
        assert post(body, old.replace("t=1,", f"t={int(time.time())},")) == (400, self.SIGNATURE)

    def test_a_changed_body(self, event: Json, fake_stripe: FakeStripe):
        body = json.dumps(event).encode()
        signature = sign(body, fake_stripe.webhook_secret)
        assert post(body + b" ", signature) == (400, self.SIGNATURE)

    def test_of_live_mode(self, event: Json, stripe_sender: Sender):
        assert stripe_sender.send(event, livemode=True) == 400
        assert stripe_sender.send(event, livemode="false") == 400

    def test_of_test_mode_at_a_live_service(
        self, event: Json, stripe_sender: Sender, settings: Any
    ):
        settings.STRIPE_SECRET_KEY = "sk_live_x"
        assert stripe_sender.send(event) == 400

    @pytest.mark.parametrize("version", ["2017-08-15", None, ""])
    def test_of_another_version(self, event: Json, stripe_sender: Sender, version: str | None):
        assert stripe_sender.send(event, api_version=version) == 400

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"5",
            b"\xff\xfe",
            b"{}",
            b'{"id": "evt_1", "type": "x", "data": 5, "livemode": false}',
            b'{"id": 5, "type": "x", "data": {"object": {}}, "livemode": false, "api_version": ""}',
            b"[" * 100_000,
        ],
    )
    def test_what_is_no_event(self, fake_stripe: FakeStripe, body: bytes):
        status, _ = post(body, sign(body, fake_stripe.webhook_secret))
        assert status == 400

    def test_ids_that_are_too_long(self, event: Json, stripe_sender: Sender):
        assert stripe_sender.send(event, id="evt_" + "x" * 300) == 400

    @pytest.mark.parametrize("text", ["\x00", "\ud800", "é", "\n", "\u202e"])
    @pytest.mark.parametrize("place", ["id", "type", "object"])
    def test_texts_that_are_none_of_stripes(
        self, event: Json, fake_stripe: FakeStripe, text: str, place: str
    ):
        if place == "object":
            event["data"]["object"]["id"] += text
        else:
            event[place] += text
        body = json.dumps(event).encode()
        answer = post(body, sign(body, fake_stripe.webhook_secret))
        assert answer == (400, "This is not an event.")

    def test_a_huge_body(self, event: Json, stripe_sender: Sender):
        assert stripe_sender.send(event, padding="x" * 1_000_000) == 413

    def test_not_set_up(self, event: Json, stripe_sender: Sender, settings: Any):
        settings.STRIPE_WEBHOOK_SECRETS = []
        assert stripe_sender.send(event) == 503
        settings.STRIPE_SECRET_KEY = ""
        assert stripe_sender.send(event) == 503

    def test_another_method(self):
        assert Client().get("/stripe/webhook").status_code == 405
