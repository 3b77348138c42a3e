"""Which stems there are, how good each is, and what makes them."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from jobs.catalog import ModelOffer, QualityOffer, StemOffer, model_offers, stem_offers
from web.public.landing import minute

_GROUPS: dict[str, str | Promise] = {
    "core": _("The whole recording"),
    "vocals": _("Voices"),
    "drums": _("Drums"),
    "guitars": _("Guitars"),
    "keys": _("Keyboards"),
    "orchestra": _("Orchestra"),
    "effects": _("Effects"),
}


@dataclass(frozen=True)
class StemRow:
    """A stem, the title of what it is cut from, and the models that make it."""

    stem: StemOffer
    parent: str
    models: list[ModelOffer]

    @property
    def measured_on(self) -> list[str]:
        """The songs, each set once."""
        return list(dict.fromkeys(one.measured_on for one in self.stem.quality))


@dataclass(frozen=True)
class Group:
    title: str | Promise
    rows: list[StemRow]


@require_safe
def stems(request: HttpRequest) -> HttpResponse:
    context = {"groups": _groups(), "models": model_offers(), "sets": _sets(), **minute()}
    return render(request, "public/stems.html", context)


def _groups() -> list[Group]:
    offers = stem_offers()
    titles = {offer.name: offer.title for offer in offers}
    models = {model.name: model for model in model_offers()}
    rows: dict[str, list[StemRow]] = {}
    for offer in offers:
        made_by = [models[name] for name in offer.models]
        row = StemRow(offer, titles.get(offer.parent, ""), made_by)
        rows.setdefault(offer.group, []).append(row)
    return [Group(_GROUPS.get(name, name), listed) for name, listed in rows.items()]


def _sets() -> list[QualityOffer]:
    """One measurement of each set of songs, for what the set is."""
    found = {one.measured_on: one for offer in stem_offers() for one in offer.quality}
    return [found[name] for name in sorted(found)]
