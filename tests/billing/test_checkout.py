from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from billing.checkout import checkout_pack, checkout_plan, customer_ensure, invoices_list
from billing.models import Lot, Pack, Payment, StripeEvent
from billing.selectors import ledger_discrepancies
from config.errors import (
    NotForSale,
    PaymentProviderFailed,
    PaymentsUnavailable,
    UnknownPack,
    UnknownPlan,
)
from tests.billing.books import payment_audit, payment_grants
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.endpoints import DECLINED
from tests.fakes.stripe.steps import available, buy_pack, open_pack, settle
from tests.makers import make_shop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _shop(db: None) -> None:
    make_shop()


class TestCheckout:
    def test_a_pack_is_granted_once_it_is_paid(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        session, payment = open_pack(fake_stripe, alice)
        settle(fake_stripe, stripe_sender)
        assert (available(alice), payment.state) == (100, "pending")
        intent = fake_stripe.pay(session)["id"]
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 10_100
        payment.refresh_from_db()
        assert (payment.state, payment.checkout_session_id) == ("paid", session)
        assert (payment.amount_cents, payment.credits_mcr) == (500, 10_000_000)
        assert payment.payment_intent_id == intent
        assert payment.grant
        assert payment.grant.idempotency_key == f"cs:{session}"
        assert payment_audit() == ["payment.paid"]
        assert ledger_discrepancies() == []

    def test_what_is_sent_to_stripe(self, alice: Any, fake_stripe: FakeStripe):
        session, payment = open_pack(fake_stripe, alice)
        sent = fake_stripe.session_params[session]
        metadata = {"payment": str(payment.uuid), "workspace": str(alice.uuid)}
        assert sent["client_reference_id"] == str(alice.uuid)
        assert sent["metadata"] == sent["payment_intent_data"]["metadata"] == metadata
        assert sent["payment_intent_data"]["setup_future_usage"] == "off_session"
        assert sent["line_items"][0]["price_data"] == {
            "currency": "usd",
            "unit_amount": 500,
            "product_data": {"name": "Starter: 10000 credits"},
        }
        assert sent["success_url"] == "http://127.0.0.1:8000/account/billing?checkout=done"

    def test_each_purchase_has_an_invoice(self, alice: Any, charlie: Any, fake_stripe: FakeStripe):
        assert invoices_list(workspace=alice) == []
        buy_pack(fake_stripe, alice)
        (invoice,) = invoices_list(workspace=alice)
        assert (invoice.number, invoice.status, invoice.amount_cents) == ("FAKE-0001", "paid", 500)
        assert invoice.pdf_url.endswith("/pdf")
        assert invoices_list(workspace=charlie) == []

    @pytest.mark.parametrize(
        ("sell", "code", "problem"),
        [
            (checkout_pack, "free", UnknownPack),
            (checkout_pack, "old", NotForSale),
            (checkout_plan, "starter", UnknownPlan),
        ],
    )
    def test_what_is_not_sold_is_refused(
        self, alice: Any, fake_stripe: FakeStripe, sell: Any, code: str, problem: type[Exception]
    ):
        Pack.objects.create(code="old", name="Old", credits_mcr=1, price_cents=1, is_active=False)
        with pytest.raises(problem):
            sell(workspace=alice, code=code)
        assert (Payment.objects.count(), fake_stripe.front.calls) == (0, [])

    def test_without_a_key_nothing_is_sold(self, alice: Any, settings: Any):
        settings.STRIPE_SECRET_KEY = ""
        with pytest.raises(PaymentsUnavailable):
            checkout_pack(workspace=alice, code="starter")
        assert Payment.objects.count() == 0

    def test_stripe_is_down(self, alice: Any, fake_stripe: FakeStripe):
        customer_ensure(workspace=alice)
        fake_stripe.fail("POST checkout/sessions")
        with pytest.raises(PaymentProviderFailed):
            checkout_pack(workspace=alice, code="starter")
        assert Payment.objects.get().state == "failed"

    def test_an_answer_that_is_lost_makes_no_second_session(
        self, alice: Any, fake_stripe: FakeStripe
    ):
        """stripe-python sends the call again by itself, with the same idempotency key."""
        fake_stripe.fail("POST checkout/sessions", status=0, after=True)
        _, payment = open_pack(fake_stripe, alice)
        assert fake_stripe.calls("POST checkout/sessions") == 2
        assert list(fake_stripe.rows["checkout/sessions"]) == [
            Payment.objects.get(pk=payment.pk).checkout_session_id
        ]

    def test_a_price_that_changes_meanwhile_changes_nothing(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        session, _ = open_pack(fake_stripe, alice)
        Pack.objects.filter(code="starter").update(price_cents=1, credits_mcr=99_000_000_000)
        fake_stripe.pay(session)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 10_100

    def test_a_pack_may_expire(self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender):
        Pack.objects.filter(code="starter").update(expires_after_days=10)
        _, payment = buy_pack(fake_stripe, alice)
        settle(fake_stripe, stripe_sender)
        payment.refresh_from_db()
        lot = Lot.objects.get(transaction=payment.grant)
        assert payment.paid_at
        assert lot.expires_at == payment.paid_at + timedelta(days=10)

    def test_its_expiry_is_fixed_at_the_checkout(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        session, payment = open_pack(fake_stripe, alice)
        Pack.objects.filter(code="starter").update(expires_after_days=1)
        fake_stripe.pay(session)
        settle(fake_stripe, stripe_sender)
        assert Lot.objects.get(transaction__payment=payment).expires_at is None


class TestBadEnds:
    def test_a_declined_card_grants_nothing_and_another_may_follow(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        session, payment = open_pack(fake_stripe, alice)
        fake_stripe.pay(session, number=DECLINED)
        settle(fake_stripe, stripe_sender)
        payment.refresh_from_db()
        assert (available(alice), payment.state) == (100, "pending")
        fake_stripe.pay(session)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 10_100

    @pytest.mark.parametrize(
        ("good", "credits", "state"), [(True, 10_100, "paid"), (False, 100, "failed")]
    )
    def test_a_slow_bank(
        self,
        alice: Any,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
        good: bool,
        credits: int,
        state: str,
    ):
        session, payment = open_pack(fake_stripe, alice)
        fake_stripe.pay(session, delayed=True)
        settle(fake_stripe, stripe_sender)
        payment.refresh_from_db()
        assert (available(alice), payment.state) == (100, "pending")
        fake_stripe.bank_answers(session, good=good)
        settle(fake_stripe, stripe_sender)
        payment.refresh_from_db()
        assert (available(alice), payment.state) == (credits, state)

    def test_an_expired_checkout(self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender):
        session, payment = open_pack(fake_stripe, alice)
        fake_stripe.session_expire(session, {})
        settle(fake_stripe, stripe_sender)
        payment.refresh_from_db()
        assert (payment.state, payment.failure) == (
            "failed",
            "The checkout was not finished in time.",
        )


class TestForeign:
    """Signed by Stripe, yet not about what we sold."""

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"metadata": {}}, "It names no payment."),
            ({"metadata": {"payment": "1"}}, "It names no payment."),
            ({"metadata": {"payment": str(uuid4())}}, "It names a payment that is not here."),
            (
                {"client_reference_id": str(uuid4())},
                "The session is for another workspace than its payment.",
            ),
            ({"amount_total": 499}, "It is of 499 usd, its payment of 500 usd."),
            ({"currency": "eur"}, "It is of 500 eur, its payment of 500 usd."),
            ({"customer": "cus_other"}, "It is of another customer than its payment."),
        ],
    )
    def test_it_grants_nothing(
        self,
        alice: Any,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
        changes: dict[str, Any],
        reason: str,
    ):
        session, payment = open_pack(fake_stripe, alice)
        fake_stripe.pay(session)
        fake_stripe.get("checkout/sessions", session).update(changes)
        settle(fake_stripe, stripe_sender)
        payment.refresh_from_db()
        assert (available(alice), payment_grants(), payment.state) == (100, 0, "pending")
        event = StripeEvent.objects.get(type="checkout.session.completed")
        assert (event.error, event.processed_at is None) == (reason, False)

    def test_a_session_that_names_anothers_payment(
        self, alice: Any, charlie: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        hers, _ = open_pack(fake_stripe, alice)
        his, _ = open_pack(fake_stripe, charlie)
        fake_stripe.pay(his)
        row = fake_stripe.get("checkout/sessions", his)
        row["metadata"]["payment"] = fake_stripe.get("checkout/sessions", hers)["metadata"][
            "payment"
        ]
        settle(fake_stripe, stripe_sender)
        assert (available(alice), available(charlie)) == (100, 100)

    def test_two_sessions_for_one_payment_grant_once(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        session, _ = open_pack(fake_stripe, alice)
        twin = fake_stripe.session_create(fake_stripe.session_params[session])["id"]
        fake_stripe.pay(twin)
        fake_stripe.pay(session)
        settle(fake_stripe, stripe_sender)
        assert (available(alice), payment_grants()) == (10_100, 1)
        error = StripeEvent.objects.get(object_id=twin).error
        assert error == "The session is not the payment's own."

    def test_what_stripe_does_not_have(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        fake_stripe.foreign_event("checkout.session.completed", "cs_test_unknown")
        settle(fake_stripe, stripe_sender)
        assert StripeEvent.objects.get().error == "Stripe has no such object."
        assert payment_grants() == 0
