"""Scripts of our own pages call the native API too: as the person who signed in there."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from accounts.callers import ip_address
from accounts.here import principal_here
from accounts.models import User
from accounts.principal import Principal
from config.errors import NotAllowed, filled


class PageAuthentication(BaseAuthentication):
    """The session, in the workspace that its pages show.

    Only of calls that say so by the header X-CSRFToken, which no page of another origin can send:
    everybody else stays whom their key or token says.
    """

    def authenticate(self, request: Request) -> tuple[User, Principal] | None:
        asked: Any = request._request
        if "X-CSRFToken" not in request.headers:
            return None
        user = getattr(asked, "user", None)
        if not isinstance(user, User):
            return None
        check = CSRFCheck(lambda _request: None)  # type: ignore[arg-type]
        check.process_request(asked)
        if reason := check.process_view(asked, None, (), {}):  # type: ignore[arg-type]
            raise NotAllowed(
                filled(
                    _("The page is too old for this call; reload it. (%(reason)s)"),
                    reason=reason,
                )
            )
        principal = principal_here(user=user, session=asked.session, ip_address=ip_address(request))
        if principal.operator is not None and request.method not in SAFE_METHODS:
            raise NotAllowed(_("You are looking on as a member: nothing can be changed."))
        return user, principal
