"""The same short flow with our stand-in and, where a key is given, with Stripe's own test mode:

STRIPE_TEST_KEY=sk_test_… pytest tests/billing/test_stripe_live.py
"""

import os
from typing import Any

import pytest

from accounts.audit import OPERATOR
from billing.auto_top_ups import TopUpWish, auto_top_up_put
from billing.checkout import checkout_pack, checkout_plan, customer_ensure
from billing.models import Payment
from billing.payment_reconciling import payments_reconcile
from billing.payments import payment_sync_session
from billing.selectors import ledger_discrepancies
from billing.top_ups import top_ups_run
from tests.fakes.stripe import FakeStripe
from tests.fakes.stripe.compare import client_of
from tests.fakes.stripe.steps import available
from tests.makers import make_shop

pytestmark = pytest.mark.django_db

KEY = os.environ.get("STRIPE_TEST_KEY", "")


@pytest.fixture(
    params=[
        "stand-in",
        pytest.param(
            "stripe", marks=pytest.mark.skipif(not KEY, reason="there is no STRIPE_TEST_KEY")
        ),
    ]
)
def api(request: pytest.FixtureRequest, fake_stripe: FakeStripe, settings: Any) -> Any:
    if request.param == "stand-in":
        return client_of(fake_stripe.url, fake_stripe.secret_key).v1
    assert KEY.startswith(("sk_test_", "rk_test_")), "never with real money"
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = KEY, ""
    return client_of("https://api.stripe.com", KEY).v1


def test_from_the_checkout_to_the_refund(alice: Any, api: Any):
    make_shop()
    checkout = checkout_pack(workspace=alice, code="starter")
    assert checkout.url.startswith("https://checkout.stripe.")
    session = Payment.objects.values_list("checkout_session_id", flat=True).get()
    payment_sync_session(session_id=str(session))
    assert available(alice) == 100
    assert checkout_plan(workspace=alice, code="hobby").url.startswith("https://checkout.stripe.")

    customer = customer_ensure(workspace=alice)
    api.payment_methods.attach("pm_card_visa", {"customer": customer})
    wish = TopUpWish(
        is_enabled=True, threshold_mcr=10_000_000, pack="starter", monthly_ceiling_cents=500
    )
    auto_top_up_put(workspace=alice, actor=OPERATOR, wish=wish)
    assert (top_ups_run(), available(alice)) == (1, 10_100)
    intent = Payment.objects.get(kind="top_up").payment_intent_id
    api.refunds.create({"payment_intent": intent, "amount": 250})
    payments_reconcile()
    assert (available(alice), ledger_discrepancies()) == (5_100, [])
