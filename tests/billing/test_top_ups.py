import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from accounts.audit import OPERATOR
from accounts.models import AuditEvent
from billing import auto_top_ups, checkout, offers, top_ups
from billing.auto_top_ups import TopUpWish, auto_top_up_put
from billing.ledger import credits_hold, hold_capture, lots_expire
from billing.models import AutoTopUp, Lot, Pack, Payment, Subscription, Transaction
from billing.offers import pack_set, pack_terms
from billing.selectors import debt_get, ledger_discrepancies
from billing.top_ups import has_top_ups_to_run, top_ups_run
from config.errors import WrongState
from tests.billing.top_up_steps import charges, enable, later, top_up_states
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.endpoints import MONTH_S
from tests.fakes.stripe.steps import available, settle, subscribe
from tests.makers import make_shop, make_workspace
from tests.races import together

pytestmark = pytest.mark.django_db


def test_a_pack_is_bought_when_credits_run_low(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    enable(fake_stripe, stripe_sender, alice, credits=10_000)
    assert (available(alice), has_top_ups_to_run(), top_ups_run()) == (10_100, False, 0)
    credits_hold(workspace=alice, job_uuid=alice.uuid, amount_mcr=101_000)
    assert has_top_ups_to_run()
    assert top_ups_run() == 1
    assert available(alice) == 19_999
    payment = Payment.objects.get(kind="top_up")
    assert (payment.state, payment.amount_cents) == ("paid", 500)
    assert payment.grant
    assert payment.grant.idempotency_key == f"pi:{payment.payment_intent_id}"
    assert (has_top_ups_to_run(), top_ups_run()) == (False, 0)
    # Its events, late, change nothing.
    settle(fake_stripe, stripe_sender)
    assert (available(alice), ledger_discrepancies()) == (19_999, [])


def test_never_more_than_the_ceiling_in_a_month(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    enable(fake_stripe, stripe_sender, alice, credits=100_000, ceiling_cents=1_499)
    for _ in range(5):
        top_ups_run()
    assert (available(alice), top_up_states()) == (30_100, ["paid"] * 2)
    assert not has_top_ups_to_run()
    # What was bought last month does not count.
    Payment.objects.filter(kind="top_up").update(paid_at=Now() - timedelta(days=32))
    for _ in range(5):
        top_ups_run()
    assert (available(alice), top_up_states()) == (50_100, ["paid"] * 4)
    # Opened last month and charged in this one: it counts.
    Payment.objects.filter(kind="top_up").update(created_at=Now() - timedelta(days=32))
    assert not has_top_ups_to_run()


def test_a_declined_card_switches_it_off(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    enable(fake_stripe, stripe_sender, alice)
    fake_stripe.break_card(alice.stripe_customer.stripe_id)
    top_ups_run()
    row = AutoTopUp.objects.get()
    assert (row.is_enabled, row.disabled_reason) == (False, "The card was declined.")
    assert (available(alice), top_up_states()) == (10_100, ["failed"])
    assert AuditEvent.objects.filter(action="auto_top_up.disabled").count() == 1
    settle(fake_stripe, stripe_sender)
    assert (has_top_ups_to_run(), top_ups_run(), top_up_states()) == (False, 0, ["failed"])


def test_a_card_that_was_removed_switches_it_off(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    enable(fake_stripe, stripe_sender, alice)
    for card in list(fake_stripe.rows["payment_methods"]):
        fake_stripe.card_detach(card, {})
    top_ups_run()
    row = AutoTopUp.objects.get()
    assert (row.is_enabled, row.disabled_reason) == (False, "There is no saved card.")
    assert (available(alice), top_up_states()) == (10_100, ["failed"])


def test_killed_between_the_row_and_the_call(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender, monkeypatch: pytest.MonkeyPatch
):
    enable(fake_stripe, stripe_sender, alice)

    def killed(payment: Payment) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(top_ups, "_pay", killed)
        with pytest.raises(KeyboardInterrupt):
            top_ups_run()
    assert (top_up_states(), available(alice)) == (["pending"], 10_100)
    assert top_ups_run() == 0
    later()
    assert has_top_ups_to_run()
    assert top_ups_run() == 1
    assert (top_up_states(), available(alice)) == (["paid"], 20_100)


@pytest.mark.parametrize("status", [0, 503])
def test_an_answer_that_is_lost_charges_no_second_time(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender, status: int
):
    enable(fake_stripe, stripe_sender, alice)
    fake_stripe.fail("POST payment_intents", status=status, after=True, times=3 if status else 1)
    for _ in range(4):
        top_ups_run()
        later()
    assert (top_up_states(), available(alice)) == (["paid"], 20_100)
    assert len(fake_stripe.told("charge.succeeded")) == 1
    assert ledger_discrepancies() == []


def test_an_answer_that_was_lost_days_ago(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    """Stripe has forgotten the idempotency key by then."""
    enable(fake_stripe, stripe_sender, alice)
    fake_stripe.fail("POST payment_intents", after=True)
    top_ups_run()
    fake_stripe.front.replays.clear()
    Payment.objects.filter(kind="top_up").update(created_at=Now() - timedelta(days=2))
    later()
    top_ups_run()
    assert (top_up_states(), available(alice)) == (["paid"], 20_100)
    assert fake_stripe.calls("POST payment_intents") == 1


def test_a_call_that_never_arrived_days_ago_is_given_up(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    enable(fake_stripe, stripe_sender, alice)
    fake_stripe.fail("POST payment_intents")
    top_ups_run()
    Payment.objects.filter(kind="top_up").update(created_at=Now() - timedelta(days=2))
    later()
    top_ups_run()
    assert top_up_states() == ["failed"]
    assert AutoTopUp.objects.get().is_enabled


def test_stripe_is_down_for_a_while(alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender):
    enable(fake_stripe, stripe_sender, alice)
    fake_stripe.fail(".*", times=1)
    top_ups_run()
    assert (top_up_states(), available(alice)) == (["pending"], 10_100)
    # Not again at once.
    assert (has_top_ups_to_run(), top_ups_run()) == (False, 0)
    later()
    top_ups_run()
    assert (top_up_states(), available(alice)) == (["paid"], 20_100)


def test_the_price_at_the_time_of_the_row_holds(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    enable(fake_stripe, stripe_sender, alice)
    fake_stripe.fail("POST payment_intents")
    top_ups_run()
    Pack.objects.filter(code="starter").update(price_cents=9_999, credits_mcr=1)
    later()
    top_ups_run()
    assert available(alice) == 20_100
    assert Payment.objects.get(kind="top_up").amount_cents == 500


def test_a_refunded_top_up(alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender):
    enable(fake_stripe, stripe_sender, alice)
    top_ups_run()
    fake_stripe.refund(str(Payment.objects.get(kind="top_up").payment_intent_id))
    settle(fake_stripe, stripe_sender)
    assert available(alice) == 10_100
    # The money that was just given back is not taken again.
    assert (has_top_ups_to_run(), top_ups_run(), charges(fake_stripe)) == (False, 0, 1)
    reason = AutoTopUp.objects.get().disabled_reason
    assert reason == "A payment was given back or disputed."


def test_who_owes_credits_is_not_charged(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    enable(fake_stripe, stripe_sender, alice)
    credits_hold(workspace=alice, job_uuid=alice.uuid, amount_mcr=10_050_000)
    hold_capture(job_uuid=alice.uuid, amount_mcr=10_050_000)
    fake_stripe.dispute(str(Payment.objects.get(kind="pack").payment_intent_id))
    settle(fake_stripe, stripe_sender)
    assert debt_get(workspace=alice) == 9_950_000
    # Whatever somebody wishes meanwhile.
    AutoTopUp.objects.update(is_enabled=True)
    assert (has_top_ups_to_run(), top_ups_run(), top_up_states()) == (False, 0, [])


def test_nothing_is_bought_while_a_plan_is_being_renewed(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    """Stripe takes the money for a month about an hour after the month began."""
    make_shop()
    fake_stripe.now -= MONTH_S + 60
    subscribe(fake_stripe, alice)
    settle(fake_stripe, stripe_sender)
    wish = TopUpWish(True, 1_000_000, "starter", 500)
    auto_top_up_put(workspace=alice, actor=OPERATOR, wish=wish)
    # However long the credits of a month stay.
    Lot.objects.filter(source="plan").update(expires_at=Now())
    lots_expire()
    assert (available(alice), has_top_ups_to_run(), top_ups_run()) == (100, False, 0)
    for change in ({"status": "past_due"}, {"cancel_at_period_end": True}):
        Subscription.objects.update(**{"status": "active", "cancel_at_period_end": False, **change})
        assert has_top_ups_to_run()
    Subscription.objects.update(status="active", cancel_at_period_end=False)
    assert not has_top_ups_to_run()
    # It should have come long ago.
    Lot.objects.filter(source="plan").update(expires_at=Now() - timedelta(days=2))
    assert (top_ups_run(), top_up_states()) == (1, ["paid"])


def test_one_that_cannot_be_opened_does_not_stop_the_others(
    alice: Any,
    charlie: Any,
    fake_stripe: FakeStripe,
    stripe_sender: Sender,
    monkeypatch: pytest.MonkeyPatch,
):
    for workspace in (alice, charlie):
        enable(fake_stripe, stripe_sender, workspace)
    real, first = top_ups._open, AutoTopUp.objects.get(workspace=alice)

    def open_one(pk: int) -> None:
        if pk == first.pk:
            raise RuntimeError
        real(pk)

    monkeypatch.setattr(top_ups, "_open", open_one)
    assert (top_ups_run(), available(alice), available(charlie)) == (1, 10_100, 20_100)


def test_the_call_leads_nobody_to_another_page(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    enable(fake_stripe, stripe_sender, alice)
    top_ups_run()
    payment = Payment.objects.get(kind="top_up")
    (sent, _) = fake_stripe.front.replays[f"top_up:{payment.uuid}"]
    assert json.loads(sent)[1]["payment_method_types"] == ["card"]


def test_a_pack_that_is_not_sold_any_more_is_not_bought(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    enable(fake_stripe, stripe_sender, alice)
    Pack.objects.filter(code="starter").update(is_active=False)
    assert (top_ups_run(), top_up_states()) == (0, [])


@pytest.mark.django_db(transaction=True)
def test_many_workers_buy_once(fake_stripe: FakeStripe, stripe_sender: Sender):
    workspace = make_workspace()
    enable(fake_stripe, stripe_sender, workspace)

    def run(_: int) -> None:
        try:
            top_ups_run()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    assert (available(workspace), top_up_states()) == (20_100, ["paid"])
    assert Transaction.objects.filter(kind="grant", reason__startswith="Payment").count() == 2
    assert ledger_discrepancies() == []


def dearer(code: str = "starter") -> None:
    terms = pack_terms(Pack.objects.get(code=code))
    changed = replace(terms, price_cents=terms.price_cents + 100)
    pack_set(code=code, terms=changed, seen=terms, reason="dearer", actor=OPERATOR)


def test_a_pack_that_gets_dearer_meanwhile_is_not_agreed_to(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender, monkeypatch: pytest.MonkeyPatch
):
    enable(fake_stripe, stripe_sender, alice)

    def card_of(**_: Any) -> str:
        # As long as Stripe is asked.
        dearer()
        return "pm_1"

    monkeypatch.setattr(auto_top_ups, "card_of", card_of)
    wish = TopUpWish(
        is_enabled=True, threshold_mcr=1000, pack="starter", monthly_ceiling_cents=1_500
    )
    with pytest.raises(WrongState):
        auto_top_up_put(workspace=alice, actor=OPERATOR, wish=wish)
    row = AutoTopUp.objects.get()
    assert (row.is_enabled, row.threshold_mcr) == (False, 20_000_000)


@pytest.mark.django_db(transaction=True)
def test_a_top_up_and_a_new_price_do_not_wait_for_each_other(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender, monkeypatch: pytest.MonkeyPatch
):
    """One has the wish and names the pack, the other has the pack and wants the wish."""
    enable(fake_stripe, stripe_sender, alice)
    has_wish, has_pack = Event(), Event()
    create, found = checkout.pack_payment_create, offers.top_ups_of

    def pack_payment_create(**values: Any) -> Payment:
        has_wish.set()
        assert has_pack.wait(30)
        return create(**values)

    def top_ups_of(**values: Any) -> Any:
        has_pack.set()
        return found(**values)

    def change() -> None:
        assert has_wish.wait(30)
        dearer()

    monkeypatch.setattr(top_ups, "pack_payment_create", pack_payment_create)
    monkeypatch.setattr(offers, "top_ups_of", top_ups_of)
    together(2, top_ups_run, change)
    assert not AutoTopUp.objects.get().is_enabled
    assert top_up_states() in (["paid"], ["failed"])
