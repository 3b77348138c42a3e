"""Operators who look at the app as a member sees it: announced, written down, unable to change.

A key in the operator's own session, so that nobody is ever signed in as somebody else: the person
whose request it is stays the operator, for every log and every check. Whoever asks who is there
(accounts/here.py) gets the member, with the rights that read and no others.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor, audit_record
from accounts.models import Membership, User, Workspace
from config.errors import NotAllowed, NotFound, ValidationFailed, filled

# Of the session.
SESSION_KEY: Final = "impersonation"
_MAX_REASON = 200


@dataclass(frozen=True)
class Impersonation:
    """Whom an operator looks on as, and until when."""

    membership: Membership
    until: datetime
    reason: str


def impersonation_start(
    *,
    operator: User,
    session: MutableMapping[str, Any],
    workspace: Workspace,
    member_uuid: UUID,
    reason: str,
    actor: Actor,
) -> Impersonation:
    reason = reason.strip()
    if not reason or len(reason) > _MAX_REASON or "\x00" in reason:
        raise ValidationFailed(
            filled(_("Say why, in at most %(most)s characters."), most=_MAX_REASON)
        )
    membership = _membership(str(workspace.uuid), str(member_uuid))
    if membership is None:
        raise NotFound(_("There is no such member."))
    if membership.user.is_staff:
        # Nobody borrows the eyes of somebody with more rights, or hides behind a colleague.
        raise NotAllowed(_("Operators cannot look on as one another."))
    until = timezone.now() + timedelta(minutes=settings.IMPERSONATION_MINUTES)
    with transaction.atomic():
        _record(actor, "impersonation.started", membership, reason=reason)
    session[SESSION_KEY] = {
        "workspace": str(workspace.uuid),
        "user": str(member_uuid),
        "until": until.timestamp(),
        "reason": reason,
    }
    return Impersonation(membership, until, reason)


def impersonation_of(*, user: User, session: MutableMapping[str, Any]) -> Impersonation | None:
    """As whom this operator looks on now; None for everybody else."""
    kept = session.get(SESSION_KEY)
    if kept is None or not user.is_staff:
        return None
    until = datetime.fromtimestamp(kept["until"], tz=UTC)
    if until <= timezone.now():
        return None
    membership = _membership(kept["workspace"], kept["user"])
    return Impersonation(membership, until, kept["reason"]) if membership else None


def impersonation_end(*, session: MutableMapping[str, Any], actor: Actor, cause: str) -> None:
    """Once it is over, by the operator's wish or because its time is."""
    kept = session.pop(SESSION_KEY, None)
    if kept is None:
        return
    membership = _membership(kept["workspace"], kept["user"])
    if membership is not None:
        _record(actor, "impersonation.ended", membership, cause=cause)


def impersonation_page_record(*, watched: Impersonation, actor: Actor, path: str) -> None:
    _record(actor, "impersonation.page_seen", watched.membership, path=path[:500])


def impersonation_refusal_record(
    *, watched: Impersonation, actor: Actor, method: str, path: str
) -> None:
    _record(actor, "impersonation.refused", watched.membership, method=method[:10], path=path[:500])


def _membership(workspace_uuid: str, user_uuid: str) -> Membership | None:
    return (
        Membership.objects.filter(workspace__uuid=workspace_uuid, user__uuid=user_uuid)
        .select_related("workspace", "user")
        .first()
    )


def _record(actor: Actor, action: str, membership: Membership, **data: Any) -> None:
    audit_record(
        actor=actor,
        action=action,
        workspace=membership.workspace,
        target_kind="member",
        target_uuid=membership.user.uuid,
        data={"email": membership.user.email, **data},
    )
