"""Who comes into the console: operators, by a second factor, from where the settings say.

To everybody else it is not there. Money and impersonation want the second factor to be fresh.
"""

import ipaddress
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.audit import Actor
from accounts.callers import ip_address
from accounts.models import User
from config.errors import AppError

_READ = ("GET", "HEAD")


@dataclass(frozen=True)
class Operator:
    """Who acts from the console."""

    user: User
    actor: Actor


# Of a request and an operator; what the address says comes by name.
Page = Callable[..., HttpResponseBase]


def console_page(*, methods: Sequence[str] = _READ, fresh: bool = False) -> Callable[[Page], Page]:
    """A page for operators; a `fresh` one wants a second factor of these minutes."""

    def decorate(page: Page) -> Page:
        @require_http_methods([*methods])
        @never_cache
        @wraps(page)
        def view(request: HttpRequest, **values: Any) -> HttpResponseBase:
            elsewhere = console_way_in(request, fresh=fresh)
            if elsewhere is not None:
                return elsewhere
            try:
                return page(request, operator_of(request), **values)
            except AppError as error:
                return console_refused(request, error)

        console_view: Any = view
        # For tests/browser/test_accessibility.py, which sees every page.
        console_view.methods = tuple(methods)
        decorated: Page = console_view
        return decorated

    return decorate


def operator_of(request: HttpRequest) -> Operator:
    assert isinstance(request.user, User)  # noqa: S101 - see console_way_in
    actor = Actor.of_operator(request.user, ip_address=ip_address(request))
    return Operator(request.user, actor)


def console_way_in(request: HttpRequest, *, fresh: bool = False) -> HttpResponse | None:
    """None for who may come in; else where they have to go first. Raises Http404 for the rest."""
    if not _is_network_allowed(request):
        raise Http404
    user = request.user
    if not isinstance(user, User):
        return redirect_to_login(request.get_full_path())
    if not (user.is_staff and user.is_active):
        raise Http404
    kinds = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    if not kinds:
        messages.warning(
            request, _("Operators need a second factor. Set one up, then open the console again.")
        )
        return redirect("mfa_index")
    age_s = _second_factor_age_s(request)
    limit_s = settings.CONSOLE_FRESH_SECONDS if fresh else settings.CONSOLE_SECONDS
    if age_s is None or age_s > limit_s:
        return _ask_second_factor(request, kinds)
    return None


def console_refused(request: HttpRequest, error: AppError) -> HttpResponse:
    return render(request, "console/refused.html", {"error": error}, status=error.status)


def _is_network_allowed(request: HttpRequest) -> bool:
    if not settings.CONSOLE_NETWORKS:
        return True
    address = ipaddress.ip_address(ip_address(request))
    return any(address in network for network in settings.CONSOLE_NETWORKS)


def _second_factor_age_s(request: HttpRequest) -> float | None:
    """How long ago this session gave one; None if never."""
    given = [
        record["at"]
        for record in get_authentication_records(request, request.user)
        if record.get("method") == "mfa"
    ]
    return time.time() - max(given) if given else None


def _ask_second_factor(request: HttpRequest, kinds: set[str]) -> HttpResponse:
    by_code = bool(kinds - {Authenticator.Type.WEBAUTHN})
    name = "mfa_reauthenticate" if by_code else "mfa_reauthenticate_webauthn"
    back = request.get_full_path() if request.method in _READ else _page_before(request)
    return redirect(f"{reverse(name)}?{urlencode({'next': back})}")


def _page_before(request: HttpRequest) -> str:
    """Where a form stood that was sent too late: it has to be filled in again."""
    path = urlsplit(request.headers.get("Referer", "")).path
    home = reverse("console")
    return path if path.startswith(home) else home
