"""What something would cost: the prices that hold, computed by the rule that orders are priced by.

A page includes `app/_price_calculator.html`, which finds the rest by itself. Its form asks the page
`calculator`, which answers htmx with the result alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import Workspace
from billing.models import Pack, Price, PriceUnit
from billing.pricing import Rate, cost_cents, price_mcr
from billing.selectors import prices_list
from billing.shop import packs_list
from jobs.catalog import service_offers
from web.service_names import service_name
from web.views import principal_of

# Minutes as people write them, with at most so many decimals that they are whole milliminutes.
_MINUTES: Final = re.compile(r"[0-9]{1,6}([.,][0-9]{1,3})?")
_STEMS: Final = re.compile(r"[0-9]{1,3}")
_STEMS_MAX: Final = 100
_FIRST_SERVICE: Final = "separation"
_FIRST_MINUTES: Final = "4"
_FIRST_STEMS: Final = "4"


@dataclass(frozen=True)
class Offer:
    """Something with a price."""

    service: str
    rate: Rate
    is_ours: bool

    @property
    def name(self) -> str:
        return service_name(self.service)

    @property
    def is_per_call(self) -> bool:
        return self.rate.unit == PriceUnit.PER_CALL

    @property
    def is_per_stem(self) -> bool:
        return self.rate.unit == PriceUnit.PER_SECOND_AND_STEM

    @property
    def unit_mcr(self) -> int:
        """Of a call, or of a minute of one stem."""
        return price_mcr(rate=self.rate, n_samples=60, sample_rate=1)


@dataclass(frozen=True)
class InMoney:
    """What a price is in money, with credits of one pack."""

    pack: Pack
    cents: int
    # How many such recordings the pack is enough for.
    times: int | None


@dataclass(frozen=True)
class Calculator:
    offers: list[Offer]
    # As they were typed.
    service: str
    minutes: str
    stems: str
    minutes_max: int
    offer: Offer | None
    amount_mcr: int | None
    in_money: list[InMoney]
    # Of a field that cannot be computed with.
    problems: Mapping[str, str | Promise]

    @property
    def ours(self) -> list[Offer]:
        return [offer for offer in self.offers if offer.is_ours]

    @property
    def others(self) -> list[Offer]:
        return [offer for offer in self.offers if not offer.is_ours]

    @property
    def stems_max(self) -> int:
        return _STEMS_MAX


@require_safe
def calculator(request: HttpRequest) -> HttpResponse:
    is_part = "HX-Request" in request.headers
    template = "app/_price_result.html" if is_part else "app/price_calculator.html"
    return render(request, template, {"calculator": calculator_of(request)})


def calculator_of(request: HttpRequest) -> Calculator:
    """For who is there, whose workspace may have prices of its own."""
    is_known = request.user.is_authenticated
    workspace = principal_of(request).workspace if is_known else None
    return calculator_get(workspace=workspace, values=request.GET)


def calculator_get(*, workspace: Workspace | None, values: Mapping[str, str]) -> Calculator:
    offers = offers_list(workspace=workspace)
    service = values.get("service") or _FIRST_SERVICE
    minutes = values.get("minutes", _FIRST_MINUTES).strip()
    stems = values.get("stems", _FIRST_STEMS).strip()
    offer = next((offer for offer in offers if offer.service == service), None)
    problems = _problems(offer, minutes, stems)
    amount_mcr = None
    if offer is not None and not problems:
        amount_mcr = _amount(offer, minutes, stems)
    return Calculator(
        offers=offers,
        service=service,
        minutes=minutes,
        stems=stems,
        minutes_max=settings.RECORDING_MAX_SECONDS // 60,
        offer=offer,
        amount_mcr=amount_mcr,
        in_money=[] if amount_mcr is None else _in_money(amount_mcr),
        problems=problems,
    )


def offers_list(*, workspace: Workspace | None) -> list[Offer]:
    """All that is priced now: our services in their order, then what other APIs sell."""
    prices = {price.service: price for price in prices_list(workspace=workspace)}
    ours = [offer.name for offer in service_offers() if offer.name in prices]
    others = sorted(prices.keys() - set(ours))
    return [
        *(_offer(prices[service], is_ours=True) for service in ours),
        *(_offer(prices[service], is_ours=False) for service in others),
    ]


def _offer(price: Price, *, is_ours: bool) -> Offer:
    return Offer(price.service, Rate(price.unit, price.amount_mcr, price.quantity), is_ours)


def _problems(offer: Offer | None, minutes: str, stems: str) -> dict[str, str | Promise]:
    problems: dict[str, str | Promise] = {}
    if offer is None:
        return {"service": _("There is no price for this.")}
    if not offer.is_per_call and not _is_length(minutes):
        problems["minutes"] = _("Give a length in minutes, no longer than a recording may be.")
    if offer.is_per_stem and not (_STEMS.fullmatch(stems) and 0 < int(stems) <= _STEMS_MAX):
        problems["stems"] = _("Give a whole number of stems.")
    return problems


def _is_length(minutes: str) -> bool:
    if not _MINUTES.fullmatch(minutes):
        return False
    return 0 < _milliminutes(minutes) * 60 <= settings.RECORDING_MAX_SECONDS * 1000


def _milliminutes(minutes: str) -> int:
    return int(Decimal(minutes.replace(",", ".")) * 1000)


def _amount(offer: Offer, minutes: str, stems: str) -> int:
    # 60,000 milliminutes are an hour: 60 of them are one second at this "sample rate".
    return price_mcr(
        rate=offer.rate,
        n_samples=1 if offer.is_per_call else _milliminutes(minutes) * 60,
        sample_rate=1000,
        n_stems=int(stems) if offer.is_per_stem else 1,
    )


def _in_money(amount_mcr: int) -> list[InMoney]:
    return [
        InMoney(
            pack=pack,
            cents=cost_cents(
                amount_mcr=amount_mcr, of_mcr=pack.credits_mcr, price_cents=pack.price_cents
            ),
            times=pack.credits_mcr // amount_mcr if amount_mcr else None,
        )
        for pack in packs_list()
    ]
