"""The page of prices says what the database says."""

import re
from typing import Any

import pytest
from django.test import Client

from billing.models import Pack, Plan, Price
from tests.makers import make_prices
from tests.web.html import Page

pytestmark = pytest.mark.django_db


def text_of(client: Client) -> str:
    response = client.get("/pricing")
    assert response.status_code == 200
    text = response.content.decode()
    assert Page(text).problems() == []
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_packs_plans_and_prices(client: Client, settings: Any):
    make_prices()
    Pack.objects.all().delete()
    Plan.objects.all().delete()
    Pack.objects.create(code="a", name="Small", credits_mcr=10_000_000, price_cents=500)
    Pack.objects.create(code="b", name="Gone", credits_mcr=1_000, price_cents=1, is_active=False)
    Pack.objects.create(
        code="c", name="Large", credits_mcr=100_000_000, price_cents=4_000, expires_after_days=365
    )
    Plan.objects.create(
        code="pro",
        name="Professional",
        monthly_mcr=50_000_000,
        price_cents=1_900,
        parallel_jobs=16,
        results_days=30,
    )
    settings.UPLOADS_DAYS = 3
    text = text_of(client)
    assert "Small 5.00 USD 10,000 credits They do not expire." in text
    assert "Large 40.00 USD 100,000 credits They expire after 365 days." in text
    assert "Gone" not in text
    assert "Professional 19.00 USD 50,000 16 30 days 3 days" in text
    assert "Without a plan – – 4 14 days 3 days" in text
    assert "Separation into stems 150 a minute" in text


def test_prices_of_one_workspace_are_nobody_elses_business(client: Client, person: Any):
    make_prices()
    Price.objects.create(
        service="separation",
        unit="per_second",
        amount_mcr=1,
        workspace=person.memberships.get().workspace,
    )
    assert "Separation into stems 150 a minute" in text_of(client)


def test_without_packs_it_says_so(client: Client):
    Pack.objects.all().delete()
    assert "No packs are sold on this installation." in text_of(client)
