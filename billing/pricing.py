"""The only arithmetic on credits. Pure: no database, no clock, no floats.

The rule, with worked tables, is written in docs/pricing.md.
"""

from dataclasses import dataclass
from decimal import Decimal

MCR_PER_CREDIT = 1000


@dataclass(frozen=True)
class Rate:
    """`amount_mcr` milli-credits for each `unit` (`per_second` or `per_call`)."""

    unit: str
    amount_mcr: int


def price_mcr(*, rate: Rate, n_samples: int, sample_rate: int) -> int:
    """Price a recording of `n_samples` at `sample_rate` Hz, rounded up once to a milli-credit.

    Counting in samples keeps the duration exact: no second is ever rounded on the way.
    """
    if n_samples < 0 or sample_rate <= 0 or rate.amount_mcr < 0:
        raise ValueError("a price needs n_samples >= 0, sample_rate > 0 and a rate >= 0")
    if rate.unit == "per_call":
        return rate.amount_mcr
    if rate.unit == "per_second":
        return -(-rate.amount_mcr * n_samples // sample_rate)
    raise ValueError(f"unknown unit {rate.unit!r}")


def credits_text(amount_mcr: int) -> str:
    """Write milli-credits as credits, exactly: 61250 -> "61.25"."""
    return f"{(Decimal(amount_mcr) / MCR_PER_CREDIT).normalize():f}"
