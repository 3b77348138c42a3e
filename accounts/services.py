import hmac
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from accounts.keys import key_make, key_parse, secret_hash
from accounts.models import ApiKey, Workspace
from config.errors import InvalidKey, NotFound

# Writing `last_used_at` on every request would make each read a write.
_LAST_USED_PRECISION = timedelta(minutes=1)


def api_key_create(
    *, workspace: Workspace, name: str, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make a key. The text is returned here and can never be had again."""
    key = key_make()
    row = ApiKey.objects.create(
        workspace=workspace,
        name=name,
        key_id=key.key_id,
        secret_hash=secret_hash(key.secret, pepper=settings.API_KEY_PEPPER),
        expires_at=expires_at,
    )
    return row, str(key)


def api_key_revoke(*, workspace: Workspace, key_uuid: str) -> None:
    keys = ApiKey.objects.filter(workspace=workspace, uuid=key_uuid)
    if not keys.exists():
        raise NotFound
    keys.filter(revoked_at=None).update(revoked_at=Now())


def api_key_authenticate(text: str) -> ApiKey:
    key = key_parse(text)
    if key is None:
        raise InvalidKey
    row = (
        ApiKey.objects.select_related("workspace")
        .annotate(now=Now())
        .filter(key_id=key.key_id)
        .filter(revoked_at=None)
        .filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
        .first()
    )
    expected = bytes(row.secret_hash) if row else b""
    found = secret_hash(key.secret, pepper=settings.API_KEY_PEPPER)
    if row is None or not hmac.compare_digest(expected, found):
        raise InvalidKey
    if row.last_used_at is None or row.now - row.last_used_at > _LAST_USED_PRECISION:
        ApiKey.objects.filter(pk=row.pk).update(last_used_at=Now())
    return row
