from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from billing.models import Payment, PaymentCheck, PaymentReconciliation, Subscription
from billing.payment_reconciling import is_payment_reconciliation_due, payments_reconcile
from billing.selectors import ledger_discrepancies
from billing.stripe_client import API_VERSION
from billing.stripe_events import HANDLERS
from jobs.tasks import payments_reconcile as task
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.steps import available, buy_pack, open_pack, settle, subscribe
from tests.makers import make_shop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _shop(db: None) -> None:
    make_shop()


def run(command: str, *arguments: str) -> list[str]:
    output = StringIO()
    call_command(command, *arguments, stdout=output)
    return output.getvalue().splitlines()


def test_what_was_missed_is_settled(alice: Any, charlie: Any, fake_stripe: FakeStripe):
    """No event ever came."""
    _, pack = buy_pack(fake_stripe, alice)
    _, plan = subscribe(fake_stripe, alice)
    intent, _ = buy_pack(fake_stripe, charlie)
    fake_stripe.refund(intent, 250)
    open_pack(fake_stripe, charlie)
    found = payments_reconcile()
    pack.refresh_from_db()
    plan.refresh_from_db()
    assert {pack.checkout_session_id, plan.invoice_id} < set(found)
    assert len(found) == 3
    assert (available(alice), available(charlie)) == (30_100, 5_100)
    assert PaymentReconciliation.objects.get().found == found
    assert payments_reconcile() == []
    assert ledger_discrepancies() == []


def test_a_missed_refund_is_settled(alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender):
    intent, _ = buy_pack(fake_stripe, alice)
    settle(fake_stripe, stripe_sender)
    fake_stripe.refund(intent)
    assert payments_reconcile() == [fake_stripe.get("payment_intents", intent)["latest_charge"]]
    assert available(alice) == 100


def test_a_missed_end_of_a_subscription(alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender):
    stripe_id, _ = subscribe(fake_stripe, alice)
    settle(fake_stripe, stripe_sender)
    fake_stripe.subscription_cancel(stripe_id, {})
    payments_reconcile()
    assert Subscription.objects.get().status == "canceled"


def test_others_on_the_same_account_do_not_disturb(alice: Any, fake_stripe: FakeStripe):
    for _ in range(3):
        session, _ = open_pack(fake_stripe, alice)
        fake_stripe.pay(session)
        fake_stripe.get("checkout/sessions", session)["metadata"] = {"of": "another product"}
    buy_pack(fake_stripe, alice)
    assert len(payments_reconcile()) == 1
    assert available(alice) == 10_100


def test_one_that_fails_does_not_hold_up_the_others(alice: Any, fake_stripe: FakeStripe):
    for _ in range(3):
        buy_pack(fake_stripe, alice)
    fake_stripe.fail(r"GET checkout/sessions/\w+")
    assert (len(payments_reconcile()), available(alice)) == (2, 20_100)


def test_abandoned_checkouts_are_ended(alice: Any, fake_stripe: FakeStripe):
    session, _ = open_pack(fake_stripe, alice)
    fake_stripe.session_expire(session, {})
    _, cut_off = open_pack(fake_stripe, alice)
    Payment.objects.filter(pk=cut_off.pk).update(checkout_session_id=None)
    assert payments_reconcile() == []
    assert Payment.objects.filter(state="failed").count() == 0
    Payment.objects.update(created_at=Now() - timedelta(days=3))
    payments_reconcile()
    assert Payment.objects.filter(state="failed").count() == 2


def test_it_is_due_once_a_day(alice: Any, fake_stripe: FakeStripe, settings: Any):
    assert is_payment_reconciliation_due()
    for _ in range(2):
        task()
    assert PaymentReconciliation.objects.count() == 1
    assert PaymentReconciliation.objects.filter(finished_at=None).count() == 0
    assert PaymentCheck.objects.count() == 0
    assert not is_payment_reconciliation_due()
    PaymentReconciliation.objects.update(started_at=Now() - timedelta(days=1))
    assert is_payment_reconciliation_due()
    settings.STRIPE_SECRET_KEY = ""
    assert not is_payment_reconciliation_due()


def test_the_command(alice: Any, fake_stripe: FakeStripe):
    buy_pack(fake_stripe, alice)
    (session,) = fake_stripe.rows["checkout/sessions"]
    assert run("stripe_reconcile") == [session, "1 missed payments"]
    assert run("stripe_reconcile") == ["0 missed payments"]


class TestSetup:
    URL = "https://example.org/stripe/webhook"

    def test_it_makes_one_endpoint(self, fake_stripe: FakeStripe):
        lines = run("stripe_setup", "--url", self.URL)
        (row,) = fake_stripe.rows["webhook_endpoints"].values()
        assert lines[1] == f"STRIPE_WEBHOOK_SECRETS=whsec_{row['id']}"
        assert (row["api_version"], row["url"]) == (API_VERSION, self.URL)
        assert row["enabled_events"] == sorted(HANDLERS)
        row["enabled_events"] = []
        assert run("stripe_setup", "--url", self.URL)[1].endswith("its secret stays.")
        (row,) = fake_stripe.rows["webhook_endpoints"].values()
        assert row["enabled_events"] == sorted(HANDLERS)

    def test_it_replaces_one_of_another_version(self, fake_stripe: FakeStripe):
        run("stripe_setup", "--url", self.URL)
        (old,) = fake_stripe.rows["webhook_endpoints"].values()
        old["api_version"] = "2025-01-01"
        assert run("stripe_setup", "--url", self.URL)[1].startswith("STRIPE_WEBHOOK_SECRETS=")
        (new,) = fake_stripe.rows["webhook_endpoints"].values()
        assert (new["id"] != old["id"], new["api_version"]) == (True, API_VERSION)

    @pytest.mark.parametrize("url", ["http://example.org/stripe/webhook", "https://example.org/"])
    def test_it_takes_no_other_address(self, fake_stripe: FakeStripe, url: str):
        with pytest.raises(CommandError):
            run("stripe_setup", "--url", url)
        assert fake_stripe.front.calls == []

    def test_without_a_key(self, settings: Any):
        settings.STRIPE_SECRET_KEY = ""
        with pytest.raises(CommandError, match="Stripe is not set up"):
            run("stripe_setup", "--url", self.URL)
