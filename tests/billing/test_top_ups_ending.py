from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from accounts.models import Workspace
from billing import stripe_client
from billing.models import AutoTopUp, Payment
from billing.payment_reconciling import payments_reconcile
from billing.selectors import ledger_discrepancies
from billing.top_ups import top_ups_run
from config.errors import CardDeclined, NoSavedCard, PaymentProviderRefused
from tests.billing.top_up_steps import charges, enable, later, top_up_states
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.objects import StripeProblem
from tests.fakes.stripe.steps import available, settle

pytestmark = pytest.mark.django_db


def charge_without_answer(
    stripe: FakeStripe, sender: Sender, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A top-up whose answer was lost; the next version of the code makes its call otherwise."""
    enable(stripe, sender, workspace)
    stripe.fail("POST payment_intents", after=True)
    top_ups_run()
    assert (top_up_states(), charges(stripe)) == (["pending"], 1)
    real = stripe_client.intent_create

    def changed(*, params: Any, idempotency_key: str) -> Any:
        return real(params={**params, "description": "x"}, idempotency_key=idempotency_key)

    monkeypatch.setattr(stripe_client, "intent_create", changed)
    later()


def undecided(stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """From now on payments stop short of the bank, in this state."""

    def confirm(intent: str, params: Any) -> Any:
        row = stripe.get("payment_intents", intent)
        row["status"] = status
        return row

    monkeypatch.setattr(stripe, "intent_confirm", confirm)


class TestNoChargeIsLost:
    def test_by_a_deploy_that_changes_the_call(
        self,
        alice: Any,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
        monkeypatch: pytest.MonkeyPatch,
    ):
        charge_without_answer(fake_stripe, stripe_sender, alice, monkeypatch)
        top_ups_run()
        assert (top_up_states(), available(alice), charges(fake_stripe)) == (["paid"], 20_100, 1)
        assert AutoTopUp.objects.get().is_enabled

    def test_by_a_deploy_while_the_call_may_be_under_way(
        self,
        alice: Any,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
        monkeypatch: pytest.MonkeyPatch,
    ):
        charge_without_answer(fake_stripe, stripe_sender, alice, monkeypatch)
        made = dict(fake_stripe.rows["payment_intents"])
        for name, row in made.items():
            if row["metadata"]["payment"] == str(Payment.objects.get(kind="top_up").uuid):
                del fake_stripe.rows["payment_intents"][name]
        top_ups_run()
        assert (top_up_states(), fake_stripe.calls("POST payment_intents")) == (["pending"], 2)
        fake_stripe.rows["payment_intents"].update(made)
        later()
        top_ups_run()
        assert (top_up_states(), available(alice), charges(fake_stripe)) == (["paid"], 20_100, 1)

    @pytest.mark.parametrize("problem", [CardDeclined, PaymentProviderRefused, NoSavedCard])
    def test_by_a_refusal_afterwards(
        self,
        alice: Any,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
        monkeypatch: pytest.MonkeyPatch,
        problem: type[Exception],
    ):
        charge_without_answer(fake_stripe, stripe_sender, alice, monkeypatch)

        def refused(**values: Any) -> Any:
            raise problem

        monkeypatch.setattr(stripe_client, "intent_create", refused)
        top_ups_run()
        assert (top_up_states(), available(alice), charges(fake_stripe)) == (["paid"], 20_100, 1)
        assert AutoTopUp.objects.get().is_enabled

    def test_of_a_payment_that_was_given_up(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        enable(fake_stripe, stripe_sender, alice)
        fake_stripe.fail("POST payment_intents", after=True)
        top_ups_run()
        Payment.objects.filter(kind="top_up").update(state="failed", failure="x")
        payment = Payment.objects.get(kind="top_up")
        assert payments_reconcile() == [str(payment.uuid)]
        assert (top_up_states(), available(alice)) == (["paid"], 20_100)
        assert payments_reconcile() == []
        assert ledger_discrepancies() == []

    def test_of_one_while_another_fails(
        self, alice: Any, charlie: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        for workspace in (alice, charlie):
            enable(fake_stripe, stripe_sender, workspace)
        fake_stripe.fail("POST payment_intents", after=True, times=2)
        for _ in range(2):
            top_ups_run()
        foreign = Payment.objects.get(kind="top_up", workspace=alice)
        Payment.objects.filter(pk=foreign.pk).update(amount_cents=400)
        later()
        assert (top_ups_run(), available(alice), available(charlie)) == (2, 10_100, 20_100)


class TestSwitchedOff:
    def test_what_was_not_charged_is_not(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        enable(fake_stripe, stripe_sender, alice)
        fake_stripe.fail("POST payment_intents")
        top_ups_run()
        AutoTopUp.objects.update(is_enabled=False)
        later()
        assert (top_ups_run(), top_up_states(), charges(fake_stripe)) == (1, ["failed"], 0)
        assert available(alice) == 10_100

    def test_what_was_charged_brings_its_credits(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        enable(fake_stripe, stripe_sender, alice)
        fake_stripe.fail("POST payment_intents", after=True)
        top_ups_run()
        AutoTopUp.objects.update(is_enabled=False)
        later()
        assert (top_ups_run(), top_up_states(), charges(fake_stripe)) == (1, ["paid"], 1)
        assert available(alice) == 20_100


class TestNothingBlocksForEver:
    @pytest.mark.parametrize(
        "status", ["requires_action", "requires_confirmation", "requires_capture"]
    )
    def test_a_payment_that_waits_for_somebody(
        self,
        alice: Any,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
        monkeypatch: pytest.MonkeyPatch,
        status: str,
    ):
        enable(fake_stripe, stripe_sender, alice)
        undecided(fake_stripe, monkeypatch, status)
        top_ups_run()
        payment = Payment.objects.get(kind="top_up")
        intent = fake_stripe.get("payment_intents", str(payment.payment_intent_id))
        # Nothing can be charged later, when nobody expects it any more.
        assert (payment.state, intent["status"]) == ("failed", "canceled")
        assert not AutoTopUp.objects.get().is_enabled

    def test_a_bank_that_takes_its_time_is_waited_for(
        self,
        alice: Any,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
        monkeypatch: pytest.MonkeyPatch,
    ):
        enable(fake_stripe, stripe_sender, alice)
        undecided(fake_stripe, monkeypatch, "processing")
        top_ups_run()
        Payment.objects.filter(kind="top_up").update(created_at=Now() - timedelta(days=2))
        AutoTopUp.objects.update(is_enabled=False)
        later()
        top_ups_run()
        assert top_up_states() == ["pending"]
        (intent,) = [
            row
            for row in fake_stripe.rows["payment_intents"].values()
            if row["status"] == "processing"
        ]
        fake_stripe.collect(intent)
        settle(fake_stripe, stripe_sender)
        assert (top_up_states(), available(alice)) == (["paid"], 20_100)

    def test_it_succeeds_while_it_is_given_up(
        self,
        alice: Any,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
        monkeypatch: pytest.MonkeyPatch,
    ):
        enable(fake_stripe, stripe_sender, alice)
        undecided(fake_stripe, monkeypatch, "requires_action")

        def cancel(*, intent: str) -> None:
            fake_stripe.collect(fake_stripe.get("payment_intents", intent))
            raise PaymentProviderRefused

        monkeypatch.setattr(stripe_client, "intent_cancel", cancel)
        top_ups_run()
        assert (top_up_states(), available(alice)) == (["paid"], 20_100)
        assert AutoTopUp.objects.get().is_enabled

    def test_a_payment_that_stripe_does_not_have_any_more(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        enable(fake_stripe, stripe_sender, alice)
        fake_stripe.fail("GET checkout/sessions")
        top_ups_run()
        assert top_up_states() == ["pending"]
        fake_stripe.rows["payment_intents"].clear()
        later()
        top_ups_run()
        assert (top_up_states(), AutoTopUp.objects.get().is_enabled) == (["failed"], False)

    def test_a_fault_that_stripe_keeps_under_the_key(
        self,
        alice: Any,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
        monkeypatch: pytest.MonkeyPatch,
    ):
        enable(fake_stripe, stripe_sender, alice)

        def broken(params: Any) -> Any:
            raise StripeProblem(500, "api_error", "x")

        with monkeypatch.context() as patch:
            patch.setattr(fake_stripe, "intent_create", broken)
            top_ups_run()
        later()
        top_ups_run()
        assert (top_up_states(), charges(fake_stripe)) == (["pending"], 0)
        Payment.objects.filter(kind="top_up").update(created_at=Now() - timedelta(hours=4))
        later()
        top_ups_run()
        assert (top_up_states(), AutoTopUp.objects.get().is_enabled) == (["failed"], True)
        top_ups_run()
        assert (top_up_states(), charges(fake_stripe)) == (["failed", "paid"], 1)


class TestAnEventComesFirst:
    """What waits for somebody is cancelled on every way, not only by the worker that made it."""

    @pytest.mark.parametrize("status", ["requires_action", "requires_payment_method"])
    def test_by_the_nightly_look(
        self,
        alice: Any,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
        monkeypatch: pytest.MonkeyPatch,
        status: str,
    ):
        enable(fake_stripe, stripe_sender, alice)
        undecided(fake_stripe, monkeypatch, status)
        fake_stripe.fail("POST payment_intents", after=True)
        top_ups_run()
        assert top_up_states() == ["pending"]
        payments_reconcile()
        assert top_up_states() == ["failed"]
        intents = fake_stripe.rows["payment_intents"].values()
        assert [row["status"] for row in intents if row["status"] != "succeeded"] == ["canceled"]

    def test_a_contradiction_switches_it_off(
        self, alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
    ):
        enable(fake_stripe, stripe_sender, alice)
        fake_stripe.fail("POST payment_intents", after=True)
        top_ups_run()
        before = charges(fake_stripe)
        Payment.objects.filter(kind="top_up").update(amount_cents=400)
        payments_reconcile()
        assert top_up_states() == ["failed"]
        assert AutoTopUp.objects.get().is_enabled is False
        top_ups_run()
        assert charges(fake_stripe) == before
