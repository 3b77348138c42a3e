"""Who is asking: an API key or an access token, told apart by their form.

Both are taken from X-API-Key, from `Authorization: Bearer …` and from a bare Authorization. Clients
that send the same text twice are common; two different ones are refused, for either may be the one
that was not meant.
"""

from allauth.account.adapter import get_adapter
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.api_keys import api_key_authenticate
from accounts.models import User, Workspace
from accounts.principal import Principal
from accounts.tokens import access_token_authenticate
from config.errors import InvalidKey, NotAllowed, NotAuthenticated, TwoCredentials


class PrincipalAuthentication(BaseAuthentication):
    """`request.auth` is a Principal, or None when no credential was sent."""

    def authenticate(self, request: Request) -> tuple[User | None, Principal] | None:
        texts = _credentials(request)
        if not texts:
            return None
        if len(texts) > 1:
            raise TwoCredentials
        principal = _principal(texts.pop(), ip_address=ip_address(request))
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


def _principal(text: str, *, ip_address: str) -> Principal:
    # No key has a dot; a token has two.
    if text.count(".") == 2:
        return access_token_authenticate(text, ip_address=ip_address)
    return Principal.of_key(api_key_authenticate(text), ip_address=ip_address)


def _credentials(request: Request) -> set[str]:
    """The different texts that were sent; headers without any text do not count."""
    texts = set()
    if key := request.headers.get("X-API-Key", "").strip():
        texts.add(key)
    if words := request.headers.get("Authorization", "").split():
        if words[0].lower() == "bearer":
            del words[0]
        # "Basic …" and the like, or a scheme alone.
        if len(words) != 1:
            raise InvalidKey
        texts.add(words[0])
    return texts
