from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError
from django.db.models.functions import Now
from django_q.models import OrmQ

from billing import payment_reconciling, stripe_events
from billing.models import Payment, PaymentCheck, PaymentReconciliation, Plan, Subscription
from billing.payment_reconciling import (
    is_payment_reconciliation_due,
    payments_reconcile,
    payments_reconcile_slice,
)
from billing.selectors import ledger_discrepancies
from jobs.tasks import payments_reconcile as task
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.endpoints import GOOD, MONTH_S
from tests.fakes.stripe.steps import available, buy_pack, open_pack, settle, subscribe
from tests.makers import make_shop, run_command

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _shop(db: None) -> None:
    make_shop()


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
    assert run_command("stripe_reconcile") == [session, "1 missed payments"]
    assert run_command("stripe_reconcile") == ["0 missed payments"]


def test_the_command_looks_anew(alice: Any, charlie: Any, fake_stripe: FakeStripe):
    """A check of the last look waits for its lease; what was paid since is found."""
    buy_pack(fake_stripe, alice)
    fake_stripe.fail(r"GET checkout/sessions/\w+")
    payments_reconcile()
    session, _ = open_pack(fake_stripe, charlie)
    fake_stripe.pay(session)
    with pytest.raises(CommandError, match="1 could not be looked at yet"):
        run_command("stripe_reconcile")
    assert (available(alice), available(charlie)) == (100, 10_100)
    PaymentCheck.objects.update(next_attempt_at=Now())
    assert session in run_command("stripe_reconcile")
    assert available(alice) == 10_100


class TestNothingCanBeLookedAt:
    @pytest.mark.parametrize(
        ("key", "told"),
        [("sk_test_wrong", "Stripe refuses STRIPE_SECRET_KEY"), ("", "Set STRIPE_SECRET_KEY")],
    )
    def test_the_command_says_so(
        self, alice: Any, fake_stripe: FakeStripe, settings: Any, key: str, told: str
    ):
        buy_pack(fake_stripe, alice)
        right, settings.STRIPE_SECRET_KEY = settings.STRIPE_SECRET_KEY, key
        for _ in range(6):
            with pytest.raises(CommandError, match=told):
                run_command("stripe_reconcile")
        assert PaymentReconciliation.objects.exclude(finished_at=None).count() == 0
        assert PaymentCheck.objects.exclude(attempts=0).count() == 0
        settings.STRIPE_SECRET_KEY = right
        assert run_command("stripe_reconcile")[-1] == "1 missed payments"
        assert available(alice) == 10_100

    def test_stripe_is_down(self, alice: Any, fake_stripe: FakeStripe):
        fake_stripe.fail("GET .*", times=100)
        with pytest.raises(CommandError, match="3 could not be looked at yet"):
            run_command("stripe_reconcile")

    def test_the_worker_says_so_once_in_a_while(
        self, alice: Any, fake_stripe: FakeStripe, settings: Any, monkeypatch: pytest.MonkeyPatch
    ):
        buy_pack(fake_stripe, alice)
        right, settings.STRIPE_SECRET_KEY = settings.STRIPE_SECRET_KEY, "sk_test_wrong"
        logged: list[str] = []
        monkeypatch.setattr(
            payment_reconciling.log, "error", lambda event, **_: logged.append(event)
        )
        for _ in range(3):
            task()
        assert logged == ["payment_reconciling_impossible"]
        assert not is_payment_reconciliation_due()
        assert PaymentReconciliation.objects.filter(finished_at=None).count() == 1
        # The command does not wait.
        settings.STRIPE_SECRET_KEY = right
        assert len(payments_reconcile()) == 1
        assert available(alice) == 10_100


class TestSlices:
    """A look may take longer than a task, and be killed anywhere."""

    @pytest.fixture
    def synced(self, alice: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Five subscriptions; which of them were looked at. The fourth kills the worker, once."""
        plan = Plan.objects.get(code="hobby")
        for number in range(5):
            Subscription.objects.create(
                workspace=alice, plan=plan, stripe_id=f"sub_{number}", status="active"
            )
        seen: list[str] = []

        def sync(*, subscription_id: str) -> None:
            seen.append(subscription_id)
            if subscription_id == "sub_3" and seen.count("sub_3") == 1:
                raise SystemExit

        monkeypatch.setattr(payment_reconciling, "subscription_sync", sync)
        return seen

    def test_one_that_is_killed_goes_on_where_it_was(
        self, fake_stripe: FakeStripe, synced: list[str]
    ):
        with pytest.raises(SystemExit):
            payments_reconcile_slice()
        assert is_payment_reconciliation_due()
        assert payments_reconcile_slice() is False
        assert synced == ["sub_0", "sub_1", "sub_2", "sub_3", "sub_4", "sub_3"]
        assert PaymentReconciliation.objects.exclude(finished_at=None).count() == 1
        assert PaymentCheck.objects.count() == 0
        assert not is_payment_reconciliation_due()

    def test_one_that_is_killed_without_a_word_leaves_it_for_a_while(
        self, fake_stripe: FakeStripe, synced: list[str]
    ):
        with pytest.raises(SystemExit):
            payments_reconcile_slice()
        PaymentCheck.objects.filter(object_id="sub_3").update(
            next_attempt_at=Now() + timedelta(minutes=1)
        )
        payments_reconcile()
        assert synced[4:] == ["sub_4"]
        assert not is_payment_reconciliation_due()
        assert PaymentReconciliation.objects.filter(finished_at=None).count() == 1
        PaymentCheck.objects.update(next_attempt_at=Now())
        assert is_payment_reconciliation_due()
        payments_reconcile()
        assert synced[5:] == ["sub_3"]
        assert PaymentReconciliation.objects.filter(finished_at=None).count() == 0

    def test_a_task_ends_in_time_and_wakes_the_next(
        self,
        fake_stripe: FakeStripe,
        synced: list[str],
        monkeypatch: pytest.MonkeyPatch,
        django_capture_on_commit_callbacks: Any,
    ):
        Subscription.objects.filter(stripe_id="sub_3").delete()
        monkeypatch.setattr(payment_reconciling, "_TASK_S", 0.0)
        rounds = 0
        while is_payment_reconciliation_due():
            rounds += 1
            OrmQ.objects.all().delete()
            with django_capture_on_commit_callbacks(execute=True):
                task()
        # Three lists and four subscriptions; the last round finds nothing left.
        assert (rounds, len(synced), OrmQ.objects.count()) == (8, 4, 0)

    def test_what_kills_every_worker_is_given_up(
        self, alice: Any, fake_stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
    ):
        subscribe(fake_stripe, alice)

        def killed(**_: Any) -> None:
            raise SystemExit

        monkeypatch.setattr(payment_reconciling, "payment_sync_invoice", killed)
        for _ in range(5):
            with pytest.raises(SystemExit):
                payments_reconcile()
        (invoice,) = fake_stripe.rows["invoices"]
        told = f"{invoice}: could not be looked at (given up after 5 attempts)"
        assert payments_reconcile() == [told]
        assert PaymentReconciliation.objects.exclude(finished_at=None).count() == 1

    def test_the_last_attempt_under_way_is_not_given_up(self, fake_stripe: FakeStripe):
        look = PaymentReconciliation.objects.create()
        check = PaymentCheck.objects.create(
            reconciliation=look,
            kind="session",
            object_id="cs_1",
            attempts=5,
            next_attempt_at=Now() + timedelta(minutes=2),
        )
        assert not is_payment_reconciliation_due()
        payment_reconciling._tell(look)
        look.refresh_from_db()
        assert (look.finished_at, look.found) == (None, [])
        payment_reconciling._done(look, check, "cs_1")
        assert payments_reconcile_slice() is False
        look.refresh_from_db()
        assert (look.finished_at is None, look.found) == (False, ["cs_1"])

    def test_what_another_finds_at_the_very_end_is_told(
        self, fake_stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
    ):
        look = PaymentReconciliation.objects.create()
        check = PaymentCheck.objects.create(
            reconciliation=look, kind="session", object_id="cs_1", attempts=1
        )
        left = payment_reconciling._left

        def left_when_the_other_is_done(run: PaymentReconciliation) -> Any:
            payment_reconciling._done(run, check, "cs_1")
            return left(run)

        monkeypatch.setattr(payment_reconciling, "_left", left_when_the_other_is_done)
        payment_reconciling._tell(look)
        look.refresh_from_db()
        assert (look.finished_at is None, look.found) == (False, ["cs_1"])

    def test_the_slower_of_two_does_not_take_the_finding_back(self, fake_stripe: FakeStripe):
        look = PaymentReconciliation.objects.create()
        check = PaymentCheck.objects.create(
            reconciliation=look, kind="session", object_id="cs_1", attempts=2
        )
        for finding in ("cs_1", ""):
            payment_reconciling._done(look, check, finding)
        payment_reconciling._tell(look)
        look.refresh_from_db()
        assert look.found == ["cs_1"]

    def test_what_stripe_never_answered_is_told(self, alice: Any, fake_stripe: FakeStripe):
        fake_stripe.fail("GET .*", times=1000)
        for _ in range(5):
            assert PaymentReconciliation.objects.exclude(finished_at=None).count() == 0
            PaymentCheck.objects.update(next_attempt_at=Now())
            payments_reconcile_slice()
        look = PaymentReconciliation.objects.get()
        assert look.finished_at is not None
        assert look.found == [
            f"{name}: could not be looked at (PaymentProviderFailed)"
            for name in ("sessions", "invoices", "returns")
        ]

    def test_stripe_is_down_for_a_while(self, alice: Any, fake_stripe: FakeStripe):
        intent, _ = buy_pack(fake_stripe, alice)
        fake_stripe.fail("GET .*", times=100)
        assert payments_reconcile() == []
        fake_stripe.front.faults.clear()
        assert PaymentReconciliation.objects.filter(finished_at=None).count() == 1
        assert not is_payment_reconciliation_due()
        PaymentCheck.objects.update(next_attempt_at=Now())
        (session,) = fake_stripe.rows["checkout/sessions"]
        assert payments_reconcile() == [session]
        assert available(alice) == 10_100

    def test_whatever_breaks_the_others_go_on(
        self, alice: Any, charlie: Any, fake_stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
    ):
        subscribe(fake_stripe, alice)
        buy_pack(fake_stripe, charlie)

        def broken(**_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(payment_reconciling, "payment_sync_invoice", broken)
        (subscription,) = fake_stripe.rows["subscriptions"].values()
        found = payments_reconcile()
        assert len(found) == 2
        told = f"{subscription['latest_invoice']}: could not be looked at (ZeroDivisionError)"
        assert told in found
        assert (available(alice), available(charlie)) == (100, 10_100)
        assert PaymentReconciliation.objects.exclude(finished_at=None).count() == 1


def test_an_overdue_month_that_was_paid_late(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    """Its invoice is older than what is listed of Stripe's."""
    fake_stripe.now -= MONTH_S + 10 * 86_400
    stripe_id, _ = subscribe(fake_stripe, alice)
    subscription = fake_stripe.get("subscriptions", stripe_id)
    fake_stripe.break_card(subscription["customer"])
    fake_stripe.advance(months=1)
    settle(fake_stripe, stripe_sender)
    payment = Payment.objects.latest("pk")
    assert payment.state == "failed"
    fake_stripe.advance(seconds=10 * 86_400)
    fake_stripe.card_numbers[subscription["default_payment_method"]] = GOOD
    invoice = fake_stripe.get("invoices", subscription["latest_invoice"])
    fake_stripe.pay_invoice(invoice, subscription)
    assert payments_reconcile() == [str(payment.uuid)]
    payment.refresh_from_db()
    assert payment.state == "paid"


def test_an_overdue_month_of_which_nothing_was_heard(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    """No row of ours tells of it, and its invoice is older than what is listed of Stripe's."""
    fake_stripe.now -= MONTH_S + 10 * 86_400
    stripe_id, _ = subscribe(fake_stripe, alice)
    settle(fake_stripe, stripe_sender)
    subscription = fake_stripe.get("subscriptions", stripe_id)
    fake_stripe.break_card(subscription["customer"])
    fake_stripe.advance(months=1)
    fake_stripe.advance(seconds=10 * 86_400)
    fake_stripe.card_numbers[subscription["default_payment_method"]] = GOOD
    invoice = fake_stripe.get("invoices", subscription["latest_invoice"])
    fake_stripe.pay_invoice(invoice, subscription)
    fake_stripe.events.clear()
    assert Payment.objects.count() == 1
    assert payments_reconcile() == [invoice["id"]]
    assert list(Payment.objects.order_by("pk").values_list("state", flat=True)) == ["paid", "paid"]


def test_a_late_month_of_a_subscription_that_ended(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender
):
    """The one event that came is its end."""
    fake_stripe.now -= MONTH_S + 10 * 86_400
    stripe_id, _ = subscribe(fake_stripe, alice)
    settle(fake_stripe, stripe_sender)
    subscription = fake_stripe.get("subscriptions", stripe_id)
    fake_stripe.break_card(subscription["customer"])
    fake_stripe.advance(months=1)
    fake_stripe.advance(seconds=10 * 86_400)
    fake_stripe.card_numbers[subscription["default_payment_method"]] = GOOD
    invoice = fake_stripe.get("invoices", subscription["latest_invoice"])
    fake_stripe.pay_invoice(invoice, subscription)
    fake_stripe.subscription_cancel(stripe_id, {})
    end = "customer.subscription.deleted"
    fake_stripe.events[:] = [one for one in fake_stripe.events if one["type"] == end]
    settle(fake_stripe, stripe_sender)
    assert Subscription.objects.get().status == "canceled"
    assert payments_reconcile() == [invoice["id"]]


def test_what_was_paid_and_grants_nothing_is_told(
    alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender, monkeypatch: pytest.MonkeyPatch
):
    stripe_id, _ = subscribe(fake_stripe, alice)
    settle(fake_stripe, stripe_sender)
    for row in fake_stripe.rows["plans"].values():
        row["unit_amount"] = row["amount"] = 1_200
    fake_stripe.advance(months=1)
    invoice = fake_stripe.get("subscriptions", stripe_id)["latest_invoice"]
    logged: list[str] = []
    for module in (stripe_events, payment_reconciling):
        monkeypatch.setattr(module.log, "error", lambda event, **_: logged.append(event))
    found = f"{invoice}: It is of 1200 usd, its payment of 900 usd."
    assert payments_reconcile() == [found]
    assert PaymentReconciliation.objects.get().found == [found]
    settle(fake_stripe, stripe_sender)
    assert set(logged) == {"payments_missed", "payment_contradicted"}
    assert available(alice) == 20_100


def test_a_checkout_that_contradicts_ends(alice: Any, fake_stripe: FakeStripe):
    session, payment = open_pack(fake_stripe, alice)
    fake_stripe.pay(session)
    fake_stripe.get("checkout/sessions", session)["amount_total"] = 499
    Payment.objects.update(created_at=Now() - timedelta(days=3))
    reason = "It is of 499 usd, its payment of 500 usd."
    assert payments_reconcile() == [f"{payment.uuid}: {reason}", f"{session}: {reason}"]
    payment.refresh_from_db()
    assert (payment.state, available(alice)) == ("failed", 100)


def test_a_checkout_that_stripe_does_not_have_ends(alice: Any, fake_stripe: FakeStripe):
    open_pack(fake_stripe, alice)
    fake_stripe.rows["checkout/sessions"].clear()
    Payment.objects.update(created_at=Now() - timedelta(days=3))
    payments_reconcile()
    payment = Payment.objects.get()
    assert (payment.state, payment.failure) == ("failed", "Stripe does not have it any more.")
