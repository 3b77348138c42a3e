"""A real cluster of workers, and SIGKILL between an event and its grant."""

import os
import signal
from pathlib import Path

import pytest

from billing.models import StripeEvent, Transaction
from billing.selectors import ledger_discrepancies
from tests.e2e.processes import manage, service_environment, wait_until
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.steps import available, buy_pack
from tests.makers import make_shop, make_workspace


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_between_event_and_grant_loses_nothing(
    fake_stripe: FakeStripe, stripe_sender: Sender, media_dir: Path, tmp_path: Path
):
    """It has the event and waits for Stripe's answer when the whole cluster dies."""
    make_shop()
    workspace = make_workspace(credits=0)
    buy_pack(fake_stripe, workspace)
    environ = service_environment(
        media_dir,
        Q_CLUSTER_NAME="default",
        STRIPE_SECRET_KEY=fake_stripe.secret_key,
        STRIPE_API_BASE=fake_stripe.url,
        STRIPE_WEBHOOK_SECRETS=fake_stripe.webhook_secret,
        STRIPE_EVENT_LEASE_SECONDS="2",
    )
    log = tmp_path / "default.log"
    (event,) = fake_stripe.told("checkout.session.completed")
    with fake_stripe.held("GET checkout/sessions/") as gate:
        with manage("qcluster", environ=environ, log=log) as killed:
            assert stripe_sender.send(event) == 200
            wait_until(gate.reached.is_set, timeout_s=60, log=log)
            os.killpg(killed.pid, signal.SIGKILL)
            killed.wait()
    row = StripeEvent.objects.get()
    assert (row.processed_at, row.attempts, available(workspace)) == (None, 1, 0)

    janitor = manage("janitor", "--interval", "0.2", environ=environ, log=tmp_path / "janitor.log")
    with manage("qcluster", environ=environ, log=log), janitor:
        wait_until(
            lambda: StripeEvent.objects.filter(processed_at__isnull=False).exists(),
            timeout_s=60,
            log=log,
        )
    row.refresh_from_db()
    assert (row.attempts, row.error, available(workspace)) == (2, "", 10_000)
    assert Transaction.objects.filter(kind="grant").count() == 1
    assert ledger_discrepancies() == []
