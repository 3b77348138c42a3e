"""Who is asking: an API key or an access token, told apart by their form.

Both are taken from X-API-Key, from `Authorization: Bearer …` and from a bare Authorization. Clients
that send the same text twice are common; two different ones are refused, for either may be the one
that was not meant.

Failures are counted by address. Above the limit they are answered with 429 instead of 401; what is
valid still passes, for many people may share an address with one broken program. Nothing is lost by
that: a key or a token cannot be found by trying, and checking one costs no more than the count.
"""

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.api_keys import api_key_authenticate
from accounts.callers import ip_address
from accounts.models import ApiKey, User, Workspace
from accounts.principal import Principal
from accounts.rate_limits import address_subject, rate_count
from accounts.tokens import access_token_authenticate
from config.errors import (
    AppError,
    InvalidAuthorization,
    NotAllowed,
    NotAuthenticated,
    TooManyAttempts,
    TwoCredentials,
)


class PrincipalAuthentication(BaseAuthentication):
    """`request.auth` is a Principal, or None when no credential was sent."""

    def authenticate(self, request: Request) -> tuple[User | None, Principal] | None:
        try:
            principal = _principal(request)
        except NotAuthenticated:
            _count_failure(request)
            raise
        return (principal.user, principal) if principal else None

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


def is_still_allowed(request: Request, *, scope: str) -> bool:
    """Whether the request would be let in now, long after it was."""
    try:
        principal = _principal(request)
    except AppError:
        return False
    return principal is not None and scope in principal.scopes


def rate_subject(request: Request) -> str:
    """Whose calls are counted together: those of a key, of a person, or of an address."""
    match request.auth:
        case Principal(api_key=ApiKey() as key):
            return f"key:{key.uuid}"
        case Principal(user=User() as user):
            return f"user:{user.uuid}"
    return address_subject(ip_address(request))


def default_rate_limit(request: Request) -> int:
    own = own_rate_limit(request)
    return int(settings.RATE_LIMIT_PER_MINUTE) if own is None else own


def own_rate_limit(request: Request) -> int | None:
    """What was set for the key alone, in calls a minute; UNLIMITED if it has no limit."""
    match request.auth:
        case Principal(api_key=ApiKey(rate_limit_per_minute=int() as limit)):
            return limit
    return None


def _principal(request: Request) -> Principal | None:
    texts = _credentials(request)
    if not texts:
        return None
    if len(texts) > 1:
        raise TwoCredentials
    text, address = texts.pop(), ip_address(request)
    # No key has a dot; a token has two.
    if text.count(".") == 2:
        return access_token_authenticate(text, ip_address=address)
    return Principal.of_key(api_key_authenticate(text, ip_address=address), ip_address=address)


def _count_failure(request: Request) -> None:
    rate = rate_count(
        subject=address_subject(ip_address(request)),
        endpoint="failed-authentication",
        limit=settings.FAILED_AUTHENTICATIONS_PER_MINUTE,
    )
    if rate.is_exceeded:
        raise TooManyAttempts(headers={"Retry-After": str(rate.reset_s), **rate.headers})


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
            raise InvalidAuthorization
        texts.add(words[0])
    return texts
