from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from accounts.models import AuditEvent
from billing.checkout import checkout_plan
from billing.ledger import lots_expire
from billing.models import Lot, Payment, Plan, StripeEvent, Subscription, Transaction
from billing.selectors import ledger_discrepancies
from billing.subscriptions import subscription_get, subscription_sync
from config.errors import WrongState
from tests.fakes.stripe import FakeStripe, Sender, objects
from tests.fakes.stripe.endpoints import DECLINED, GOOD, MONTH_S
from tests.fakes.stripe.steps import available, settle, subscribe, work_in_parallel
from tests.makers import make_shop, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _shop(db: None) -> None:
    make_shop()


def states() -> list[tuple[str, str]]:
    return list(Payment.objects.order_by("pk").values_list("kind", "state"))


def test_the_first_month(alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender):
    stripe_id, payment = subscribe(fake_stripe, alice)
    settle(fake_stripe, stripe_sender)
    assert available(alice) == 20_100
    assert states() == [("plan", "paid")]
    payment.refresh_from_db()
    invoice = fake_stripe.get("invoices", str(payment.invoice_id))
    line = invoice["lines"]["data"][0]
    assert payment.grant
    assert payment.grant.idempotency_key == f"inv:{invoice['id']}:{line['id']}"
    lot = Lot.objects.get(transaction=payment.grant)
    assert lot.expires_at
    assert lot.expires_at.timestamp() == line["period"]["end"]
    row = subscription_get(workspace=alice)
    assert row
    assert (row.stripe_id, row.plan.code, row.status) == (stripe_id, "hobby", "active")
    assert row.current_period_end == lot.expires_at


def test_each_month_brings_its_credits_at_the_price_agreed(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    subscribe(fake_stripe, alice)
    Plan.objects.update(price_cents=1, monthly_mcr=1)
    fake_stripe.advance(months=3)
    settle(fake_stripe, stripe_sender)
    assert available(alice) == 80_100
    assert states() == [("plan", "paid")] * 4
    assert Payment.objects.filter(amount_cents=900, credits_mcr=20_000_000).count() == 4
    assert ledger_discrepancies() == []


def test_credits_expire_with_their_month(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    fake_stripe.now -= MONTH_S + 60
    subscribe(fake_stripe, alice)
    settle(fake_stripe, stripe_sender)
    lots_expire()
    assert available(alice) == 100
    fake_stripe.advance(months=1)
    settle(fake_stripe, stripe_sender)
    assert available(alice) == 20_100
    assert lots_expire() == 0
    assert ledger_discrepancies() == []


def test_a_month_that_is_not_paid_brings_nothing_until_it_is(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    stripe_id, _ = subscribe(fake_stripe, alice)
    subscription = fake_stripe.get("subscriptions", stripe_id)
    fake_stripe.break_card(subscription["customer"])
    fake_stripe.advance(months=1)
    settle(fake_stripe, stripe_sender)
    assert (available(alice), states()) == (20_100, [("plan", "paid"), ("plan", "failed")])
    assert Subscription.objects.get().status == "past_due"
    # A new card, and Stripe tries again.
    fake_stripe.card_numbers[subscription["default_payment_method"]] = GOOD
    invoice = fake_stripe.get("invoices", subscription["latest_invoice"])
    fake_stripe.pay_invoice(invoice, subscription)
    settle(fake_stripe, stripe_sender)
    assert (available(alice), states()) == (40_100, [("plan", "paid")] * 2)
    assert Subscription.objects.get().status == "active"


def test_cancelled_at_the_end_of_the_month(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    stripe_id, _ = subscribe(fake_stripe, alice)
    fake_stripe.subscription_update(stripe_id, {"cancel_at_period_end": True})
    settle(fake_stripe, stripe_sender)
    row = Subscription.objects.get()
    assert (row.status, row.cancel_at_period_end) == ("active", True)
    fake_stripe.advance(months=2)
    settle(fake_stripe, stripe_sender)
    assert (Subscription.objects.get().status, available(alice)) == ("canceled", 20_100)
    changes = AuditEvent.objects.filter(action="subscription.changed").order_by("pk")
    assert [event.data["status"] for event in changes][-1] == "canceled"
    # And another may follow.
    checkout_plan(workspace=alice, code="pro")


def test_a_second_subscription_is_refused(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    subscribe(fake_stripe, alice)
    settle(fake_stripe, stripe_sender)
    with pytest.raises(WrongState):
        checkout_plan(workspace=alice, code="pro")
    assert Payment.objects.count() == 1


def test_a_second_checkout_ends_the_first(alice: Any, fake_stripe: FakeStripe):
    first = fake_stripe.session_at(checkout_plan(workspace=alice, code="pro").url)
    checkout_plan(workspace=alice, code="hobby")
    assert fake_stripe.get("checkout/sessions", first)["status"] == "expired"
    assert states() == [("plan", "failed"), ("plan", "pending")]


def test_a_paid_one_of_which_no_event_came_yet_counts(alice: Any, fake_stripe: FakeStripe):
    subscribe(fake_stripe, alice)
    with pytest.raises(WrongState):
        checkout_plan(workspace=alice, code="pro")
    assert (available(alice), states()) == (20_100, [("plan", "paid")])


def test_a_first_month_that_fails_keeps_its_page_open(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    """Else another could be opened beside it, and both be paid."""
    session = fake_stripe.session_at(checkout_plan(workspace=alice, code="hobby").url)
    stripe_id = fake_stripe.pay(session, number=DECLINED)["id"]
    fake_stripe.get("subscriptions", stripe_id)["status"] = "incomplete"
    fake_stripe.get("checkout/sessions", session).update(status="open", payment_status="unpaid")
    settle(fake_stripe, stripe_sender)
    assert (available(alice), states()) == (100, [("plan", "pending")])


def test_a_refunded_month(alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender):
    _, payment = subscribe(fake_stripe, alice)
    fake_stripe.advance(months=1)
    settle(fake_stripe, stripe_sender)
    payment.refresh_from_db()
    fake_stripe.refund(str(payment.payment_intent_id), 450)
    settle(fake_stripe, stripe_sender)
    assert available(alice) == 30_100
    assert ledger_discrepancies() == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"amount": 899}, "It is of 899 usd, its payment of 900 usd."),
        ({"currency": "eur"}, "It is of 900 eur, its payment of 900 usd."),
        ({"parent": None}, "The invoice has 0 lines of the plan, not one."),
    ],
)
def test_an_invoice_for_something_else_grants_nothing(
    alice: Any,
    fake_stripe: FakeStripe,
    stripe_sender: Sender,
    change: dict[str, Any],
    reason: str,
):
    stripe_id, _ = subscribe(fake_stripe, alice)
    invoice = fake_stripe.get("subscriptions", stripe_id)["latest_invoice"]
    fake_stripe.get("invoices", invoice)["lines"]["data"][0].update(change)
    settle(fake_stripe, stripe_sender)
    assert available(alice) == 100
    assert StripeEvent.objects.get(type="invoice.paid").error == reason


def test_a_subscription_of_another_product(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    stripe_id, _ = subscribe(fake_stripe, alice)
    row = fake_stripe.get("subscriptions", stripe_id)
    row["metadata"].clear()
    settle(fake_stripe, stripe_sender)
    assert (available(alice), Subscription.objects.count()) == (100, 0)


def test_a_month_that_is_paid_after_it_ended(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    fake_stripe.now -= 2 * MONTH_S + 86_400
    stripe_id, _ = subscribe(fake_stripe, alice)
    subscription = fake_stripe.get("subscriptions", stripe_id)
    fake_stripe.break_card(subscription["customer"])
    fake_stripe.advance(months=1)
    settle(fake_stripe, stripe_sender)
    overdue = fake_stripe.get("invoices", subscription["latest_invoice"])
    fake_stripe.now += MONTH_S + 86_400
    fake_stripe.card_numbers[subscription["default_payment_method"]] = GOOD
    fake_stripe.pay_invoice(overdue, subscription)
    settle(fake_stripe, stripe_sender)
    lots_expire()
    assert (available(alice), states()) == (20_100, [("plan", "paid")] * 2)
    lot = Lot.objects.exclude(expires_at=None).latest("pk")
    assert lot.expires_at
    assert lot.expires_at.timestamp() == fake_stripe.now + MONTH_S


def test_a_month_whose_rest_was_given_back_does_not_pay_another(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    """Ended at once with proration: the rest stands on the next bill, its credits are spent."""
    one, _ = subscribe(fake_stripe, alice)
    settle(fake_stripe, stripe_sender)
    fake_stripe.subscription_cancel(one, {})
    settle(fake_stripe, stripe_sender)
    two, _ = subscribe(fake_stripe, alice)
    invoice = fake_stripe.get("invoices", fake_stripe.get("subscriptions", two)["latest_invoice"])
    (line,) = invoice["lines"]["data"]
    item = {"invoice_item": "ii_1", "proration": True, "subscription": one}
    parent = {"type": "invoice_item_details", "invoice_item_details": item}
    invoice["lines"]["data"].append({**line, "id": "il_x", "amount": -900, "parent": parent})
    invoice.update(total=0, subtotal=0, amount_due=0, amount_paid=0)
    settle(fake_stripe, stripe_sender)
    assert available(alice) == 20_100
    error = StripeEvent.objects.filter(type="invoice.paid").latest("pk").error
    assert error == "The invoice gives back a part of another month."


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("processing", [("plan", "paid")]),
        ("requires_payment_method", [("plan", "paid"), ("plan", "failed")]),
        ("requires_action", [("plan", "paid"), ("plan", "failed")]),
    ],
)
def test_a_bank_that_takes_days_has_not_refused(
    alice: Any,
    fake_stripe: FakeStripe,
    stripe_sender: Sender,
    status: str,
    found: list[tuple[str, str]],
):
    stripe_id, _ = subscribe(fake_stripe, alice)
    row = fake_stripe.get("subscriptions", stripe_id)
    line = {"id": "il_x", **objects.invoice_line(row, row["items"]["data"][0])}
    made = objects.invoice(row, row["customer"], "usd", [line], "subscription_cycle")
    invoice = fake_stripe.add("invoices", {**made, "attempted": True})
    wanted = objects.intent({"amount": 900, "currency": "usd", "customer": row["customer"]})
    intent = fake_stripe.add("payment_intents", {**wanted, "status": status})
    # Open, and told of as a bank's answer would be.
    fake_stripe.settle_invoice(invoice, intent, paid=False)
    settle(fake_stripe, stripe_sender)
    assert states() == found


@pytest.mark.django_db(transaction=True)
def test_every_event_fifty_times_in_any_order_grants_each_month_once(
    fake_stripe: FakeStripe, stripe_sender: Sender
):
    make_shop()
    workspace = make_workspace(credits=0)
    stripe_id, _ = subscribe(fake_stripe, workspace)
    fake_stripe.advance(months=2)
    fake_stripe.subscription_update(stripe_id, {"cancel_at_period_end": True})
    assert set(stripe_sender.send_shuffled(fake_stripe.events, times=50, seed=3)) == {200}
    work_in_parallel(8)
    assert (available(workspace), states()) == (60_000, [("plan", "paid")] * 3)
    assert Transaction.objects.filter(kind="grant").count() == 3
    row = Subscription.objects.get()
    assert (row.status, row.cancel_at_period_end) == ("active", True)
    assert not StripeEvent.objects.filter(processed_at=None, attempts__gt=1).exists()
    assert ledger_discrepancies() == []


@pytest.mark.django_db(transaction=True)
def test_an_old_answer_never_replaces_a_newer_one(fake_stripe: FakeStripe):
    make_shop()
    workspace = make_workspace(credits=0)
    stripe_id, _ = subscribe(fake_stripe, workspace)
    subscription_sync(subscription_id=stripe_id)
    fake_stripe.subscription_update(stripe_id, {"cancel_at_period_end": True})

    def sync() -> None:
        try:
            subscription_sync(subscription_id=stripe_id)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with fake_stripe.held("GET subscriptions/", times=1, after=True) as gate:
            slow = pool.submit(sync)
            assert gate.reached.wait(10)
            fake_stripe.subscription_cancel(stripe_id, {})
            subscription_sync(subscription_id=stripe_id)
        slow.result()
    assert Subscription.objects.get().status == "canceled"


@pytest.mark.django_db(transaction=True)
def test_many_checkouts_at_once_leave_one_that_can_be_paid(fake_stripe: FakeStripe):
    make_shop()
    workspace = make_workspace(credits=0)

    def open_one(_: int) -> bool:
        try:
            checkout_plan(workspace=workspace, code="hobby")
        except WrongState:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert any(pool.map(open_one, range(8)))
    sessions = fake_stripe.rows["checkout/sessions"].values()
    assert [row["status"] for row in sessions].count("open") == 1
    assert states().count(("plan", "pending")) == 1
