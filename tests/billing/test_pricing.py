import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import Rate, credits_text, price_mcr

SECOND = Rate("per_second", 2_500)


@pytest.mark.parametrize(
    ("rate", "n_samples", "sample_rate", "expected_mcr"),
    [
        (SECOND, 44_100, 44_100, 2_500),
        (SECOND, 0, 44_100, 0),
        # One sample costs a milli-credit: rounded up, once.
        (SECOND, 1, 44_100, 1),
        (SECOND, 44_101, 44_100, 2_501),
        (SECOND, 24 * 44_100, 44_100, 60_000),
        (Rate("per_second", 27_500), 5 * 60 * 16_000, 16_000, 8_250_000),
        (Rate("per_second", 27_500), 3_600 * 48_000, 48_000, 99_000_000),
        (Rate("per_call", 10_000), 44_100, 44_100, 10_000),
        (Rate("per_call", 10_000), 1, 8_000, 10_000),
        (Rate("per_second", 0), 44_100, 44_100, 0),
    ],
)
def test_it_prices_exactly(rate: Rate, n_samples: int, sample_rate: int, expected_mcr: int):
    assert price_mcr(rate=rate, n_samples=n_samples, sample_rate=sample_rate) == expected_mcr


@pytest.mark.parametrize(
    ("rate", "n_samples", "sample_rate"),
    [(SECOND, -1, 44_100), (SECOND, 1, 0), (Rate("per_second", -1), 1, 1), (Rate("x", 1), 1, 1)],
)
def test_it_refuses_nonsense(rate: Rate, n_samples: int, sample_rate: int):
    with pytest.raises(ValueError, match="price|unit"):
        price_mcr(rate=rate, n_samples=n_samples, sample_rate=sample_rate)


@given(st.integers(0, 10**9), st.integers(1, 192_000), st.integers(0, 10**6))
def test_it_rounds_up_by_less_than_a_millicredit(n_samples: int, sample_rate: int, amount: int):
    price = price_mcr(rate=Rate("per_second", amount), n_samples=n_samples, sample_rate=sample_rate)
    assert 0 <= price * sample_rate - amount * n_samples < sample_rate


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
