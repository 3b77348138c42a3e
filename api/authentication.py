"""Who is asking. Keys are taken as X-API-Key, as a bearer token and as a bare Authorization."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.models import ApiKey, Workspace
from accounts.services import api_key_authenticate
from config.errors import NotAuthenticated


class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        text = _key_text(request)
        if text is None:
            return None
        return None, api_key_authenticate(text)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def api_key_of(request: Request) -> ApiKey:
    if not isinstance(request.auth, ApiKey):
        raise NotAuthenticated
    return request.auth


def workspace_of(request: Request) -> Workspace:
    return api_key_of(request).workspace


def _key_text(request: Request) -> str | None:
    if key := request.headers.get("X-API-Key"):
        return key.strip()
    scheme, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    return scheme or None
