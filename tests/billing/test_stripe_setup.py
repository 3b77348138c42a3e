"""Having Stripe send its events here: `manage.py stripe_setup`."""

from typing import Any

import pytest
from django.core.management import CommandError

from billing.stripe_client import API_VERSION
from billing.stripe_events import HANDLERS
from tests.fakes.stripe import FakeStripe
from tests.makers import run_command

URL = "https://example.org/stripe/webhook"


def test_it_makes_one_endpoint(fake_stripe: FakeStripe):
    lines = run_command("stripe_setup", "--url", URL)
    (row,) = fake_stripe.rows["webhook_endpoints"].values()
    assert lines[1] == f"STRIPE_WEBHOOK_SECRETS=whsec_{row['id']}"
    assert (row["api_version"], row["url"]) == (API_VERSION, URL)
    assert row["enabled_events"] == sorted(HANDLERS)
    row["enabled_events"] = []
    assert run_command("stripe_setup", "--url", URL)[1].endswith("its secret stays.")
    (row,) = fake_stripe.rows["webhook_endpoints"].values()
    assert row["enabled_events"] == sorted(HANDLERS)


def test_it_replaces_one_of_another_version(fake_stripe: FakeStripe):
    run_command("stripe_setup", "--url", URL)
    (old,) = fake_stripe.rows["webhook_endpoints"].values()
    old["api_version"] = "2025-01-01"
    assert run_command("stripe_setup", "--url", URL)[1].startswith("STRIPE_WEBHOOK_SECRETS=")
    (new,) = fake_stripe.rows["webhook_endpoints"].values()
    assert (new["id"] != old["id"], new["api_version"]) == (True, API_VERSION)


@pytest.mark.parametrize("url", ["http://example.org/stripe/webhook", "https://example.org/"])
def test_it_takes_no_other_address(fake_stripe: FakeStripe, url: str):
    with pytest.raises(CommandError):
        run_command("stripe_setup", "--url", url)
    assert fake_stripe.front.calls == []


def test_without_a_key(settings: Any):
    settings.STRIPE_SECRET_KEY = ""
    with pytest.raises(CommandError, match="Set STRIPE_SECRET_KEY first"):
        run_command("stripe_setup", "--url", URL)


def test_the_key_alone_is_enough_for_it(fake_stripe: FakeStripe, settings: Any):
    settings.STRIPE_WEBHOOK_SECRETS = []
    assert run_command("stripe_setup", "--url", URL)[1].startswith("STRIPE_WEBHOOK_SECRETS=")


def test_a_wrong_key_is_named(fake_stripe: FakeStripe, settings: Any):
    settings.STRIPE_SECRET_KEY = "sk_test_wrong"
    with pytest.raises(CommandError, match="Stripe refuses STRIPE_SECRET_KEY"):
        run_command("stripe_setup", "--url", URL)
