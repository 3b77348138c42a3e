"""In which workspace a person who signed in on the pages is at the moment."""

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor
from accounts.impersonation import impersonation_of
from accounts.models import Membership, Role, User
from accounts.principal import Principal
from accounts.selectors import memberships_list
from accounts.workspaces import workspace_default_for
from config.errors import NotFound

# Of the session.
_WORKSPACE: Final = "workspace"


def principal_here(
    *, user: User, session: MutableMapping[str, Any], ip_address: str | None
) -> Principal:
    """The person in the workspace of the session; in their first one until they chose another.

    An operator who looks on is the member whom they watch, and may only read."""
    watched = impersonation_of(user=user, session=session)
    if watched is not None:
        member = watched.membership.user
        principal = Principal.of_onlooker(
            user,
            user=member,
            workspace=watched.membership.workspace,
            role=Role(watched.membership.role),
            ip_address=ip_address,
        )
        return replace(principal, memberships=_memberships(member))
    memberships = _memberships(user)
    if not memberships:
        # A person who left all of theirs has one again.
        actor = Actor.of_user(user, ip_address=ip_address)
        workspace_default_for(user=user, actor=actor)
        memberships = _memberships(user)
    chosen = session.get(_WORKSPACE)
    entered = [one for one in memberships if str(one.workspace.uuid) == chosen]
    membership = (entered or memberships)[0]
    principal = Principal.of_member(
        user,
        workspace=membership.workspace,
        role=Role(membership.role),
        ip_address=ip_address,
    )
    return replace(principal, memberships=memberships)


def workspace_enter(*, user: User, session: MutableMapping[str, Any], workspace_uuid: str) -> None:
    """What the person sees and does from now on is of this workspace."""
    for membership in memberships_list(user=user):
        if str(membership.workspace.uuid) == workspace_uuid:
            session[_WORKSPACE] = workspace_uuid
            return
    raise NotFound(_("You are not a member of this workspace."))


def _memberships(user: User) -> tuple[Membership, ...]:
    return tuple(memberships_list(user=user).order_by("pk"))
