"""Whether the service works at the moment, for people."""

import json
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import resolve, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.eta import UNKNOWN, order_eta_s
from jobs.models import Service

_NAMES: dict[str, str | Promise] = {
    "database": _("Accounts, jobs and credits"),
    "storage": _("Recordings and results"),
    "broker": _("Waking workers"),
}
# What people mostly send: a song of four minutes.
_SONG_S = 240.0


@dataclass(frozen=True)
class Part:
    name: str | Promise
    is_well: bool


@require_safe
@never_cache
def status(request: HttpRequest) -> HttpResponse:
    # As probes see it: there is one way to find out, and it bears being asked often.
    answer = resolve(reverse("readyz")).func(request)
    found: dict[str, Any] = json.loads(answer.content)
    state = found.pop("status")
    parts = [Part(_NAMES.get(name, name), is_well) for name, is_well in found.items()]
    context = {
        "state": state,
        "parts": parts,
        "eta_s": _eta_s() if state != "unavailable" else None,
        "song_s": _SONG_S,
        "now": timezone.now(),
    }
    return render(request, "public/status.html", context, status=answer.status_code)


def _eta_s() -> int | None:
    try:
        eta_s = order_eta_s(service=Service.SEPARATION, duration_s=_SONG_S, n_stems=4)
    except DatabaseError:
        return None
    return None if eta_s == UNKNOWN else eta_s
