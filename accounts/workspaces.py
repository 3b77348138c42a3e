"""Workspaces and the people in them: who belongs, with which role, and who owns.

Each change locks the workspace's row first, so that changes of one workspace come one after the
other, and checks the actor's rights under that lock: a demotion counts from the moment it is made.
"""

from django.db import transaction

from accounts.audit import Actor, audit_record
from accounts.models import Membership, Role, User, Workspace


def workspace_create(*, name: str, actor: Actor, owner: User | None = None) -> Workspace:
    """Make a workspace; one without an owner is reached by keys only."""
    with transaction.atomic():
        workspace = Workspace.objects.create(name=name)
        if owner is not None:
            Membership.objects.create(workspace=workspace, user=owner, role=Role.OWNER)
        audit_record(
            actor=actor,
            action="workspace.created",
            workspace=workspace,
            target_kind="workspace",
            target_uuid=workspace.uuid,
            data={"name": name, "owner": str(owner.uuid) if owner else None},
        )
    return workspace
