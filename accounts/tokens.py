"""Signing in through the API: access tokens (JWT) of minutes, refresh tokens that are good once.

A sign-in is a family of refresh tokens, each replacing the last. Whoever uses one a second time has
stolen it, or was robbed of it: the whole sign-in ends. Access tokens are checked against the
database on every call, so that whatever ends a sign-in or changes a role works at once.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import jwt
from django.conf import settings
from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor, audit_record
from accounts.models import Membership, RefreshToken, Role, SignIn, User, Workspace
from accounts.principal import Principal
from config.errors import (
    InvalidCredentials,
    InvalidToken,
    NotFound,
    NotMember,
    TokenExpired,
    TokenReused,
    TokenRevoked,
)

REFRESH_PREFIX: Final = "rt_"
_ISSUER = "stemwright"
_AUDIENCE = "stemwright-api"
# Pinned: what a token says of itself must not choose how it is checked.
_ALGORITHM = "HS256"
_CLAIMS = ["iss", "aud", "sub", "wsp", "sid", "jti", "iat", "exp"]
_ACCESS_AT_MOST_S = 15 * 60
# Ours have about 500 characters.
_LONGEST = 2000


@dataclass(frozen=True)
class Tokens:
    """What a person's program gets. Neither text can be had again."""

    access_token: str
    refresh_token: str
    expires_in: int
    workspace: Workspace
    user: User


def sign_in_create(*, user: User, workspace: Workspace, user_agent: str, ip: str | None) -> Tokens:
    with transaction.atomic():
        _require_unchanged(user)
        _require_member(user=user, workspace=workspace)
        sign_in = SignIn.objects.create(
            user=user,
            workspace=workspace,
            user_agent=user_agent[:200],
            ip_address=ip,
            expires_at=Now() + timedelta(days=settings.REFRESH_TOKEN_DAYS),
        )
        audit_record(
            actor=Actor.of_user(user, ip_address=ip),
            action="sign_in.created",
            workspace=workspace,
            target_kind="sign_in",
            target_uuid=sign_in.uuid,
        )
        return _tokens_for(sign_in)


def sign_in_refresh(
    *, refresh_token: str, workspace_uuid: UUID | None = None, ip: str | None
) -> Tokens:
    """Trade a refresh token for the next, perhaps for another workspace.

    Durable, for the end of a stolen sign-in must last although the call fails.
    """
    with transaction.atomic(durable=True):
        row = _refresh_token_find(refresh_token)
        if row is None:
            raise InvalidToken(_("This refresh token is not valid."))
        if RefreshToken.objects.filter(pk=row.pk, used_at=None).update(used_at=Now()):
            return _refreshed(row.sign_in, workspace_uuid=workspace_uuid, ip=ip)
        was_open = _end(SignIn.objects.filter(pk=row.sign_in_id))
        if was_open:
            # The thief or the robbed: nobody knows.
            actor = Actor("anonymous", "anonymous", ip_address=ip)
            _record(row.sign_in, action="token.reuse_detected", actor=actor)
    raise TokenReused if was_open else TokenRevoked


def sign_in_revoke(*, user: User, sign_in_uuid: UUID, ip: str | None = None) -> None:
    sign_in = SignIn.objects.filter(user=user, uuid=sign_in_uuid).first()
    if sign_in is None:
        raise NotFound
    with transaction.atomic():
        if _end(SignIn.objects.filter(pk=sign_in.pk)):
            actor = Actor.of_user(user, ip_address=ip)
            _record(sign_in, action="sign_in.revoked", actor=actor)


def sign_in_revoke_by_token(*, refresh_token: str, ip: str | None = None) -> None:
    """Quiet about tokens that are not ours or were used (RFC 7009): the caller wants it gone."""
    row = _refresh_token_find(refresh_token)
    if row is not None:
        sign_in_revoke(user=row.sign_in.user, sign_in_uuid=row.sign_in.uuid, ip=ip)


def sign_ins_revoke(*, user: User, except_uuid: UUID | None = None, ip: str | None = None) -> int:
    """End all sign-ins of a person, such as after a change of password."""
    with transaction.atomic():
        # In one order, and locked, so that two of these do not stand in each other's way.
        kept = Q(uuid=except_uuid) if except_uuid else Q()
        rows = list(
            sign_ins_list(user=user).exclude(kept).order_by("pk").select_for_update(of=("self",))
        )
        _end(SignIn.objects.filter(pk__in=[row.pk for row in rows]))
        actor = Actor.of_user(user, ip_address=ip)
        for row in rows:
            _record(row, action="sign_in.revoked", actor=actor)
    return len(rows)


def sign_ins_list(*, user: User) -> QuerySet[SignIn]:
    """Those that can still be used."""
    return (
        SignIn.objects.select_related("user", "workspace")
        .filter(user=user, revoked_at=None)
        .filter(expires_at__gt=Now())
    )


def sign_ins_clean() -> int:
    """Forget sign-ins, and with them their tokens, a while after they could last be used."""
    return SignIn.objects.filter(expires_at__lt=Now() - timedelta(days=7)).delete()[0]


def access_token_authenticate(text: str, *, ip_address: str | None = None) -> Principal:
    claims = _decode(text)
    # One query answers it all: signed in still, active, and with which role now.
    role = Membership.objects.filter(user=OuterRef("user"), workspace=OuterRef("workspace")).values(
        "role"
    )
    sign_in = (
        SignIn.objects.select_related("user", "workspace")
        .annotate(role=Subquery(role))
        .filter(uuid=claims.sign_in_uuid, user__uuid=claims.user_uuid, user__is_active=True)
        .filter(revoked_at=None, expires_at__gt=Now())
        # A sign-in is for one workspace at a time: changing it ends the tokens for the former.
        .filter(workspace__uuid=claims.workspace_uuid)
        .first()
    )
    if sign_in is None:
        raise TokenRevoked
    if sign_in.role is None:
        raise NotMember
    return Principal.of_member(
        sign_in.user,
        workspace=sign_in.workspace,
        role=Role(sign_in.role),
        sign_in=sign_in,
        ip_address=ip_address,
    )


@dataclass(frozen=True)
class _Claims:
    user_uuid: UUID
    workspace_uuid: UUID
    sign_in_uuid: UUID


def _secrets_by_id() -> dict[str, str]:
    """Newest first. The id says nothing of a secret but which one it is."""
    return {
        hashlib.sha256(b"kid:" + secret.encode()).hexdigest()[:12]: secret
        for secret in settings.JWT_SECRETS
    }


def _encode(sign_in: SignIn) -> tuple[str, int]:
    lifetime_s = min(settings.ACCESS_TOKEN_SECONDS, _ACCESS_AT_MOST_S)
    now_s = int(time.time())
    claims = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "sub": str(sign_in.user.uuid),
        "wsp": str(sign_in.workspace.uuid),
        "sid": str(sign_in.uuid),
        "jti": str(uuid4()),
        "iat": now_s,
        "exp": now_s + lifetime_s,
    }
    kid, secret = next(iter(_secrets_by_id().items()))
    return jwt.encode(claims, secret, algorithm=_ALGORITHM, headers={"kid": kid}), lifetime_s


def _decode(text: str) -> _Claims:
    if len(text) > _LONGEST:
        raise InvalidToken
    try:
        kid = jwt.get_unverified_header(text).get("kid")
        secret = _secrets_by_id().get(str(kid))
        if secret is None:
            raise InvalidToken
        claims = jwt.decode(
            text,
            secret,
            algorithms=[_ALGORITHM],
            issuer=_ISSUER,
            audience=_AUDIENCE,
            # A server whose clock is a second behind must not refuse what another has just made.
            options={"require": _CLAIMS, "verify_iat": False},
        )
        return _Claims(*(UUID(str(claims[name])) for name in ("sub", "wsp", "sid")))
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken from None


def _tokens_for(sign_in: SignIn) -> Tokens:
    refresh_token = REFRESH_PREFIX + secrets.token_urlsafe(32)
    RefreshToken.objects.create(sign_in=sign_in, token_hash=_hash(refresh_token))
    access_token, lifetime_s = _encode(sign_in)
    return Tokens(access_token, refresh_token, lifetime_s, sign_in.workspace, sign_in.user)


def _hash(refresh_token: str) -> bytes:
    # 256 random bits need no slow hash.
    return hashlib.sha256(refresh_token.encode()).digest()


def _refresh_token_find(text: str) -> RefreshToken | None:
    return (
        RefreshToken.objects.select_related("sign_in__user", "sign_in__workspace")
        .filter(token_hash=_hash(text))
        .first()
    )


def _refreshed(sign_in: SignIn, *, workspace_uuid: UUID | None, ip: str | None) -> Tokens:
    workspace = sign_in.workspace
    if workspace_uuid is not None and workspace_uuid != workspace.uuid:
        # A workspace that is not there and one of strangers look the same.
        found = Workspace.objects.filter(uuid=workspace_uuid).first()
        if found is None:
            raise NotMember
        workspace = found
    _require_member(user=sign_in.user, workspace=workspace)
    still_open = SignIn.objects.filter(
        pk=sign_in.pk, revoked_at=None, expires_at__gt=Now(), user__is_active=True
    )
    # Raising undoes the use of the token; a sign-in that has ended has no use for it anyway.
    if not still_open.update(last_used_at=Now(), workspace=workspace):
        raise TokenRevoked
    if workspace != sign_in.workspace:
        # Recorded where it comes to: those people see it for the first time.
        sign_in.workspace = workspace
        actor = Actor.of_user(sign_in.user, ip_address=ip)
        _record(sign_in, action="sign_in.workspace_changed", actor=actor)
    return _tokens_for(sign_in)


def _require_unchanged(user: User) -> None:
    """A password that is changed at this moment ends this sign-in too: after it, or before."""
    same = User.objects.select_for_update().filter(pk=user.pk, password=user.password)
    if not same.filter(is_active=True).exists():
        raise InvalidCredentials


def _require_member(*, user: User, workspace: Workspace) -> None:
    if not Membership.objects.filter(user=user, workspace=workspace).exists():
        raise NotMember


def _end(sign_ins: QuerySet[SignIn]) -> int:
    return sign_ins.filter(revoked_at=None).update(revoked_at=Now())


def _record(sign_in: SignIn, *, action: str, actor: Actor) -> None:
    audit_record(
        actor=actor,
        action=action,
        workspace=sign_in.workspace,
        target_kind="sign_in",
        target_uuid=sign_in.uuid,
        data={"user": str(sign_in.user.uuid)},
    )
