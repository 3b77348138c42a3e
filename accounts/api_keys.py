"""API keys: making, rolling, revoking, and letting them in.

Each change locks the workspace's row first, so that changes of one lineage come one after the
other, and checks the actor's rights under that lock: a demotion counts from the moment it is made.
"""

import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict, Unpack
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Least, Now
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor, audit_record
from accounts.keys import key_make, key_parse, secret_hash
from accounts.models import ApiKey, Membership, Role, User, Workspace
from accounts.ready_made import ReadyMade
from accounts.scopes import KEY_SCOPES, KEYS_WRITE, ROLE_SCOPES, key_scopes
from accounts.workspaces import rights_require, workspace_lock
from config.errors import (
    InvalidKey,
    KeyExpired,
    KeyRevoked,
    NotAllowed,
    NotFound,
    ValidationFailed,
    WrongState,
    filled,
)

GRACE_AT_MOST: Final = timedelta(days=7)
# Writing `last_used_at` on every request would make each read a write.
_LAST_USED_PRECISION = timedelta(minutes=1)

_OF_WORKSPACE = ("id", "uuid", "name", "created_at")
_FIND = ReadyMade(
    ApiKey,
    """
SELECT {columns}, statement_timestamp(), w.id, w.uuid, w.name, w.created_at
  FROM accounts_apikey JOIN accounts_workspace w ON w.id = workspace_id
  WHERE key_id = %s
""",
)


class ApiKeyChanges(TypedDict, total=False):
    name: str
    # Narrower ones only.
    scopes: list[str]
    monthly_cap_mcr: int | None
    rate_limit_per_minute: int | None


def api_key_create(
    *,
    workspace: Workspace,
    name: str,
    actor: Actor,
    scopes: Iterable[str] = ("*",),
    expires_at: datetime | None = None,
    monthly_cap_mcr: int | None = None,
    rate_limit_per_minute: int | None = None,
    created_by: User | None = None,
) -> tuple[ApiKey, str]:
    """Make a key. The text is returned here and can never be had again."""
    asked = _known_scopes(scopes)
    with transaction.atomic():
        if created_by is not None:
            _require_right_to_give(asked, giver=created_by, workspace=workspace)
        row, text = _insert(
            workspace=workspace,
            name=name,
            scopes=asked,
            expires_at=expires_at,
            monthly_cap_mcr=monthly_cap_mcr,
            rate_limit_per_minute=rate_limit_per_minute,
            created_by=created_by,
        )
        # By the database's clock, hence after the insertion.
        if expires_at is not None and not _usable(ApiKey.objects.filter(pk=row.pk)).exists():
            raise ValidationFailed(fields={"expires_at": [_("This must be in the future.")]})
        _record("key.created", row, actor=actor, data={"name": name, "scopes": asked})
    return row, text


def api_key_list(*, workspace: Workspace) -> QuerySet[ApiKey]:
    """All keys, newest first; those that no longer open anything, too."""
    return ApiKey.objects.annotate(now=Now()).filter(workspace=workspace).order_by("-pk")


def api_key_get_for_workspace(*, workspace: Workspace, key_uuid: UUID) -> ApiKey:
    row = api_key_list(workspace=workspace).filter(uuid=key_uuid).first()
    if row is None:
        raise NotFound
    return row


def api_key_state(key: ApiKey) -> str:
    """`active`, `expired` or `revoked`, for a key that `api_key_list` gave."""
    if key.revoked_at is not None:
        return "revoked"
    ends = [end for end in (key.expires_at, key.grace_until) if end is not None]
    # `now` is the database's (api_key_list).
    is_over = bool(ends) and min(ends) <= key.now  # type: ignore[attr-defined]
    return "expired" if is_over else "active"


def api_key_update(
    *, workspace: Workspace, key_uuid: UUID, actor: Actor, **changes: Unpack[ApiKeyChanges]
) -> ApiKey:
    """Cap, limit and scopes change for all keys of the lineage that work.

    Else one that was rolled would be a way around them until its grace is over.
    """
    with transaction.atomic():
        row = _lock_usable(workspace=workspace, key_uuid=key_uuid, actor=actor)
        if "scopes" in changes:
            changes["scopes"] = _known_scopes(changes["scopes"])
            if not key_scopes(changes["scopes"]) <= key_scopes(row.scopes):
                problem = _("A key can only be narrowed; make another for more.")
                raise ValidationFailed(fields={"scopes": [problem]})
        _change(row, changes, actor=actor)
        changes.pop("name", None)
        for relative in _usable(ApiKey.objects.filter(lineage=row.lineage)).exclude(pk=row.pk):
            _change(relative, changes, actor=actor)
    return api_key_get_for_workspace(workspace=workspace, key_uuid=key_uuid)


def api_key_roll(
    *, workspace: Workspace, key_uuid: UUID, grace: timedelta, actor: Actor
) -> tuple[ApiKey, str]:
    """Replace the secret. The old key opens the same until the grace is over, then nothing."""
    if not timedelta(0) <= grace <= GRACE_AT_MOST:
        most = int(GRACE_AT_MOST.total_seconds())
        raise ValidationFailed(
            fields={"grace_seconds": [filled(_("This must be from 0 to %(most)s."), most=most)]}
        )
    with transaction.atomic():
        old = _lock_usable(workspace=workspace, key_uuid=key_uuid, actor=actor)
        if _has_successor(old):
            raise WrongState(_("This key was rolled before; roll the one that replaced it."))
        row, text = _insert(
            workspace=workspace,
            name=old.name,
            scopes=old.scopes,
            expires_at=old.expires_at,
            monthly_cap_mcr=old.monthly_cap_mcr,
            rate_limit_per_minute=old.rate_limit_per_minute,
            created_by=old.created_by,
            lineage=old.lineage,
        )
        # LEAST ignores NULL. A key that is rolled again has no more time for that.
        ends_at = Least(F("grace_until"), Now() + grace)
        ApiKey.objects.filter(pk=old.pk).update(grace_until=ends_at)
        data = {"successor": str(row.uuid), "grace_s": int(grace.total_seconds())}
        _record("key.rolled", old, actor=actor, data=data)
    return row, text


def api_key_revoke(*, workspace: Workspace, key_uuid: UUID, actor: Actor) -> None:
    """Refuse a key from now on; a second time is as good as the first."""
    with transaction.atomic():
        _lock(workspace, actor)
        row = api_key_get_for_workspace(workspace=workspace, key_uuid=key_uuid)
        if ApiKey.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=Now()):
            _record("key.revoked", row, actor=actor, data={"name": row.name})


def api_key_authenticate(text: str, *, ip_address: str | None = None) -> ApiKey:
    key = key_parse(text)
    if key is None:
        raise InvalidKey
    row, now = _find(key.key_id)
    expected = bytes(row.secret_hash) if row else b""
    found = secret_hash(key.secret, pepper=settings.API_KEY_PEPPER)
    if row is None or now is None or not hmac.compare_digest(expected, found):
        raise InvalidKey
    # Only who has the secret learns what became of the key.
    if row.revoked_at is not None:
        raise KeyRevoked
    if any(end is not None and end <= now for end in (row.expires_at, row.grace_until)):
        raise KeyExpired
    if row.last_used_at is None or now - row.last_used_at > _LAST_USED_PRECISION:
        ApiKey.objects.filter(pk=row.pk).update(last_used_at=Now(), last_used_ip=ip_address)
    return row


def _find(key_id: str) -> tuple[ApiKey | None, datetime | None]:
    """The key with its workspace, and the time."""
    for row, (now, *values) in _FIND.rows(key_id):
        row.workspace = Workspace.from_db(row._state.db, _OF_WORKSPACE, values)
        return row, now
    return None, None


def _insert(**values: Any) -> tuple[ApiKey, str]:
    key = key_make()
    digest = secret_hash(key.secret, pepper=settings.API_KEY_PEPPER)
    text = str(key)
    row = ApiKey.objects.create(
        key_id=key.key_id, secret_hash=digest, last_four=text[-4:], **values
    )
    return row, text


def _known_scopes(scopes: Iterable[str]) -> list[str]:
    asked = sorted(set(scopes))
    if not asked:
        raise ValidationFailed(fields={"scopes": [_("Name at least one.")]})
    unknown = set(asked) - KEY_SCOPES - {"*"}
    if unknown:
        known = ", ".join(sorted(KEY_SCOPES))
        problems = [
            filled(_("A key cannot have %(scope)s."), scope=name) for name in sorted(unknown)
        ]
        offer = filled(_("There are %(scopes)s and *."), scopes=known)
        raise ValidationFailed(fields={"scopes": [*problems, offer]})
    return ["*"] if "*" in asked else asked


def _require_right_to_give(scopes: list[str], *, giver: User, workspace: Workspace) -> None:
    # Locked: a demotion at this moment comes before the key or after it.
    membership = (
        Membership.objects.select_for_update().filter(user=giver, workspace=workspace).first()
    )
    own = ROLE_SCOPES[Role(membership.role)] if membership else frozenset()
    missing = ({KEYS_WRITE} | key_scopes(scopes)) - own
    if missing:
        raise NotAllowed(
            _("Nobody can give a key rights that they lack themselves."),
            data={"scopes": sorted(missing)},
        )


def _usable(keys: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
    return (
        keys.filter(revoked_at=None).exclude(expires_at__lte=Now()).exclude(grace_until__lte=Now())
    )


def _lock(workspace: Workspace, actor: Actor) -> None:
    rights_require(workspace=workspace_lock(workspace), actor=actor, scope=KEYS_WRITE)


def _lock_usable(*, workspace: Workspace, key_uuid: UUID, actor: Actor) -> ApiKey:
    _lock(workspace, actor)
    row = api_key_get_for_workspace(workspace=workspace, key_uuid=key_uuid)
    if not _usable(ApiKey.objects.filter(pk=row.pk)).exists():
        raise WrongState(_("This key was revoked or has expired."))
    return row


def _change(row: ApiKey, changes: ApiKeyChanges, *, actor: Actor) -> None:
    news = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if news:
        before = {name: getattr(row, name) for name in news}
        ApiKey.objects.filter(pk=row.pk).update(**news)
        _record("key.updated", row, actor=actor, data={"before": before, "after": news})


def _has_successor(key: ApiKey) -> bool:
    # One that was revoked does not count: it may be the very secret that leaked.
    return ApiKey.objects.filter(lineage=key.lineage, pk__gt=key.pk, revoked_at=None).exists()


def _record(action: str, key: ApiKey, *, actor: Actor, data: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=action,
        workspace=key.workspace,
        target_kind="key",
        target_uuid=key.uuid,
        data=data,
    )
