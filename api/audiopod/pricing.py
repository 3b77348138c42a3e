"""What AudioPod's services are called where they are priced, and what they cost here."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from accounts.models import Workspace
from api.audiopod.base import parameter_error
from billing.models import Price
from billing.pricing import MCR_PER_CREDIT, Rate, price_mcr
from billing.selectors import prices_list
from config.errors import Unavailable

# Their name, and the name of our price. The first of a price is the one that we answer with.
_TARIFFS: Final[Mapping[str, str]] = {
    "speaker_extraction": "speaker_extraction",
    "speaker_diarization": "speaker_diarization",
    "stem_extraction": "separation_by_mode",
    "denoise_audio": "speech_denoising",
    "noise_reduction": "speech_denoising",
    "denoise": "speech_denoising",
}
_NAMES: Final[Mapping[str, str]] = {
    tariff: name for name, tariff in reversed(list(_TARIFFS.items()))
}
SERVICE_TYPES: Final = tuple(_NAMES[tariff] for tariff in dict.fromkeys(_TARIFFS.values()))
# Durations are counted in milliseconds.
_PER_SECOND: Final = 1000


def service_name(tariff: str) -> str:
    """Of a price; what other APIs sell keeps our name."""
    return _NAMES.get(tariff, tariff)


def rates(workspace: Workspace | None) -> dict[str, Rate]:
    """The price of each service type that there is one for, that of the workspace first."""
    prices: dict[str, Price] = {price.service: price for price in prices_list(workspace=workspace)}
    found = ((name, prices.get(_TARIFFS[name])) for name in SERVICE_TYPES)
    return {
        name: Rate(price.unit, price.amount_mcr, price.quantity)
        for name, price in found
        if price is not None
    }


def rate_of(workspace: Workspace | None, service_type: str) -> Rate:
    if service_type not in _TARIFFS:
        problem = f"This must be one of: {', '.join(SERVICE_TYPES)}."
        raise parameter_error("service_type", problem)
    rate = rates(workspace).get(_NAMES[_TARIFFS[service_type]])
    if rate is None:
        raise Unavailable(f"There is no price for {service_type}.")
    return rate


def price_of(rate: Rate, *, milliseconds: int) -> int:
    return price_mcr(rate=rate, n_samples=milliseconds, sample_rate=_PER_SECOND)


def per_minute(rate: Rate) -> Fraction:
    """Milli-credits a minute, exactly."""
    if rate.unit != "per_second":
        raise Unavailable("This service is not priced by time.")
    return Fraction(60 * rate.amount_mcr, rate.quantity)


def credits_per_minute(rate: Rate) -> int | float:
    credits = per_minute(rate) / MCR_PER_CREDIT
    return int(credits) if credits.denominator == 1 else float(credits)
