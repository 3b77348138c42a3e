"""The price calculator tells what the order would."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from billing.models import Pack, Price
from tests.makers import make_prices, make_shop
from tests.web.html import Page

pytestmark = pytest.mark.django_db

PATH = "/pricing/calculator"


@pytest.fixture(autouse=True)
def _shop(db: None) -> None:
    make_prices()
    make_shop()


def part(client: Client, **values: str) -> str:
    response = client.get(PATH, values, headers={"HX-Request": "true"})
    assert response.status_code == 200
    text = response.content.decode()
    assert "<html" not in text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"service": "separation", "minutes": "4"}, ["600 credits", "150 a minute"]),
        ({"service": "separation", "minutes": "0.001"}, ["0.15 credits"]),
        ({"service": "separation", "minutes": "2,5"}, ["375 credits"]),
        ({"service": "speaker_extraction", "minutes": "60"}, ["99,000 credits"]),
        ({"service": "two_stem_separation", "minutes": ""}, ["10 credits", "whatever its length"]),
        ({"service": "stem_extraction", "minutes": "1", "stems": "4"}, ["3.245 credits"]),
        ({"service": "stem_extraction", "minutes": "1", "stems": "1"}, ["0.812 credits"]),
        ({}, ["600 credits"]),
    ],
)
def test_it_prices_as_orders_are(client: Client, values: dict[str, str], words: list[str]):
    text = part(client, **values)
    for word in words:
        assert word in text


def test_the_same_in_money_of_each_pack(client: Client):
    # 600 credits; 10,000 for 5.00, 50,000 for 20.00, 250,000 for 80.00.
    text = part(client, service="separation", minutes="4")
    assert "Starter 5.00 USD about 0.30 USD 16 such jobs" in text
    assert "Studio 20.00 USD about 0.24 USD 83 such jobs" in text
    assert "Label 80.00 USD about 0.20 USD 416 such jobs" in text
    Pack.objects.update(is_active=False)
    text = part(client, service="separation", minutes="4")
    assert "600 credits" in text
    assert "USD" not in text


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"service": "nothing"}, "no price"),
        ({"service": "\x00"}, "no price"),
        ({"minutes": "0"}, "length in minutes"),
        ({"minutes": "-1"}, "length in minutes"),
        ({"minutes": "1e3"}, "length in minutes"),
        ({"minutes": "999999"}, "length in minutes"),
        ({"minutes": "NaN"}, "length in minutes"),
        ({"minutes": "<b>"}, "length in minutes"),
        ({"service": "stem_extraction", "stems": "0"}, "whole number of stems"),
        ({"service": "stem_extraction", "stems": "2.5"}, "whole number of stems"),
        ({"service": "stem_extraction", "stems": "999"}, "whole number of stems"),
    ],
)
def test_what_cannot_be_priced_is_said(client: Client, values: dict[str, str], problem: str):
    text = part(client, **values)
    assert problem in text
    assert "credits" not in text
    response = client.get(PATH, values)
    assert response.status_code == 200
    page = Page(response.content.decode())
    assert page.problems() == []
    assert [one for one in page.all("input", "select") if one.get("aria-invalid")]


def test_without_javascript_it_is_a_page_that_keeps_what_was_typed(client: Client):
    response = client.get(PATH, {"service": "speaker_extraction", "minutes": "7"})
    page = Page(response.content.decode())
    assert page.problems() == []
    (minutes,) = [one for one in page.all("input") if one.get("name") == "minutes"]
    assert minutes["value"] == "7"
    (chosen,) = [
        one["value"]
        for one in page.all("option")
        if "selected" in one and one["value"] in {"separation", "speaker_extraction"}
    ]
    assert chosen == "speaker_extraction"
    assert client.post(PATH).status_code == 405


def test_a_workspaces_own_price_is_for_its_members(client: Client, signed_in: Client, person: User):
    workspace = person.memberships.get().workspace
    Price.objects.create(
        service="separation", unit="per_second", amount_mcr=1_000, workspace=workspace
    )
    assert "240 credits" in part(signed_in, service="separation", minutes="4")
    assert "600 credits" in part(Client(), service="separation", minutes="4")


def test_nothing_is_free_by_rounding(client: Client, settings: Any):
    # A hundredth of a milli-credit is one, and a cent at least.
    assert "about 0.01 USD" in part(client, service="conversion", minutes="0.001")
