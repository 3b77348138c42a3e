"""Credits as cents: AudioPod's wallets are in US dollars, ours in credits."""

from fractions import Fraction
from typing import Final

from billing.pricing import MCR_PER_CREDIT

CREDITS_PER_USD: Final = 7_500
_MCR_PER_CENT: Final = CREDITS_PER_USD * MCR_PER_CREDIT // 100


def cost_cents(amount_mcr: int) -> int:
    """What has to be there to pay this: rounded up."""
    return -(-amount_mcr // _MCR_PER_CENT)


def worth_cents(amount_mcr: int) -> int:
    """What this can pay for: rounded down."""
    return amount_mcr // _MCR_PER_CENT


def cents_text(cents: int) -> str:
    """250 -> "$2.50"."""
    sign = "-" if cents < 0 else ""
    return f"{sign}${abs(cents) // 100}.{abs(cents) % 100:02d}"


def rate_text(mcr_per_minute: Fraction) -> str:
    """A price with as many decimals as it needs, at least two: "$0.132/min"."""
    usd = mcr_per_minute / (100 * _MCR_PER_CENT)
    ten_thousandths = -(-usd.numerator * 10_000 // usd.denominator)
    decimals = f"{ten_thousandths % 10_000:04d}"
    kept = decimals[:2] + decimals[2:].rstrip("0")
    return f"${ten_thousandths // 10_000}.{kept}/min"
