"""Amounts as pages write them, in the language of the reader."""

import pytest
from django.utils import translation

from web.money import money_text
from web.templatetags.stemwright import credits

# The cache, which all tests of pages empty, is in the database.
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("amount_mcr", "english", "german"),
    [
        (27_500, "27.5", "27,5"),
        (1_234_567_891, "1,234,567.891", "1.234.567,891"),
        (0, "0", "0"),
        # Less than a credit was charged.
        (-500, "-0.5", "-0,5"),
        (-1_250_000, "-1,250", "-1.250"),
        (100_000, "100", "100"),
    ],
)
def test_credits(amount_mcr: int, english: str, german: str):
    assert credits(amount_mcr) == english
    with translation.override("de"):
        assert credits(amount_mcr) == german


def test_money():
    assert money_text(123_405, "usd") == "1,234.05 USD"
    assert money_text(-5, "eur") == "-0.05 EUR"
    # Without a smaller unit.
    assert money_text(500, "jpy") == "500 JPY"
    with translation.override("de"):
        assert money_text(123_405, "eur") == "1.234,05 EUR"
