"""Invitations that were neither accepted nor revoked, and how they end."""

from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts.audit import Actor, audit_record
from accounts.models import Invitation, Workspace


def open_invitations(workspace: Workspace) -> QuerySet[Invitation]:
    """Some may have expired."""
    return workspace.invitations.filter(accepted_at=None, revoked_at=None)


def open_invitations_end(invitations: QuerySet[Invitation], *, actor: Actor) -> int:
    """Revoke open ones. Call it under the workspace's lock."""
    rows = list(invitations.select_related("workspace").order_by("pk"))
    Invitation.objects.filter(pk__in=[row.pk for row in rows]).update(revoked_at=Now())
    for row in rows:
        invitation_record(actor, "invitation.revoked", row)
    return len(rows)


def invitation_record(actor: Actor, action: str, invitation: Invitation) -> None:
    audit_record(
        actor=actor,
        action=action,
        workspace=invitation.workspace,
        target_kind="invitation",
        target_uuid=invitation.uuid,
        data={"email": invitation.email, "role": invitation.role},
    )
