import re
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts.models import User
from accounts.principal import Principal
from billing.selectors import wallet_get
from web.navigation import sections_of
from web.time_zone import chosen_zone
from web.views import principal_of

THEMES = ("light", "dark")
# allauth's pages about one's own account, by name. Not those on the way in: whoever comes for
# an invitation has no workspace yet, and must not be given one.
_OWN = re.compile(
    "account_(email|change_password|set_password|logout)|usersessions_list"
    "|mfa_(index|(activate|deactivate)_totp|(view|generate)_recovery_codes"
    "|(list|add|edit|remove)_webauthn)"
)


def mail(request: HttpRequest) -> dict[str, bool]:
    """Whether mail goes to the log, which the pages that promise one then say."""
    return {"mail_is_logged": settings.EMAIL_BACKEND.endswith(".console.EmailBackend")}


def frame(request: HttpRequest) -> dict[str, Any]:
    """What the frame around a page shows. Of a page outside of the app, only the theme."""
    theme = request.COOKIES.get("theme", "")
    values: dict[str, Any] = {
        "theme": theme if theme in THEMES else "",
        "chosen_zone": chosen_zone(request),
        "legal": settings.LEGAL_LINKS,
    }
    principal = getattr(request, "principal", None) or _principal_of_account_pages(request)
    if principal is not None and isinstance(principal.user, User):
        values["sections"] = sections_of(principal, request.path)
        values["memberships"] = principal.memberships
        if "credits:read" in principal.scopes:
            values["available_mcr"] = wallet_get(workspace=principal.workspace).available_mcr
    return values


def _principal_of_account_pages(request: HttpRequest) -> Principal | None:
    """allauth's know nothing of workspaces, and stand in the frame of the app all the same."""
    name = getattr(request.resolver_match, "url_name", None) or ""
    is_person = isinstance(getattr(request, "user", None), User)
    return principal_of(request) if is_person and _OWN.fullmatch(name) else None
