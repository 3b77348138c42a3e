from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now

from accounts.models import AuditEvent
from billing.checkout import checkout_pack, checkout_plan, customer_ensure, invoices_list
from billing.ledger import credits_hold, hold_capture
from billing.models import Lot, Pack, Payment, StripeCustomer, StripeEvent, Transaction
from billing.payments import payment_sync_charge, payment_sync_session
from billing.selectors import debt_get, ledger_discrepancies
from billing.stripe_events import events_process
from config.errors import (
    InsufficientCredits,
    NotForSale,
    PaymentProviderFailed,
    PaymentsUnavailable,
    UnknownPack,
    UnknownPlan,
)
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.endpoints import DECLINED
from tests.fakes.stripe.steps import (
    available,
    buy_pack,
    open_pack,
    settle,
    work_in_parallel,
)
from tests.makers import make_shop, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _shop(db: None) -> None:
    make_shop()


def grants() -> int:
    return Transaction.objects.filter(kind="grant", reason__startswith="Payment").count()


def audit() -> list[str]:
    rows = AuditEvent.objects.order_by("pk").values_list("action", flat=True)
    return [action for action in rows if action.startswith(("payment.", "subscription."))]


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
        assert audit() == ["payment.paid"]
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
        assert (available(alice), grants(), payment.state) == (100, 0, "pending")
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
        assert (available(alice), grants()) == (10_100, 1)
        error = StripeEvent.objects.get(object_id=twin).error
        assert error == "The session is not the payment's own."

    def test_what_stripe_does_not_have(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        fake_stripe.foreign_event("checkout.session.completed", "cs_test_unknown")
        settle(fake_stripe, stripe_sender)
        assert StripeEvent.objects.get().error == "Stripe has no such object."
        assert grants() == 0


class TestReturns:
    def returned(self, payment: Payment) -> int:
        payment.refresh_from_db()
        return payment.returned_cents

    def test_a_refund(self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender):
        intent, payment = buy_pack(fake_stripe, alice)
        settle(fake_stripe, stripe_sender)
        fake_stripe.refund(intent)
        settle(fake_stripe, stripe_sender)
        assert (available(alice), self.returned(payment)) == (100, 500)
        assert audit() == ["payment.paid", "payment.refunded"]
        assert ledger_discrepancies() == []

    def test_refunds_in_steps(self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender):
        intent, payment = buy_pack(fake_stripe, alice)
        for cents, left in ((1, 10_080), (2, 10_040), (247, 5_100), (250, 100)):
            fake_stripe.refund(intent, cents)
            settle(fake_stripe, stripe_sender)
            assert available(alice) == left
        assert self.returned(payment) == 500
        assert ledger_discrepancies() == []

    def test_news_of_the_refund_before_that_of_the_payment(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        intent, payment = buy_pack(fake_stripe, alice)
        fake_stripe.refund(intent, 250)
        (event,) = fake_stripe.told("charge.refunded")
        late, fake_stripe.events = fake_stripe.events, [event]
        settle(fake_stripe, stripe_sender)
        assert (available(alice), self.returned(payment), grants()) == (5_100, 250, 1)
        fake_stripe.events = late
        settle(fake_stripe, stripe_sender)
        assert (available(alice), self.returned(payment), grants()) == (5_100, 250, 1)

    def test_a_refund_that_was_never_heard_of_is_seen_with_the_grant(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        intent, _ = buy_pack(fake_stripe, alice)
        fake_stripe.refund(intent, 100)
        fake_stripe.events = fake_stripe.told("checkout.session.completed")
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 8_100

    def test_a_refund_after_the_spending_is_a_debt(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        intent, _ = buy_pack(fake_stripe, alice)
        settle(fake_stripe, stripe_sender)
        job = uuid4()
        credits_hold(workspace=alice, job_uuid=job, amount_mcr=9_100_000)
        hold_capture(job_uuid=job, amount_mcr=9_100_000)
        fake_stripe.refund(intent)
        settle(fake_stripe, stripe_sender)
        # 100 came free and went first; of the pack 9,000 were spent.
        assert (available(alice), debt_get(workspace=alice)) == (0, 9_000_000)
        with pytest.raises(InsufficientCredits):
            credits_hold(workspace=alice, job_uuid=uuid4(), amount_mcr=1)
        assert ledger_discrepancies() == []

    @pytest.mark.parametrize(("won", "credits"), [(True, 10_100), (False, 100)])
    def test_a_dispute(
        self,
        alice: Any,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
        won: bool,
        credits: int,
    ):
        intent, _ = buy_pack(fake_stripe, alice)
        settle(fake_stripe, stripe_sender)
        dispute = fake_stripe.dispute(intent)["id"]
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 100
        fake_stripe.dispute_ends(dispute, won=won)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == credits
        assert ledger_discrepancies() == []

    def test_a_warning_takes_no_money(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        intent, _ = buy_pack(fake_stripe, alice)
        fake_stripe.dispute(intent)["status"] = "warning_needs_response"
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 10_100


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_a_customer_is_made_once(self, fake_stripe: FakeStripe):
        workspace = make_workspace()

        def ensure(_: int) -> str:
            try:
                return customer_ensure(workspace=workspace)
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            ids = set(pool.map(ensure, range(8)))
        assert ids == set(fake_stripe.rows["customers"])
        assert ids == {StripeCustomer.objects.get().stripe_id}

    @pytest.mark.parametrize("seed", [1, 2])
    def test_every_event_fifty_times_in_any_order_grants_once(
        self, fake_stripe: FakeStripe, stripe_sender: Sender, seed: int
    ):
        make_shop()
        workspace = make_workspace(credits=0)
        intent, payment = buy_pack(fake_stripe, workspace)
        fake_stripe.refund(intent, 100)
        fake_stripe.refund(intent, 50)
        kinds = {event["type"] for event in fake_stripe.events}
        assert kinds >= {
            "checkout.session.completed",
            "payment_intent.succeeded",
            "charge.succeeded",
            "charge.refunded",
            "invoice.paid",
        }
        answers = stripe_sender.send_shuffled(fake_stripe.events, times=50, seed=seed)
        assert set(answers) == {200}
        assert StripeEvent.objects.count() == len(fake_stripe.events)
        # And handled as often as they came, as if each delivery were the first.
        for _ in range(5):
            work_in_parallel(8)
            assert not StripeEvent.objects.filter(processed_at=None, attempts__gt=3).exists()
            assert (available(workspace), grants()) == (7_000, 1)
            StripeEvent.objects.update(processed_at=None, next_attempt_at=Now(), attempts=0)
        payment.refresh_from_db()
        assert (payment.state, payment.returned_cents) == ("paid", 150)
        assert Transaction.objects.filter(kind="clawback").count() <= 2
        assert ledger_discrepancies() == []

    def test_delivered_and_handled_by_eight_at_a_time(
        self, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        make_shop()
        workspace = make_workspace(credits=0)
        intent, _ = buy_pack(fake_stripe, workspace)
        fake_stripe.refund(intent, 100)
        events = list(fake_stripe.events)

        def deliver(seed: int) -> None:
            try:
                answers = stripe_sender.send_shuffled(events, times=6, seed=seed)
                assert set(answers) == {200}
                while events_process():
                    pass
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(deliver, range(8)))
        assert (available(workspace), grants()) == (8_000, 1)
        assert StripeEvent.objects.count() == len(events)
        assert not StripeEvent.objects.filter(processed_at=None).exists()
        assert set(StripeEvent.objects.values_list("error", flat=True)) == {""}
        assert ledger_discrepancies() == []

    def test_an_old_answer_never_replaces_a_newer_one(self, fake_stripe: FakeStripe):
        """One worker has its answer and sleeps; meanwhile more is refunded, and another writes."""
        make_shop()
        workspace = make_workspace(credits=0)
        intent, payment = buy_pack(fake_stripe, workspace)
        (session,) = fake_stripe.rows["checkout/sessions"]
        payment_sync_session(session_id=session)
        fake_stripe.refund(intent, 100)

        def sync() -> None:
            try:
                payment_sync_session(session_id=session)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            with fake_stripe.held("GET charges/", times=1, after=True) as gate:
                slow = pool.submit(sync)
                assert gate.reached.wait(10)
                fake_stripe.refund(intent, 300)
                payment_sync_session(session_id=session)
                assert available(workspace) == 2_000
            slow.result()
        payment.refresh_from_db()
        assert (payment.returned_cents, available(workspace)) == (400, 2_000)
        assert ledger_discrepancies() == []

    def test_refunds_and_their_news_in_parallel(self, fake_stripe: FakeStripe):
        make_shop()
        workspace = make_workspace(credits=0)
        intent, payment = buy_pack(fake_stripe, workspace)
        charge = str(fake_stripe.get("payment_intents", intent)["latest_charge"])

        def sync(_: int) -> None:
            try:
                payment_sync_charge(charge_id=charge)
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            for _ in range(4):
                fake_stripe.refund(intent, 100)
                list(pool.map(sync, range(8)))
        payment.refresh_from_db()
        assert (payment.returned_cents, available(workspace)) == (400, 2_000)
        assert grants() == 1
        assert ledger_discrepancies() == []
