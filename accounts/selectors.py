from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from accounts.models import Invitation, Membership, User, Workspace
from accounts.open_invitations import open_invitations

_OWNER = """
SELECT u.uuid FROM accounts_membership m JOIN accounts_user u ON u.id = m.user_id
WHERE m.workspace_id = %s AND m.role = 'owner'
"""


def owner_uuid_get(*, workspace: Workspace) -> UUID | None:
    """Who owns it; nobody where only keys reach it. Made for those who ask at every call."""
    with connection.cursor() as cursor:
        cursor.execute(_OWNER, [workspace.pk])
        row = cursor.fetchone()
    return row[0] if row else None


def memberships_list(*, user: User) -> QuerySet[Membership]:
    """The workspaces of a person, and the role in each."""
    return Membership.objects.filter(user=user).select_related("workspace")


def members_list(*, workspace: Workspace) -> QuerySet[Membership]:
    return workspace.memberships.select_related("user")


def invitations_list(*, workspace: Workspace) -> QuerySet[Invitation]:
    """Those that were neither accepted nor revoked; some may have expired."""
    return open_invitations(workspace)
