import re
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError
from django.db.models.functions import Now
from hypothesis import given
from hypothesis import strategies as st

from billing import pricing
from billing.models import Price
from billing.pricing import (
    Rate,
    cost_cents,
    credits_parse,
    credits_text,
    days_left,
    price_mcr,
)
from billing.selectors import prices_list, rate_get
from config.errors import Unavailable
from tests.makers import SHIPPED_PRICES, make_workspace

SECOND = Rate("per_second", 2_500)
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def documented(heading: str) -> list[list[str]]:
    """The rows of a table in docs/pricing.md, without thousands separators."""
    text = (Path(__file__).parents[2] / "docs" / "pricing.md").read_text()
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [[re.sub(r"[`,]", "", cell).strip() for cell in row] for row in rows]


SHIPPED = {
    service: Rate(unit, int(amount), int(quantity))
    for service, unit, amount, quantity, _ in documented("Shipped prices")
}


def worked() -> list[tuple[str, int, str]]:
    """What is computed for each worked row, as the row itself has it."""
    found = []
    for service, _, n_samples, sample_rate, n_stems, _, _ in documented("Worked"):
        price = price_mcr(
            rate=SHIPPED[service],
            n_samples=int(n_samples),
            sample_rate=int(sample_rate),
            n_stems=int(n_stems),
        )
        found.append((service, price, credits_text(price)))
    return found


def test_the_documentation_holds_the_shipped_prices():
    assert [(s, r.unit, r.amount_mcr, r.quantity) for s, r in SHIPPED.items()] == SHIPPED_PRICES


def test_the_migrations_ship_the_documented_prices():
    first = import_module("billing.migrations.0003_default_prices")._PRICES
    second = import_module("billing.migrations.0005_shipped_prices")._PRICES
    third = import_module("billing.migrations.0012_prices_of_outside_apis")._PRICES
    assert [(*price, 1) for price in first] + second + third == SHIPPED_PRICES


def test_each_worked_row_of_the_documentation_is_right():
    rows = documented("Worked")
    assert len(rows) == 18
    assert worked() == [(row[0], int(row[5]), row[6]) for row in rows]


def test_a_price_rounded_down_is_caught_by_the_worked_rows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pricing, "_ceil_div", lambda dividend, divisor: dividend // divisor)
    wrong = [
        1
        for row, found in zip(documented("Worked"), worked(), strict=True)
        if int(row[5]) != found[1]
    ]
    assert len(wrong) == 6


@pytest.mark.parametrize(
    ("service", "seconds", "n_stems", "credits"),
    [
        ("speaker_extraction", 300, 1, "8250"),
        ("speaker_extraction", 900, 1, "24750"),
        ("speaker_extraction", 1_800, 1, "49500"),
        ("speaker_extraction", 3_600, 1, "99000"),
        ("two_stem_separation", 1, 2, "10"),
        ("full_split", 3_600, 6, "50"),
        ("vocal_range_extraction", 200, 1, "1"),
        ("stem_extraction", 136.83045351473922, 3, "5.55"),
    ],
)
def test_the_services_of_the_outside_apis_cost_what_they_say(
    service: str, seconds: float, n_stems: int, credits: str
):
    price = price_mcr(
        rate=SHIPPED[service],
        n_samples=round(seconds * 44_100),
        sample_rate=44_100,
        n_stems=n_stems,
    )
    assert credits_text(price) == credits


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_samples": -1},
        {"sample_rate": 0},
        {"sample_rate": -1},
        {"n_stems": 0},
        {"n_stems": -2},
        {"rate": Rate("per_second", -1)},
        {"rate": Rate("per_second", 1, 0)},
        {"rate": Rate("per_moon", 1)},
    ],
)
def test_it_refuses_nonsense(wrong: dict[str, Any]):
    with pytest.raises(ValueError, match="price|unit"):
        price_mcr(**{"rate": SECOND, "n_samples": 1, "sample_rate": 1, **wrong})


@pytest.mark.parametrize("value", [1.0, float("nan"), float("inf"), True, "1", None])
@pytest.mark.parametrize("name", ["n_samples", "sample_rate", "n_stems", "amount", "quantity"])
def test_it_refuses_what_is_not_a_whole_number(name: str, value: Any):
    call: dict[str, Any] = {"rate": SECOND, "n_samples": 1, "sample_rate": 1}
    if name == "amount":
        call["rate"] = Rate("per_second", value)
    elif name == "quantity":
        call["rate"] = Rate("per_second", 1, value)
    else:
        call[name] = value
    with pytest.raises(TypeError, match="whole numbers"):
        price_mcr(**call)


@given(
    st.sampled_from(["per_call", "per_second", "per_second_and_stem"]),
    st.integers(0, 10**9),
    st.integers(1, 192_000),
    st.integers(0, 10**12),
    st.integers(1, 10**4),
    st.integers(1, 12),
)
def test_it_rounds_up_by_less_than_a_millicredit(
    unit: str, n_samples: int, sample_rate: int, amount: int, quantity: int, n_stems: int
):
    price = price_mcr(
        rate=Rate(unit, amount, quantity),
        n_samples=n_samples,
        sample_rate=sample_rate,
        n_stems=n_stems,
    )
    size = {
        "per_call": (1, 1),
        "per_second": (n_samples, sample_rate),
        "per_second_and_stem": (n_samples * n_stems, sample_rate),
    }[unit]
    assert 0 <= price * size[1] * quantity - amount * size[0] < size[1] * quantity


@pytest.mark.parametrize(
    ("amount_mcr", "text"),
    [
        (0, "0"),
        (1, "0.001"),
        (61_250, "61.25"),
        (100_000, "100"),
        (-2_500, "-2.5"),
        (10**15, "1000000000000"),
    ],
)
def test_it_writes_credits_exactly(amount_mcr: int, text: str):
    assert credits_text(amount_mcr) == text


@given(st.integers(0, 10**15 - 1))
def test_it_reads_what_it_writes(amount_mcr: int):
    assert credits_parse(credits_text(amount_mcr)) == amount_mcr


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "1e3",
        "nan",
        "NaN",
        "inf",
        "1.2345",
        "1.",
        ".5",
        "1_000",
        "1,000",
        " 1",
        "1\n",
        "٣",
        "9" * 13,
        "0x10",
        "1.0.0",
    ],
)
def test_it_reads_plain_decimals_only(text: str):
    with pytest.raises(ValueError, match="decimals"):
        credits_parse(text)


def make_price(amount_mcr: int, **fields: Any) -> None:
    Price.objects.create(service="test", unit="per_call", amount_mcr=amount_mcr, **fields)


@pytest.mark.django_db
class TestWhichPriceHolds:
    def test_a_workspace_s_own_price_wins_while_it_holds(self):
        alice, bob = make_workspace(credits=0), make_workspace("Bob's", credits=0)
        make_price(10, effective_from=NOW - DAY)
        make_price(7, workspace=alice, effective_from=NOW - 3 * DAY, effective_until=NOW + DAY)
        make_price(3, workspace=bob, effective_from=NOW - 3 * DAY, effective_until=NOW - DAY)
        assert rate_get(workspace=alice, service="test") == Rate("per_call", 7, 1)
        assert rate_get(workspace=bob, service="test") == Rate("per_call", 10, 1)

    def test_the_newest_that_has_begun_wins(self):
        alice = make_workspace(credits=0)
        make_price(1, effective_from=NOW - 2 * DAY)
        make_price(2, effective_from=NOW - DAY)
        make_price(3, effective_from=NOW + DAY)
        assert rate_get(workspace=alice, service="test").amount_mcr == 2

    def test_after_the_end_of_the_newest_an_older_one_holds_again(self):
        alice = make_workspace(credits=0)
        make_price(1, effective_from=NOW - 3 * DAY)
        make_price(2, effective_from=NOW - 2 * DAY, effective_until=NOW - DAY)
        assert rate_get(workspace=alice, service="test").amount_mcr == 1

    def test_a_price_that_begins_when_the_other_ends_follows_it(self):
        alice = make_workspace(credits=0)
        make_price(1, effective_from=NOW - DAY, effective_until=Now())
        make_price(2, effective_from=Now())
        assert rate_get(workspace=alice, service="test").amount_mcr == 2

    def test_a_service_without_a_price_is_refused_and_not_listed(self):
        alice = make_workspace(credits=0)
        make_price(1, effective_from=NOW + DAY)
        make_price(2, effective_from=NOW - 2 * DAY, effective_until=NOW - DAY)
        with pytest.raises(Unavailable, match="There is no price for test"):
            rate_get(workspace=alice, service="test")
        assert [price.service for price in prices_list(workspace=alice)] == sorted(SHIPPED)

    @pytest.mark.parametrize(
        ("fields", "constraint"),
        [
            ({"amount_mcr": -1}, "price_not_negative"),
            ({"amount_mcr": 10**12 + 1}, "price_sensible"),
            ({"amount_mcr": 1, "quantity": 0}, "price_quantity_positive"),
            ({"amount_mcr": 1, "unit": "per_moon"}, "price_unit_known"),
            ({"amount_mcr": 1, "effective_until": NOW - DAY}, "price_span_not_empty"),
        ],
    )
    def test_the_database_refuses_nonsense(self, fields: dict[str, Any], constraint: str):
        with pytest.raises(IntegrityError, match=constraint):
            Price.objects.create(
                **{"service": "test", "unit": "per_call", "effective_from": NOW, **fields}
            )


@pytest.mark.parametrize(
    ("amount_mcr", "of_mcr", "price_cents", "cents"),
    [
        (600_000, 10_000_000, 500, 30),
        (600_001, 10_000_000, 500, 31),
        (1, 10_000_000, 500, 1),
        (0, 10_000_000, 500, 0),
        (10_000_000, 10_000_000, 500, 500),
    ],
)
def test_credits_in_money(amount_mcr: int, of_mcr: int, price_cents: int, cents: int):
    assert cost_cents(amount_mcr=amount_mcr, of_mcr=of_mcr, price_cents=price_cents) == cents


@pytest.mark.parametrize(
    ("available_mcr", "used_mcr", "days"),
    [(100_000, 100_000, 30), (99_999, 100_000, 29), (0, 5, 0), (7, 0, None), (1, 30_000, 0)],
)
def test_how_long_credits_last(available_mcr: int, used_mcr: int, days: int | None):
    assert days_left(available_mcr=available_mcr, used_mcr=used_mcr, in_days=30) == days
