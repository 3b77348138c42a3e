from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts.models import User
from accounts.selectors import memberships_list
from billing.selectors import wallet_get
from web.navigation import sections_of

THEMES = ("light", "dark")


def mail(request: HttpRequest) -> dict[str, bool]:
    """Whether mail goes to the log, which the pages that promise one then say."""
    return {"mail_is_logged": settings.EMAIL_BACKEND.endswith(".console.EmailBackend")}


def frame(request: HttpRequest) -> dict[str, Any]:
    """What the frame around a page shows. Of a page outside of the app, only the theme."""
    theme = request.COOKIES.get("theme", "")
    values: dict[str, Any] = {
        "theme": theme if theme in THEMES else "",
        "legal": settings.LEGAL_LINKS,
    }
    principal = getattr(request, "principal", None)
    if principal is not None and isinstance(principal.user, User):
        values["sections"] = sections_of(principal, request.path)
        values["memberships"] = list(memberships_list(user=principal.user).order_by("pk"))
        if "credits:read" in principal.scopes:
            values["available_mcr"] = wallet_get(workspace=principal.workspace).available_mcr
    return values
