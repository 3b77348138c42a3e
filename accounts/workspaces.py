"""Workspaces and the people in them: who belongs, with which role, and who owns.

Each change locks the workspace's row first, so that changes of one workspace come one after the
other, and checks the actor's rights under that lock: a demotion counts from the moment it is made.
"""

import re
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.audit import OPERATOR, Actor, audit_record
from accounts.models import Membership, Role, SignIn, User, Workspace
from accounts.open_invitations import open_invitations, open_invitations_end
from accounts.scopes import MEMBERS_WRITE, ROLE_SCOPES, WORKSPACE_OWN, WORKSPACE_WRITE
from config.errors import (
    LimitReached,
    NotAllowed,
    NotFound,
    NotMember,
    OwnerStays,
    Text,
    WrongState,
    filled,
)

# Each may invite people, so their number bounds the mail that one person can cause.
OWNED_WORKSPACES_MAX: Final = 20


def workspace_name_problem(name: str) -> Text | None:
    # It is shown in mails and logs, where a line feed would start something new.
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", name):
        return _("Control characters are not allowed.")
    return None


def workspace_create(*, name: str, actor: Actor, owner: User | None = None) -> Workspace:
    """Make a workspace; one without an owner is reached by keys only."""
    with transaction.atomic():
        if owner is not None:
            _require_room_for_another(owner)
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


def workspace_default_for(*, user: User, actor: Actor) -> Workspace:
    """The workspace that a person lands in; made when there is none, as for those who left all."""
    with transaction.atomic():
        _lock_user(user)
        memberships = Membership.objects.filter(user=user).select_related("workspace")
        own = memberships.filter(role=Role.OWNER).order_by("pk").first()
        membership = own or memberships.order_by("pk").first()
        if membership is not None:
            return membership.workspace
        name = f"{user.email.partition('@')[0]}'s workspace"
        return workspace_create(name=name[:100], owner=user, actor=actor)


def workspace_rename(*, workspace: Workspace, name: str, actor: Actor) -> Workspace:
    with transaction.atomic():
        locked = workspace_lock(workspace)
        rights_require(workspace=locked, actor=actor, scope=WORKSPACE_WRITE)
        before = locked.name
        if name != before:
            locked.name = name
            locked.save(update_fields=["name"])
            audit_record(
                actor=actor,
                action="workspace.renamed",
                workspace=locked,
                target_kind="workspace",
                target_uuid=locked.uuid,
                data={"before": before, "after": name},
            )
    return locked


def member_change_role(
    *, workspace: Workspace, user_uuid: UUID, role: Role, actor: Actor
) -> Membership:
    with transaction.atomic():
        workspace = workspace_lock(workspace)
        rights = rights_require(workspace=workspace, actor=actor, scope=MEMBERS_WRITE)
        member = _member_get(workspace, user_uuid)
        if Role.OWNER in (member.role, role):
            raise OwnerStays
        role_require_grantable(role=role, rights=rights)
        if member.role != role:
            before, member.role = member.role, role
            member.save(update_fields=["role"])
            _record(actor, "member.role_changed", member, before=before, after=role)
            if MEMBERS_WRITE not in ROLE_SCOPES[role]:
                _invitations_end(member, actor)
    return member


def member_remove(*, workspace: Workspace, user_uuid: UUID, actor: Actor) -> None:
    with transaction.atomic():
        workspace = workspace_lock(workspace)
        rights_require(workspace=workspace, actor=actor, scope=MEMBERS_WRITE)
        _membership_end(_member_get(workspace, user_uuid), actor, "member.removed")


def workspace_leave(*, workspace: Workspace, user: User, actor: Actor) -> None:
    """Also out of one's last workspace: the next sign-in makes another."""
    with transaction.atomic():
        workspace = workspace_lock(workspace)
        _membership_end(_member_get(workspace, user.uuid), actor, "member.left")


def ownership_transfer(*, workspace: Workspace, user_uuid: UUID, actor: Actor) -> Membership:
    """Hand the workspace to a member; who owned it stays as an admin."""
    with transaction.atomic():
        workspace = workspace_lock(workspace)
        rights_require(workspace=workspace, actor=actor, scope=WORKSPACE_OWN)
        heir = _member_get(workspace, user_uuid)
        if heir.role == Role.OWNER:
            raise WrongState(_("This member owns the workspace already."))
        _require_room_for_another(heir.user)
        owner = workspace.memberships.filter(role=Role.OWNER).select_related("user").first()
        if owner is not None:
            # First, since there may never be two.
            owner.role = Role.ADMIN
            owner.save(update_fields=["role"])
        before, heir.role = heir.role, Role.OWNER
        heir.save(update_fields=["role"])
        former = str(owner.user.uuid) if owner else None
        _record(actor, "ownership.transferred", heir, before=before, former_owner=former)
    return heir


def workspace_lock(workspace: Workspace) -> Workspace:
    # Not FOR UPDATE: that would stop every row that is made for the workspace meanwhile.
    return Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)


def rights_require(*, workspace: Workspace, actor: Actor, scope: str) -> frozenset[str]:
    """What the actor may do here now, which must include `scope`. Call it under the lock."""
    if actor.kind == OPERATOR.kind:
        return ROLE_SCOPES[Role.OWNER]
    if actor.kind != "user" or actor.uuid is None:
        raise NotMember
    member = workspace.memberships.filter(user__uuid=actor.uuid).first()
    if member is None:
        raise NotMember
    rights = ROLE_SCOPES[Role(member.role)]
    if scope not in rights:
        raise NotAllowed(
            filled(_("This needs the right %(scope)s."), scope=scope), data={"scope": scope}
        )
    return rights


def role_require_grantable(*, role: Role, rights: frozenset[str]) -> None:
    if not ROLE_SCOPES[role] <= rights:
        raise NotAllowed(_("Nobody can give rights that they lack."))


def _lock_user(user: User) -> None:
    User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _require_room_for_another(owner: User) -> None:
    _lock_user(owner)
    if owner.memberships.filter(role=Role.OWNER).count() >= OWNED_WORKSPACES_MAX:
        raise LimitReached(_("This person owns as many workspaces as one can."))


def _member_get(workspace: Workspace, user_uuid: UUID) -> Membership:
    member = workspace.memberships.filter(user__uuid=user_uuid).select_related("user").first()
    if member is None:
        raise NotFound
    return member


def _membership_end(member: Membership, actor: Actor, action: str) -> None:
    if member.role == Role.OWNER:
        raise OwnerStays
    workspace, user = member.workspace, member.user
    member.delete()
    # In the order in which others lock them.
    sign_ins = SignIn.objects.filter(user=user, workspace=workspace, revoked_at=None)
    pks = [row.pk for row in sign_ins.order_by("pk").select_for_update()]
    SignIn.objects.filter(pk__in=pks).update(revoked_at=Now())
    _record(actor, action, member, before=member.role, after=None)
    _invitations_end(member, actor)


def _invitations_end(member: Membership, actor: Actor) -> None:
    # Else somebody who was shown the door could come back through a friend.
    theirs = open_invitations(member.workspace).filter(invited_by=member.user)
    open_invitations_end(theirs, actor=actor)


def _record(actor: Actor, action: str, member: Membership, **data: Any) -> None:
    audit_record(
        actor=actor,
        action=action,
        workspace=member.workspace,
        target_kind="member",
        target_uuid=member.user.uuid,
        data={"email": member.user.email, **data},
    )
