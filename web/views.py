"""What the pages of the app have in common: who is there, what they may do, how errors look."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.callers import ip_address
from accounts.here import principal_here
from accounts.models import User
from accounts.principal import Principal
from config.errors import AppError, NotAllowed

# A page: of a request and of who is there; what the address says comes by name.
Page = Callable[..., HttpResponseBase]

_READ = ("GET", "HEAD")


def app_page(
    scope: str | None = None, *, methods: Sequence[str] = _READ, may_be_kept: bool = False
) -> Callable[[Page], Page]:
    """A page for members of a workspace, who need the right that is named to see it.

    The page is called with the request and the Principal. What it raises as an AppError becomes a
    page that says so; `request.principal` is there for templates. Browsers keep no copy of it, but
    of what `may_be_kept`: then the page itself says for how long.
    """

    def decorate(page: Page) -> Page:
        @wraps(page)
        def view(request: HttpRequest, **values: Any) -> HttpResponseBase:
            try:
                principal = principal_of(request)
                if scope is not None and scope not in principal.scopes:
                    raise NotAllowed(_("Your role in this workspace does not allow this."))
                return page(request, principal, **values)
            except AppError as error:
                return refused(request, error)

        checked = login_required(view)
        if not may_be_kept:
            checked = never_cache(checked)
        page_view: Any = require_http_methods([*methods])(checked)
        # For tests/web/test_access.py, which asks every page for what it promises here.
        page_view.scope, page_view.methods = scope, tuple(methods)
        decorated: Page = page_view
        return decorated

    return decorate


def principal_of(request: HttpRequest) -> Principal:
    """Who is there; found out once a call."""
    asked: Any = request
    if not hasattr(asked, "principal"):
        assert isinstance(request.user, User)  # noqa: S101 - see @login_required
        asked.principal = principal_here(
            user=request.user,
            session=request.session,
            ip_address=ip_address(request),
        )
    principal: Principal = asked.principal
    return principal


def refused(request: HttpRequest, error: AppError) -> HttpResponse:
    """The page of an error; of a part of a page that was asked for, only its text."""
    is_part = "HX-Request" in request.headers
    template = "app/_refused.html" if is_part else "app/refused.html"
    response = render(request, template, {"error": error}, status=error.status)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response
