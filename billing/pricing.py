"""The only arithmetic on credits. Pure: no database, no clock, no floats.

The rule, with worked tables, is written in docs/pricing.md.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

MCR_PER_CREDIT = 1000
# What is granted by hand; more is a slip of it.
OPERATOR_CREDITS_MAX = 1_000_000_000

_CREDITS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,3})?")


@dataclass(frozen=True)
class Rate:
    """`amount_mcr` milli-credits for `quantity` units; a unit is one of billing.models.PriceUnit.

    With a quantity, a rate may be finer than a milli-credit.
    """

    unit: str
    amount_mcr: int
    quantity: int = 1


def price_mcr(*, rate: Rate, n_samples: int, sample_rate: int, n_stems: int = 1) -> int:
    """Price a recording of `n_samples` at `sample_rate` Hz, rounded up once to a milli-credit.

    Counting in samples keeps the duration exact: no second is ever rounded on the way.
    """
    for value in (n_samples, sample_rate, n_stems, rate.amount_mcr, rate.quantity):
        # Not isinstance: True is an int too.
        if type(value) is not int:
            raise TypeError("a price is made of whole numbers only")
    if n_samples < 0 or sample_rate <= 0 or n_stems <= 0:
        raise ValueError("a price needs n_samples >= 0, sample_rate > 0 and n_stems > 0")
    if rate.amount_mcr < 0 or rate.quantity <= 0:
        raise ValueError("a price needs an amount >= 0 for a quantity > 0")
    if rate.unit == "per_call":
        return _ceil_div(rate.amount_mcr, rate.quantity)
    if rate.unit == "per_second":
        return _ceil_div(rate.amount_mcr * n_samples, sample_rate * rate.quantity)
    if rate.unit == "per_second_and_stem":
        return _ceil_div(rate.amount_mcr * n_samples * n_stems, sample_rate * rate.quantity)
    raise ValueError(f"unknown unit {rate.unit!r}")


def _ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


def credits_of(amount_mcr: int) -> Decimal:
    """Milli-credits as credits, exactly."""
    return (Decimal(amount_mcr) / MCR_PER_CREDIT).normalize()


def credits_text(amount_mcr: int) -> str:
    """Write milli-credits as credits, for programs: 61250 -> "61.25"."""
    return f"{credits_of(amount_mcr):f}"


def credits_parse(text: str) -> int:
    """Read credits as milli-credits, exactly: "61.25" -> 61250. Only plain decimal notation."""
    if not _CREDITS.fullmatch(text):
        raise ValueError(
            "credits are written like 12 or 12.345, with at most 12 digits and three decimals."
        )
    whole, _, decimals = text.partition(".")
    return int(whole) * MCR_PER_CREDIT + int(decimals.ljust(3, "0"))


def cost_cents(*, amount_mcr: int, of_mcr: int, price_cents: int) -> int:
    """What an amount is worth in money where `of_mcr` cost `price_cents`, rounded up once."""
    return _ceil_div(price_cents * amount_mcr, of_mcr)


def days_left(*, available_mcr: int, used_mcr: int, in_days: int) -> int | None:
    """For how many whole days credits last at the pace of the last days; None: nothing was used."""
    return available_mcr * in_days // used_mcr if used_mcr > 0 else None
