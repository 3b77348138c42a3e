"""The start page: what this is, heard at once; and what the player on it plays."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from billing.pricing import MCR_PER_CREDIT, cost_cents
from billing.shop import packs_list
from jobs.catalog import model_offers, stem_offers
from web.calculator import offers_list
from web.docs.pages import page_get
from web.docs.rendering import code_sets

_DEMO = Path(settings.BASE_DIR) / "static" / "demo" / "lanes.json"
_LABELS: dict[str, str | Promise] = {
    "vocals": _("Vocals"),
    "drums": _("Drums"),
    "bass": _("Bass"),
    "other": _("Other"),
    "song": _("Original"),
}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    context = {
        **minute(),
        "stems": [stem for stem in stem_offers() if stem.available],
        "models": [model for model in model_offers() if model.available],
        "demo": {"model": _demo()["model"], "sdr_db": _measured()},
        "code": code_sets(page_get("quickstart").source)[0],
        **limits(),
    }
    return render(request, "public/landing.html", context)


@require_safe
def demo_player(request: HttpRequest) -> JsonResponse:
    """What the player asks for, of files that are served as they are."""
    demo = _demo()
    return JsonResponse(
        {
            "state": "ready",
            "progress": 1,
            "sample_rate": demo["sample_rate"],
            "n_samples": demo["n_samples"],
            "segment_samples": demo["segment_samples"],
            "lanes": [
                _lane(lane, number, kind="stem") for number, lane in enumerate(demo["lanes"])
            ],
            "original": _lane(demo["original"], len(demo["lanes"]), kind="recording"),
        }
    )


def minute() -> dict[str, Any]:
    """What a minute of stems costs, in credits and in money with credits of the first pack."""
    offer = next((one for one in offers_list(workspace=None) if one.service == "separation"), None)
    pack = packs_list().first()
    if offer is None or pack is None:
        return {"minute": offer, "minute_cents": None}
    cents = cost_cents(
        amount_mcr=offer.unit_mcr, of_mcr=pack.credits_mcr, price_cents=pack.price_cents
    )
    return {"minute": offer, "minute_cents": cents, "minute_currency": pack.currency}


def limits() -> dict[str, Any]:
    """What holds for everybody here."""
    return {
        "upload_bytes": settings.UPLOAD_MAX_BYTES,
        "recording_hours": f"{settings.RECORDING_MAX_SECONDS / 3600:g}",
        # For the plural: 1.5 is not one.
        "recording_count": 1 if settings.RECORDING_MAX_SECONDS == 3600 else 2,
        "results_days": settings.RESULTS_DAYS,
        "uploads_days": settings.UPLOADS_DAYS,
        "parallel_jobs": settings.PARALLEL_JOBS,
        "calls_per_minute": settings.RATE_LIMIT_PER_MINUTE,
        "preview_s": settings.PREVIEW_MAX_SECONDS,
        "welcome_mcr": settings.WELCOME_CREDITS * MCR_PER_CREDIT,
        "video_imports": settings.VIDEO_IMPORTS,
    }


@cache
def _demo() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(_DEMO.read_text(encoding="utf-8"))
    return values


def _measured() -> list[tuple[str | Promise, str, float]]:
    return [(_LABELS[name], name, value) for name, value in _demo()["sdr_db"].items()]


def _lane(lane: dict[str, Any], number: int, *, kind: str) -> dict[str, Any]:
    return {
        "id": lane["id"],
        "kind": kind,
        "name": lane["name"],
        "label": str(_LABELS[lane["name"]]),
        "lane": number,
        "audio": {**lane["audio"], "url": static(lane["audio"]["url"])},
        "peaks": {**lane["peaks"], "url": static(lane["peaks"]["url"])},
        "gain": 1.0,
    }
