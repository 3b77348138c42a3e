from typing import Any

import pytest
from django.db.models.functions import Now
from django_q.models import OrmQ

from billing import stripe_events
from billing.models import Payment, StripeEvent
from billing.selectors import ledger_discrepancies
from billing.stripe_events import HANDLERS, events_process, has_events_to_process
from jobs.management.commands.janitor import Command as Janitor
from jobs.tasks import payments_run
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.steps import available, buy_pack, settle
from tests.makers import make_shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(alice: Any, fake_stripe: FakeStripe, stripe_sender: Sender) -> StripeEvent:
    """The one event of a paid pack, stored and not handled."""
    make_shop()
    buy_pack(fake_stripe, alice)
    (told,) = fake_stripe.told("checkout.session.completed")
    stripe_sender.send(told)
    return StripeEvent.objects.get()


def later() -> None:
    StripeEvent.objects.update(next_attempt_at=Now())


def test_stripe_is_down_when_the_event_is_handled(
    alice: Any, event: StripeEvent, fake_stripe: FakeStripe
):
    fake_stripe.fail("GET checkout/sessions", times=2)
    for attempt in (1, 2):
        events_process()
        event.refresh_from_db()
        assert (event.processed_at, event.attempts) == (None, attempt)
        assert (event.error, available(alice)) == ("PaymentProviderFailed", 100)
        # Not again at once.
        assert (has_events_to_process(), events_process()) == (False, False)
        later()
    assert events_process() is False
    event.refresh_from_db()
    assert (event.processed_at is None, event.error, available(alice)) == (False, "", 10_100)


def test_it_gives_up_in_the_end_and_says_so(
    alice: Any, event: StripeEvent, fake_stripe: FakeStripe
):
    fake_stripe.fail("GET checkout/sessions", times=100)
    for _ in range(25):
        events_process()
        later()
    event.refresh_from_db()
    assert (event.processed_at, event.attempts, event.error) == (None, 20, "PaymentProviderFailed")
    assert (has_events_to_process(), available(alice)) == (False, 100)


def test_one_event_that_fails_does_not_hold_up_the_others(
    alice: Any,
    event: StripeEvent,
    fake_stripe: FakeStripe,
    stripe_sender: Sender,
    monkeypatch: pytest.MonkeyPatch,
):
    def broken(object_id: str) -> None:
        raise ZeroDivisionError("a bug, say")

    monkeypatch.setattr(stripe_events, "HANDLERS", {**HANDLERS, "invoice.paid": broken})
    settle(fake_stripe, stripe_sender)
    assert available(alice) == 10_100
    assert StripeEvent.objects.filter(processed_at=None).get().error == "ZeroDivisionError"


def test_a_worker_killed_with_an_event_leaves_it_to_the_next(
    alice: Any, event: StripeEvent, monkeypatch: pytest.MonkeyPatch
):
    def killed(row: StripeEvent) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stripe_events, "_process", killed)
        with pytest.raises(KeyboardInterrupt):
            events_process()
    # Leased, until the lease is over.
    assert (events_process(), available(alice)) == (False, 100)
    later()
    events_process()
    assert (available(alice), ledger_discrepancies()) == (10_100, [])


def test_killed_between_the_payment_and_the_grant(
    alice: Any, event: StripeEvent, monkeypatch: pytest.MonkeyPatch
):
    """They are one transaction: neither is there without the other."""

    def killed(*args: Any, **values: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("billing.granting.audit_record", killed)
        with pytest.raises(KeyboardInterrupt):
            events_process()
    assert (Payment.objects.get().state, available(alice)) == ("pending", 100)
    later()
    events_process()
    assert (Payment.objects.get().state, available(alice)) == ("paid", 10_100)


def test_a_lost_wake_up_is_made_good_by_the_janitor(
    alice: Any, event: StripeEvent, django_capture_on_commit_callbacks: Any
):
    with django_capture_on_commit_callbacks(execute=True):
        Janitor().round()
    assert [task.key for task in OrmQ.objects.all()] == ["default"]
    payments_run()
    assert available(alice) == 10_100
    OrmQ.objects.all().delete()
    with django_capture_on_commit_callbacks(execute=True):
        Janitor().round()
    assert OrmQ.objects.count() == 0


def test_without_a_key_events_wait(alice: Any, event: StripeEvent, settings: Any):
    settings.STRIPE_SECRET_KEY = ""
    assert (has_events_to_process(), events_process()) == (False, False)
    assert StripeEvent.objects.get().attempts == 0
