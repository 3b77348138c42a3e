"""Of a workspace's checkouts of plans one is open at a time; what is over makes room."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from billing.checkout import checkout_plan
from billing.models import Payment, Subscription
from billing.payment_reconciling import payments_reconcile
from config.errors import WrongState
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.endpoints import DECLINED
from tests.fakes.stripe.steps import available, settle, subscribe
from tests.makers import make_shop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _shop(db: None) -> None:
    make_shop()


def states() -> list[str]:
    return list(Payment.objects.order_by("pk").values_list("state", flat=True))


def debit(stripe: FakeStripe, workspace: Any, *, invoice: str, intent: str) -> str:
    """A first month by bank debit: the page is complete, and not paid. Its subscription."""
    session = stripe.session_at(checkout_plan(workspace=workspace, code="hobby").url)
    subscription = stripe.pay(session, number=DECLINED)
    stripe.get("checkout/sessions", session)["payment_status"] = "unpaid"
    stripe.get("invoices", subscription["latest_invoice"])["status"] = invoice
    (part,) = stripe.rows["invoice_payments"].values()
    stripe.get("payment_intents", part["payment"]["payment_intent"])["status"] = intent
    return str(subscription["id"])


@pytest.mark.parametrize("invoice", ["void", "uncollectible", "open"])
def test_a_bank_debit_that_failed_makes_room(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender, invoice: str
):
    stripe_id = debit(fake_stripe, alice, invoice=invoice, intent="requires_payment_method")
    settle(fake_stripe, stripe_sender)
    assert states() == ["failed"]
    # What Stripe still calls alive would bring a bill.
    with pytest.raises(WrongState, match="There is a subscription already"):
        checkout_plan(workspace=alice, code="pro")
    fake_stripe.subscription_cancel(stripe_id, {})
    settle(fake_stripe, stripe_sender)
    checkout_plan(workspace=alice, code="pro")
    assert states() == ["failed", "pending"]


@pytest.mark.parametrize("intent", ["processing", "requires_action"])
def test_a_bank_that_takes_days_is_waited_for(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender, intent: str
):
    debit(fake_stripe, alice, invoice="open", intent=intent)
    settle(fake_stripe, stripe_sender)
    Payment.objects.update(created_at=Now() - timedelta(days=10))
    payments_reconcile()
    assert states() == ["pending"]
    with pytest.raises(WrongState):
        checkout_plan(workspace=alice, code="pro")
    assert states() == ["pending"]


def test_a_checkout_that_stripe_does_not_have_makes_room(alice: Any, fake_stripe: FakeStripe):
    session = fake_stripe.session_at(checkout_plan(workspace=alice, code="pro").url)
    del fake_stripe.rows["checkout/sessions"][session]
    checkout_plan(workspace=alice, code="hobby")
    assert states() == ["failed", "pending"]
    assert Payment.objects.order_by("pk")[0].failure == "Stripe does not have it any more."


def test_a_first_month_that_was_refused_makes_room_once_it_is_cancelled(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    stripe_id, _ = subscribe(fake_stripe, alice)
    invoice = fake_stripe.get("subscriptions", stripe_id)["latest_invoice"]
    fake_stripe.get("invoices", invoice)["lines"]["data"][0]["amount"] = 0
    # The news of the subscription itself is lost: the checkout must look.
    fake_stripe.events = fake_stripe.told("checkout.session.completed")
    settle(fake_stripe, stripe_sender)
    assert (available(alice), states()) == (100, ["pending"])
    with pytest.raises(WrongState, match="There is a subscription already"):
        checkout_plan(workspace=alice, code="pro")
    assert (states(), Subscription.objects.get().status) == (["failed"], "active")
    fake_stripe.subscription_cancel(stripe_id, {})
    settle(fake_stripe, stripe_sender)
    checkout_plan(workspace=alice, code="pro")
