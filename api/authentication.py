"""Who is asking. Credentials come as X-API-Key, as a bearer token or as a bare Authorization."""

from allauth.account.adapter import get_adapter
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.models import User, Workspace
from accounts.principal import Principal
from accounts.services import api_key_authenticate
from config.errors import NotAllowed, NotAuthenticated


class PrincipalAuthentication(BaseAuthentication):
    """`request.auth` is a Principal, or None when no credential was sent."""

    def authenticate(self, request: Request) -> tuple[User | None, Principal] | None:
        text = _credential(request)
        if text is None:
            return None
        principal = Principal.of_key(api_key_authenticate(text), ip_address=ip_address(request))
        return principal.user, principal

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def principal_of(request: Request) -> Principal:
    if not isinstance(request.auth, Principal):
        raise NotAuthenticated
    return request.auth


def workspace_of(request: Request) -> Workspace:
    return principal_of(request).workspace


def person_of(request: Request) -> User:
    user = principal_of(request).user
    if user is None:
        raise NotAllowed("This needs a person who signed in; a key cannot do it.")
    return user


def ip_address(request: Request) -> str:
    """The caller's address, as far as the configured proxies can be trusted."""
    return str(get_adapter().get_client_ip(request))


def _credential(request: Request) -> str | None:
    if key := request.headers.get("X-API-Key"):
        return key.strip()
    scheme, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    return scheme or None
