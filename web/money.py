"""Money in words. Amounts are whole numbers of the currency's smallest unit."""

from decimal import Decimal
from typing import Final

from django.utils.formats import number_format

# Those that Stripe counts in whole units.
_WITHOUT_CENTS: Final = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split()
)


def decimals_of(currency: str) -> int:
    return 0 if currency.lower() in _WITHOUT_CENTS else 2


def money_text(cents: int, currency: str) -> str:
    """500 of "usd" is "5.00 USD"."""
    decimals = decimals_of(currency)
    amount = Decimal(cents).scaleb(-decimals)
    return f"{number_format(amount, decimals, force_grouping=True)} {currency.upper()}"
