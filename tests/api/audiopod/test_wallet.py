"""The wallet in cents, and credits as the older part of the API shows them."""

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from accounts.models import Role
from api.audiopod.money import cents_text, cost_cents, rate_text, worth_cents
from billing.ledger import credits_grant
from billing.models import Payment, Plan, Subscription
from tests.api.audiopod.steps import STEMS, ordered
from tests.makers import make_grant, make_member, make_token, run_jobs

pytestmark = pytest.mark.django_db

WALLET, CREDITS = "/api/v1/api-wallet", "/api/v1/credits"
# A second of stems costs 16.5 credits; so much is 0.2 seconds.
CHARGED_MCR = 3_300


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(f"{WALLET}/{path}", body, content_type="application/json")


@pytest.mark.parametrize(
    ("mcr", "cost", "worth"), [(0, 0, 0), (1, 1, 0), (75_000, 1, 1), (75_001, 2, 1)]
)
def test_7500_credits_are_a_dollar(mcr: int, cost: int, worth: int):
    assert (cost_cents(mcr), worth_cents(mcr)) == (cost, worth)
    assert (cost_cents(mcr * 100 * 75_000) > 0) == (mcr > 0)


def test_money_is_written_with_as_many_decimals_as_it_needs():
    assert [cents_text(cents) for cents in (0, 5, 250, 123456)] == [
        "$0.00",
        "$0.05",
        "$2.50",
        "$1234.56",
    ]
    # Of 1,650, 990 and 330 credits a minute.
    rates = [rate_text(Fraction(credits * 1000)) for credits in (1650, 990, 330)]
    assert rates == ["$0.22/min", "$0.132/min", "$0.044/min"]


def test_the_balance_follows_what_is_held_and_charged(
    client: Client, alice: Any, fake_separation: Any
):
    make_grant(alice, 7_400_000)
    balance = client.get(f"{WALLET}/balance").json()
    assert balance == {
        "balance_cents": 100,
        "balance_usd": "$1.00",
        "total_topup_cents": 100,
        "total_spent_cents": 0,
        "total_spent_usd": "$0.00",
        "low_balance_warning": False,
    }
    ordered(client, f"{STEMS}/api/extract")
    # Held: it can no longer be spent.
    assert client.get(f"{WALLET}/balance").json()["balance_cents"] == 99
    assert run_jobs() == 1
    balance = client.get(f"{WALLET}/balance").json()
    assert (balance["balance_cents"], balance["total_spent_cents"]) == (99, 1)
    assert balance["low_balance_warning"] is True
    logs = client.get(f"{WALLET}/usage").json()
    (log,) = logs.pop("logs")
    assert logs == {"page": 1, "limit": 50}
    del log["created_at"]
    assert log == {
        "service_type": "stem_extraction",
        "duration_minutes": 0.0033,
        "amount_cents": 1,
        "amount_usd": "$0.01",
    }
    (use,) = client.get(f"{CREDITS}/usage").json()
    assert (use["credits_used"], use["audio_duration"]) == (CHARGED_MCR / 1000, 0.2)
    assert (use["service_type"], use["credit_source"]) == ("stem_extraction", "payg")


def test_usage_is_the_own(client: Client, stranger: Client, fake_separation: Any):
    ordered(client, f"{STEMS}/api/extract")
    assert run_jobs() == 1
    assert stranger.get(f"{WALLET}/usage").json()["logs"] == []
    assert stranger.get(f"{CREDITS}/usage").json() == []


def test_prices_are_for_everybody():
    body = Client().get(f"{WALLET}/pricing").json()
    assert body["services"]["speaker_extraction"] == {
        "rate_per_minute": "$0.22/min",
        "credits_per_minute": 1650,
    }
    assert {*body["services"]} == {*Client().get(f"{WALLET}/service-types").json()}
    assert body["wallet"]["topup_amounts_cents"] == [500, 2_000, 8_000]


@pytest.mark.parametrize(
    ("service", "seconds", "cost"),
    [
        # As the table of the document has it.
        ("speaker_extraction", 300, "$1.10"),
        ("speaker_extraction", 900, "$3.30"),
        ("speaker_extraction", 1800, "$6.60"),
        ("speaker_extraction", 3600, "$13.20"),
        ("stem_extraction", 60, "$0.14"),
        ("denoise", 0.001, "$0.01"),
        ("denoise", 0, "$0.00"),
    ],
)
def test_estimates_round_up(service: str, seconds: float, cost: str):
    body = post(Client(), "estimate", service_type=service, duration_seconds=seconds).json()
    assert body["service_type"] == service
    assert body["duration_minutes"] == round(seconds / 60, 4)
    assert body["cost_usd"] == cost


@pytest.mark.parametrize("path", ["estimate", "check-balance"])
@pytest.mark.parametrize(
    "fields",
    [
        {"service_type": "cooking"},
        {"service_type": "\x00"},
        {"duration_seconds": -1},
        {"duration_seconds": 1e300},
        {"duration_seconds": "nan"},
        {"duration_seconds": "long"},
    ],
)
def test_what_cannot_be_estimated_is_named(client: Client, path: str, fields: dict[str, Any]):
    response = post(client, path, **({"service_type": "denoise", "duration_seconds": 1} | fields))
    assert response.status_code == 400
    assert list(response.json()["details"]["fields"]) == list(fields)


def test_a_balance_is_checked_before_an_order(client: Client):
    # 100 credits are 3.6 seconds of speakers.
    response = post(
        client, "check-balance", service_type="speaker_extraction", duration_seconds=3.6
    )
    assert response.json() == {"can_proceed": True, "cost_cents": 2, "current_balance_cents": 1}
    response = post(client, "check-balance", service_type="speaker_extraction", duration_seconds=60)
    assert response.status_code == 402
    assert response.json() == {
        "error": "insufficient_api_balance",
        "message": "Insufficient balance. Required: $0.22, Available: $0.01",
        "required_cents": 22,
        "available_cents": 1,
    }


def person(workspace: Any) -> Client:
    token = make_token(make_member(workspace, Role.OWNER), workspace)
    return Client(headers={"Authorization": f"Bearer {token}"})


def test_a_pack_is_bought_for_what_it_costs(alice: Any, fake_stripe: Any):
    response = post(person(alice), "topup/checkout", amount_cents=500)
    assert response.status_code == 200
    body = response.json()
    payment = Payment.objects.get()
    assert body == {
        "session_id": payment.checkout_session_id,
        "url": body["url"],
        "amount_cents": 500,
        "amount_usd": "$5.00",
        "credits_to_receive": 10_000,
    }
    assert body["url"].startswith("http")
    response = person_again(alice).post(
        f"{CREDITS}/payg/create-checkout-session",
        {"amount_usd": 20},
        content_type="application/json",
    )
    assert response.status_code == 200
    assert (response.json()["amount_usd"], response.json()["credits_to_receive"]) == (20, 50_000)


def person_again(workspace: Any) -> Client:
    token = make_token(workspace.memberships.get().user, workspace)
    return Client(headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("cents", [99, 700, 1_000_001, 10**30, "much"])
def test_no_other_amount_is_sold(alice: Any, fake_stripe: Any, cents: Any):
    response = post(person(alice), "topup/checkout", amount_cents=cents)
    assert response.status_code == 400
    assert list(response.json()["details"]["fields"]) == ["amount_cents"]
    assert not Payment.objects.exists()


def test_without_stripe_nothing_can_be_bought(alice: Any):
    response = post(person(alice), "topup/checkout", amount_cents=500)
    assert (response.status_code, list(response.json())) == (503, ["detail"])


def test_payment_intents_are_not_offered(alice: Any):
    response = post(person(alice), "topup/payment-intent", amount_cents=500)
    assert response.status_code == 400
    assert "/topup/checkout" in response.json()["message"]


def test_a_key_cannot_buy(client: Client):
    assert post(client, "topup/checkout", amount_cents=500).status_code == 403


def test_topups_are_what_came_in(client: Client, alice: Any):
    make_grant(alice, 750_000)
    body = client.get(f"{WALLET}/topups?page=1&limit=1").json()
    (topup,) = body.pop("topups")
    assert body == {"page": 1, "limit": 1}
    assert (topup["amount_cents"], topup["amount_usd"]) == (10, "$0.10")
    assert len(client.get(f"{WALLET}/topups?page=2&limit=1").json()["topups"]) == 1
    assert client.get(f"{WALLET}/topups?page=3&limit=1").json()["topups"] == []
    assert client.get(f"{WALLET}/topups?page=0").status_code == 400


def test_credits_of_a_plan_are_told_from_bought_ones(client: Client, alice: Any):
    credits_grant(workspace=alice, amount_mcr=20_000_500, source="plan", idempotency_key="m1")
    credits_grant(workspace=alice, amount_mcr=10_000_000, source="pack", idempotency_key="p1")
    Subscription.objects.create(
        workspace=alice,
        plan=Plan.objects.get(code="hobby"),
        stripe_id="sub_1",
        status="active",
        current_period_end=Now() + timedelta(days=30),
    )
    body = client.get(CREDITS).json()
    assert body["last_reset_at"]
    assert body["next_reset_date"] > body["last_reset_at"]
    del body["last_reset_at"], body["next_reset_date"]
    assert body == {
        "credits_balance": 20_000,
        # With the 100 that were granted.
        "payg_balance": 10_100,
        "total_available_credits": 30_100,
        "total_credits_used": 0,
        "total_payg_credits_purchased": 10_000,
        "credits_per_month": 20_000,
    }


def test_multipliers_are_credits_a_minute(client: Client):
    assert client.get(f"{CREDITS}/multipliers").json() == {
        "speaker_extraction": 1650,
        "speaker_diarization": 1650,
        "stem_extraction": 990,
        "denoise_audio": 330,
    }


def test_what_can_be_bought_is_told(client: Client):
    body = client.get(f"{CREDITS}/payg/info").json()
    assert (body["credits_per_usd"], body["currency"]) == (7_500, "usd")
    assert body["packs"][0] == {"name": "Starter", "amount_usd": 5.0, "credits": 10_000}
