"""While an operator looks on as a member: nothing is changed, all is written down.

Calls of the API by the session are refused in its own words (api/native/sessions.py).
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor
from accounts.callers import ip_address
from accounts.impersonation import (
    SESSION_KEY,
    Impersonation,
    impersonation_end,
    impersonation_of,
    impersonation_page_record,
    impersonation_refusal_record,
)
from accounts.models import User
from config.errors import NotAllowed
from web.views import principal_of, refused

_READS = ("GET", "HEAD", "OPTIONS")


class ImpersonationMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        # Without the cookie there is no session to look into: programs pay nothing for this.
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or _is_api(view):
            return None
        if SESSION_KEY not in request.session or not isinstance(request.user, User):
            return None
        actor = Actor.of_operator(request.user, ip_address=ip_address(request))
        watched = impersonation_of(user=request.user, session=request.session)
        if watched is None:
            impersonation_end(session=request.session, actor=actor, cause="time")
            messages.info(request, _("You no longer look on as a member: the time is over."))
            return None
        request.impersonation = watched  # type: ignore[attr-defined]
        if request.path == reverse("account_logout") and request.method == "POST":
            impersonation_end(session=request.session, actor=actor, cause="signed out")
            return None
        if request.method in _READS:
            _record_page(request, watched, actor)
            return None
        if request.path == reverse("console-impersonation-end"):
            return None
        impersonation_refusal_record(
            watched=watched, actor=actor, method=str(request.method), path=request.path
        )
        principal_of(request)
        return refused(
            request, NotAllowed(str(_("You are looking on as a member: nothing can be changed.")))
        )


def _is_api(view: Any) -> bool:
    return str(getattr(view, "__module__", "")).startswith("api.")


def _record_page(request: HttpRequest, watched: Impersonation, actor: Actor) -> None:
    """Pages, not their parts, which some ask for every few seconds."""
    if request.path.startswith(reverse("app-home")) and "HX-Request" not in request.headers:
        impersonation_page_record(watched=watched, actor=actor, path=request.get_full_path())
