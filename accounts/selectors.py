from django.db.models import QuerySet

from accounts.models import Invitation, Membership, User, Workspace
from accounts.open_invitations import open_invitations


def memberships_list(*, user: User) -> QuerySet[Membership]:
    """The workspaces of a person, and the role in each."""
    return Membership.objects.filter(user=user).select_related("workspace")


def members_list(*, workspace: Workspace) -> QuerySet[Membership]:
    return workspace.memberships.select_related("user")


def invitations_list(*, workspace: Workspace) -> QuerySet[Invitation]:
    """Those that were neither accepted nor revoked; some may have expired."""
    return open_invitations(workspace)
