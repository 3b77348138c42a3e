from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.db.models.functions import Now

from billing.checkout import customer_ensure
from billing.models import StripeCustomer, StripeEvent, Transaction
from billing.payments import payment_sync_charge, payment_sync_session
from billing.selectors import ledger_discrepancies
from billing.stripe_events import events_process
from tests.billing.books import payment_grants
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.steps import available, buy_pack, work_in_parallel
from tests.makers import make_shop, make_workspace


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
            assert (available(workspace), payment_grants()) == (7_000, 1)
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
        assert (available(workspace), payment_grants()) == (8_000, 1)
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
        assert payment_grants() == 1
        assert ledger_discrepancies() == []
