"""Our stand-in for Stripe behaves as the service's tests rely on, and as localstripe does."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.compare import TOLD, client_of, script
from tests.fakes.stripe.objects import StripeProblem

ROOT = Path(__file__).resolve().parent.parent.parent
NAMESPACE = ["unshare", "--map-root-user", "--net"]


@pytest.fixture
def client(fake_stripe: FakeStripe) -> Any:
    return client_of(fake_stripe.url, fake_stripe.secret_key).v1


def test_it_answers_as_localstripe_does(fake_stripe: FakeStripe):
    if not shutil.which("unshare") or subprocess.run([*NAMESPACE, "true"]).returncode:
        pytest.skip("localstripe listens on all interfaces: it needs a network namespace (unshare)")
    command = [*NAMESPACE, sys.executable, "-m", "tests.fakes.stripe.compare"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    ours = script(client_of(fake_stripe.url, fake_stripe.secret_key))
    assert ours == theirs["answers"]
    assert len(ours) > 20
    told = {event["type"] for event in fake_stripe.events}
    assert sorted(TOLD & told) == theirs["told"] == sorted(TOLD)


class TestIdempotency:
    def test_the_same_call_again_is_replayed(self, client: Any, fake_stripe: FakeStripe):
        options = {"idempotency_key": "k"}
        first = client.customers.create({"email": "a@example.org"}, options)
        assert client.customers.create({"email": "a@example.org"}, options).id == first.id
        assert client.customers.create({"email": "a@example.org"}).id != first.id
        assert len(fake_stripe.rows["customers"]) == 2

    def test_a_fault_of_the_first_call_is_replayed_too(
        self, client: Any, fake_stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
    ):
        def broken(params: Any) -> Any:
            raise StripeProblem(500, "api_error", "x")

        with monkeypatch.context() as patch:
            patch.setattr(fake_stripe, "customer_create", broken)
            with pytest.raises(stripe.APIError) as first:
                client.customers.create({}, {"idempotency_key": "k"})
        with pytest.raises(stripe.APIError) as second:
            client.customers.create({}, {"idempotency_key": "k"})
        headers = [problem.value.headers or {} for problem in (first, second)]
        assert [row.get("Idempotent-Replayed") for row in headers] == [None, "true"]
        assert fake_stripe.rows["customers"] == {}

    def test_other_parameters_are_an_error(self, client: Any, fake_stripe: FakeStripe):
        client.customers.create({"email": "a@example.org"}, {"idempotency_key": "k"})
        with pytest.raises(stripe.IdempotencyError):
            client.customers.create({"email": "b@example.org"}, {"idempotency_key": "k"})
        assert len(fake_stripe.rows["customers"]) == 1

    def test_a_declined_card_is_replayed_too(self, client: Any, fake_stripe: FakeStripe):
        customer = client.customers.create({})
        card = fake_stripe.card_create({"card": {"number": "4000000000000341"}})
        card["customer"] = customer.id
        order = {
            "amount": 500,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": card["id"],
            "payment_method_types": ["card"],
            "confirm": True,
        }
        for _ in range(2):
            with pytest.raises(stripe.CardError):
                client.payment_intents.create(order, {"idempotency_key": "k"})
        assert len(fake_stripe.rows["payment_intents"]) == 1

    def test_a_payment_must_lead_to_no_other_page(self, client: Any, fake_stripe: FakeStripe):
        customer = client.customers.create({})
        card = client.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        order = {
            "amount": 500,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": card.id,
            "confirm": True,
        }
        with pytest.raises(stripe.InvalidRequestError):
            client.payment_intents.create(order)
        assert fake_stripe.rows["payment_intents"] == {}
        never: Any = {"enabled": True, "allow_redirects": "never"}
        intent = client.payment_intents.create({**order, "automatic_payment_methods": never})
        assert intent.status == "succeeded"
        with pytest.raises(stripe.InvalidRequestError):
            client.payment_intents.cancel(intent.id)

    def test_at_the_same_time_it_is_a_conflict(self, client: Any, fake_stripe: FakeStripe):
        """stripe-python waits a moment and sends it again."""
        fake_stripe.front.replays["k"] = (json.dumps(["customers", {}]), None)
        with pytest.raises(stripe.APIError) as problem:
            client.customers.create({}, {"idempotency_key": "k"})
        assert problem.value.http_status == 409
        assert fake_stripe.rows["customers"] == {}


class TestDoor:
    def test_another_key(self, fake_stripe: FakeStripe):
        with pytest.raises(stripe.AuthenticationError):
            client_of(fake_stripe.url, "sk_test_other").v1.customers.list()

    def test_another_version(self, fake_stripe: FakeStripe):
        other = stripe.StripeClient(
            fake_stripe.secret_key,
            stripe_version="2025-01-01",
            base_addresses={"api": fake_stripe.url},
        )
        with pytest.raises(stripe.InvalidRequestError):
            other.v1.customers.list()

    def test_an_unknown_call(self, client: Any):
        with pytest.raises(stripe.InvalidRequestError):
            client.coupons.list()


def test_lists_have_pages(client: Any):
    ids = [client.customers.create({}).id for _ in range(5)]
    found = client.customers.list({"limit": 2})
    assert ([row.id for row in found.data], found.has_more) == ([ids[4], ids[3]], True)
    assert [row.id for row in found.auto_paging_iter()] == ids[::-1]


def test_faults_come_before_or_after_the_work(client: Any, fake_stripe: FakeStripe):
    for after, made in ((False, 0), (True, 1)):
        fake_stripe.fail("POST customers", after=after)
        with pytest.raises(stripe.APIError):
            client.customers.create({})
        assert len(fake_stripe.rows["customers"]) == made


def test_the_sender_repeats_until_it_is_taken(fake_stripe: FakeStripe):
    answers = iter([500, 503, 200])
    sender = Sender(lambda body, signature: next(answers), secret="whsec")
    assert sender.send_until_taken(fake_stripe.foreign_event("x", "y")) == 3
