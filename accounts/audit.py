"""The audit trail: everything that matters to security or money, by whom, from where."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db.models import QuerySet

from accounts.models import ApiKey, AuditEvent, User, Workspace


@dataclass(frozen=True)
class Actor:
    """Who does something, as the audit trail names them."""

    kind: str
    label: str
    uuid: UUID | None = None
    ip_address: str | None = None

    @classmethod
    def of_user(cls, user: User, *, ip_address: str | None = None) -> "Actor":
        return cls("user", user.email, user.uuid, ip_address)

    @classmethod
    def of_operator(cls, user: User, *, ip_address: str | None = None) -> "Actor":
        """A person who acts from the console, for the service and not as a member."""
        return cls("operator", user.email, user.uuid, ip_address)

    @classmethod
    def of_onlooker(cls, user: User, *, ip_address: str | None = None) -> "Actor":
        """An operator who looks on as a member: of no right to change anything."""
        return cls("onlooker", user.email, user.uuid, ip_address)

    @classmethod
    def of_key(cls, key: ApiKey, *, ip_address: str | None = None) -> "Actor":
        return cls("key", str(key), key.uuid, ip_address)


# On the machine itself: management commands.
OPERATOR = Actor("operator", "operator")
# The service of its own accord: schedules, Stripe's events.
SYSTEM = Actor("system", "system")
# Nobody signed in.
ANONYMOUS = Actor("anonymous", "anonymous")


def audit_record(
    *,
    actor: Actor,
    action: str,
    workspace: Workspace | None = None,
    target_kind: str = "",
    target_uuid: UUID | None = None,
    data: dict[str, Any] | None = None,
) -> AuditEvent:
    """Write down one fact, in the transaction that makes it one. No secrets in `data`."""
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    return AuditEvent.objects.create(
        workspace_uuid=workspace.uuid if workspace else None,
        actor_kind=actor.kind,
        actor_uuid=actor.uuid,
        actor_label=actor.label[:255],
        action=action,
        target_kind=target_kind,
        target_uuid=target_uuid,
        data=data or {},
        ip_address=actor.ip_address,
        request_id=str(request_id)[:64],
    )


def audit_list(
    *,
    workspace: Workspace,
    action: str | None = None,
    actor: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AuditEvent]:
    """What happened in a workspace, newest first."""
    given = {
        "action": action,
        "actor_uuid": actor,
        "created_at__gte": since,
        "created_at__lt": until,
    }
    conditions = {name: value for name, value in given.items() if value is not None}
    return AuditEvent.objects.filter(workspace_uuid=workspace.uuid, **conditions).order_by("-pk")
