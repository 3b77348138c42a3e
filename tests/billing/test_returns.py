from typing import Any
from uuid import uuid4

import pytest

from billing.ledger import credits_hold, hold_capture
from billing.models import AutoTopUp, Pack, Payment
from billing.payment_reconciling import payments_reconcile
from billing.selectors import debt_get, ledger_discrepancies
from billing.top_ups import top_ups_run
from config.errors import InsufficientCredits
from tests.billing.books import payment_audit, payment_grants
from tests.fakes.stripe import FakeStripe, Sender, objects
from tests.fakes.stripe.endpoints import GOOD
from tests.fakes.stripe.objects import Json
from tests.fakes.stripe.steps import available, buy_pack, settle, subscribe
from tests.makers import make_shop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _shop(db: None) -> None:
    make_shop()


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
        assert payment_audit() == ["payment.paid", "payment.refunded"]
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
        assert (available(alice), self.returned(payment), payment_grants()) == (5_100, 250, 1)
        fake_stripe.events = late
        settle(fake_stripe, stripe_sender)
        assert (available(alice), self.returned(payment), payment_grants()) == (5_100, 250, 1)

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

    @pytest.mark.parametrize(
        "status",
        ["warning_needs_response", "warning_under_review", "warning_closed", "prevented", "won"],
    )
    def test_what_takes_no_money_takes_no_credits(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender, status: str
    ):
        intent, _ = buy_pack(fake_stripe, alice)
        fake_stripe.dispute(intent, status)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 10_100

    @pytest.mark.parametrize(
        "status", ["appeal_needs_response", "appeal_under_review", "prevented", "of_next_year"]
    )
    def test_what_took_the_money_keeps_the_credits(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender, status: str
    ):
        intent, _ = buy_pack(fake_stripe, alice)
        dispute = fake_stripe.dispute(intent)
        fake_stripe.dispute_ends(dispute["id"], won=False)
        dispute["status"] = status
        fake_stripe.tell("charge.dispute.updated", dispute)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 100

    def test_of_a_dispute_without_bookings_the_state_counts(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        intent, _ = buy_pack(fake_stripe, alice)
        fake_stripe.dispute(intent)["balance_transactions"] = []
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 100

    def test_a_dispute_in_another_currency_is_of_the_whole_charge(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        intent, payment = buy_pack(fake_stripe, alice)
        fake_stripe.dispute(intent).update(amount=460, currency="eur")
        settle(fake_stripe, stripe_sender)
        assert (available(alice), self.returned(payment)) == (100, 500)

    @pytest.mark.parametrize("how", ["refund", "dispute"])
    def test_the_money_is_not_taken_again_at_once(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender, how: str
    ):
        intent, _ = buy_pack(fake_stripe, alice)
        settle(fake_stripe, stripe_sender)
        pack = Pack.objects.get(code="starter")
        AutoTopUp.objects.create(
            workspace=alice,
            is_enabled=True,
            threshold_mcr=1_000_000,
            pack=pack,
            monthly_ceiling_cents=5_000,
        )
        getattr(fake_stripe, how)(intent)
        settle(fake_stripe, stripe_sender)
        row = AutoTopUp.objects.get()
        assert (row.is_enabled, row.disabled_reason) == (
            False,
            "A payment was given back or disputed.",
        )
        assert top_ups_run() == 0
        assert len(fake_stripe.rows["charges"]) == 1

    def test_money_that_comes_back_leaves_the_top_up_alone(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        intent, _ = buy_pack(fake_stripe, alice)
        dispute = fake_stripe.dispute(intent)["id"]
        settle(fake_stripe, stripe_sender)
        pack = Pack.objects.get(code="starter")
        AutoTopUp.objects.create(
            workspace=alice, is_enabled=True, threshold_mcr=1, pack=pack, monthly_ceiling_cents=500
        )
        fake_stripe.dispute_ends(dispute, won=True)
        settle(fake_stripe, stripe_sender)
        assert AutoTopUp.objects.get().is_enabled


class TestWithoutAWord:
    """What changed, and no event came: the nightly look sees it, long after the first news."""

    def test_a_dispute_that_was_won(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        intent, payment = buy_pack(fake_stripe, alice)
        dispute = fake_stripe.dispute(intent)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 100
        dispute["created"] -= 60 * 86_400
        fake_stripe.dispute_ends(dispute["id"], won=True)
        assert payments_reconcile() == [str(payment.uuid)]
        assert available(alice) == 10_100

    def test_a_refund_that_failed(self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender):
        intent, _ = buy_pack(fake_stripe, alice)
        refund = fake_stripe.refund(intent)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 100
        refund["status"] = "failed"
        fake_stripe.get("charges", refund["charge"]).update(amount_refunded=0, refunded=False)
        assert len(payments_reconcile()) == 1
        assert available(alice) == 10_100
        assert payments_reconcile() == []


class TestMonths:
    """Several charges, and credit at Stripe, may pay one invoice; one charge may pay several."""

    def pay_in_parts(self, stripe: FakeStripe, subscription: str, cents: int) -> tuple[str, str]:
        """As if its invoice had been paid by two intents: of `cents`, and of the rest."""
        invoice = self.invoice_of(stripe, subscription)
        first = self.part_of(stripe, invoice)
        intent = stripe.get("payment_intents", first["payment"]["payment_intent"])
        rest = invoice["total"] - cents
        self.set_amount(stripe, first, intent, cents)
        other = stripe.add("payment_intents", objects.intent({**intent, "amount": rest}))
        stripe.collect(other)
        stripe.settle_invoice(invoice, other, paid=True)
        self.set_amount(stripe, self.part_of(stripe, invoice, 1), other, rest)
        return intent["id"], other["id"]

    def invoice_of(self, stripe: FakeStripe, subscription: str) -> Json:
        return stripe.get("invoices", stripe.get("subscriptions", subscription)["latest_invoice"])

    def part_of(self, stripe: FakeStripe, invoice: Json, number: int = 0) -> Json:
        rows = stripe.rows["invoice_payments"].values()
        return [row for row in rows if row["invoice"] == invoice["id"]][number]

    def set_amount(self, stripe: FakeStripe, part: Json, intent: Json, cents: int) -> None:
        part["amount_paid"] = intent["amount"] = cents
        stripe.get("charges", intent["latest_charge"])["amount"] = cents

    def test_each_part_stands_for_its_share(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        subscription, _ = subscribe(fake_stripe, alice)
        one, other = self.pay_in_parts(fake_stripe, subscription, 300)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 20_100
        fake_stripe.refund(other, 450)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 10_100
        fake_stripe.refund(one)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 100 + 20_000 * 150 // 900
        fake_stripe.refund(other)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 100
        assert ledger_discrepancies() == []

    def test_what_the_customers_credit_paid_does_not_go_back(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        subscription, payment = subscribe(fake_stripe, alice)
        invoice = self.invoice_of(fake_stripe, subscription)
        part = self.part_of(fake_stripe, invoice)
        intent = fake_stripe.get("payment_intents", part["payment"]["payment_intent"])
        self.set_amount(fake_stripe, part, intent, 450)
        invoice.update(starting_balance=-600, ending_balance=-150, amount_paid=450)
        settle(fake_stripe, stripe_sender)
        fake_stripe.refund(intent["id"])
        settle(fake_stripe, stripe_sender)
        payment.refresh_from_db()
        assert (payment.returned_cents, available(alice)) == (450, 10_100)

    def test_a_coupon_of_the_operators(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        subscription, payment = subscribe(fake_stripe, alice)
        part = self.part_of(fake_stripe, self.invoice_of(fake_stripe, subscription))
        intent = fake_stripe.get("payment_intents", part["payment"]["payment_intent"])
        self.set_amount(fake_stripe, part, intent, 450)
        settle(fake_stripe, stripe_sender)
        fake_stripe.refund(intent["id"])
        settle(fake_stripe, stripe_sender)
        payment.refresh_from_db()
        assert (payment.returned_cents, available(alice)) == (900, 100)

    def test_one_intent_that_pays_two_months(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        subscription, _ = subscribe(fake_stripe, alice)
        row = fake_stripe.get("subscriptions", subscription)
        card = row["default_payment_method"]
        fake_stripe.break_card(row["customer"])
        settle(fake_stripe, stripe_sender)
        fake_stripe.advance(months=1)
        one = self.invoice_of(fake_stripe, subscription)
        fake_stripe.advance(months=1)
        two = self.invoice_of(fake_stripe, subscription)
        settle(fake_stripe, stripe_sender)
        for invoice in (one, two):
            part = self.part_of(fake_stripe, invoice)
            del fake_stripe.rows["invoice_payments"][part["id"]]
        fake_stripe.card_numbers[card] = GOOD
        wanted = {"amount": 1_800, "currency": "usd", "customer": row["customer"]}
        intent = fake_stripe.add(
            "payment_intents", objects.intent({**wanted, "payment_method": card})
        )
        fake_stripe.collect(intent)
        for invoice in (one, two):
            fake_stripe.settle_invoice(invoice, intent, paid=True)
        settle(fake_stripe, stripe_sender)
        assert available(alice) == 60_100
        fake_stripe.refund(intent["id"], 900)
        settle(fake_stripe, stripe_sender)
        # Half of each.
        assert available(alice) == 40_100
        assert list(Payment.objects.order_by("pk").values_list("state", "returned_cents")) == [
            ("paid", 0),
            ("paid", 450),
            ("paid", 450),
        ]
        assert ledger_discrepancies() == []
