"""Asking people to join a workspace. The answer never tells whether an address has an account."""

import hashlib
import secrets
from datetime import timedelta
from typing import Final
from uuid import UUID

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _

from accounts.addresses import address_problem
from accounts.audit import Actor
from accounts.mail import invitation_mail_send
from accounts.models import Invitation, Membership, Role, User, Workspace
from accounts.open_invitations import (
    invitation_record,
    open_invitations,
    open_invitations_end,
)
from accounts.scopes import MEMBERS_WRITE
from accounts.workspaces import rights_require, role_require_grantable, workspace_lock
from config.errors import (
    AlreadyMember,
    InvitationForAnother,
    InvitationInvalid,
    LimitReached,
    NotAllowed,
    NotFound,
    NotMember,
    OwnerStays,
    ValidationFailed,
)

INVITATIONS_OPEN_MAX: Final = 50
# Of all, revoked ones included: each is a mail to a stranger.
INVITATIONS_A_DAY_MAX: Final = 50


def invitation_create(
    *, workspace: Workspace, email: str, role: Role, invited_by: User, actor: Actor
) -> Invitation:
    """Invite an address. Done again, the former link ends and a new one is sent."""
    email = email.lower()
    if problem := address_problem(email):
        raise ValidationFailed(fields={"email": [problem]})
    with transaction.atomic():
        workspace = workspace_lock(workspace)
        rights = rights_require(workspace=workspace, actor=actor, scope=MEMBERS_WRITE)
        if role == Role.OWNER:
            raise OwnerStays
        role_require_grantable(role=role, rights=rights)
        members = workspace.memberships.annotate(email=Lower("user__email"))
        if members.filter(email=email).exists():
            raise AlreadyMember
        open_invitations_end(open_invitations(workspace).filter(email=email), actor=actor)
        _require_room(workspace)
        token = secrets.token_urlsafe(32)
        invitation = Invitation.objects.create(
            workspace=workspace,
            email=email,
            role=role,
            token_hash=_hash(token),
            invited_by=invited_by,
            expires_at=Now() + timedelta(days=settings.INVITATION_DAYS),
        )
        invitation.refresh_from_db(fields=["expires_at"])
        invitation_record(actor, "invitation.created", invitation)
        # A mail that cannot be sent is logged; the invitation stands and can be sent again.
        transaction.on_commit(
            lambda: invitation_mail_send(invitation=invitation, token=token), robust=True
        )
    return invitation


def invitation_resend(
    *, workspace: Workspace, invitation_uuid: UUID, invited_by: User, actor: Actor
) -> Invitation:
    former = open_invitations(workspace).filter(uuid=invitation_uuid).first()
    if former is None:
        raise NotFound
    return invitation_create(
        workspace=workspace,
        email=former.email,
        role=Role(former.role),
        invited_by=invited_by,
        actor=actor,
    )


def invitation_revoke(*, workspace: Workspace, invitation_uuid: UUID, actor: Actor) -> None:
    with transaction.atomic():
        workspace = workspace_lock(workspace)
        rights_require(workspace=workspace, actor=actor, scope=MEMBERS_WRITE)
        found = open_invitations(workspace).filter(uuid=invitation_uuid)
        if not open_invitations_end(found, actor=actor):
            raise NotFound


def invitation_get(*, token: str) -> Invitation:
    """One that can be accepted; unknown, expired, revoked and used ones look the same."""
    return _first(_valid().filter(token_hash=_hash(token)))


def invitations_for(*, user: User) -> QuerySet[Invitation]:
    """Those that wait for a person, by the addresses that they have confirmed."""
    # allauth keeps them in lower case, as we do. Not `iexact`: to PostgreSQL, ſ is an S.
    addresses = EmailAddress.objects.filter(user=user, verified=True)
    return _valid().filter(email__in=addresses.values("email")).order_by("pk")


def invitation_accept(*, token: str, user: User, actor: Actor) -> Membership:
    """Join, once, by the person whose confirmed address was invited."""
    return _accept(_valid().filter(token_hash=_hash(token)), user=user, actor=actor)


def invitation_accept_own(*, invitation_uuid: UUID, user: User, actor: Actor) -> Membership:
    """Join without the mail's link: the confirmed address proves as much."""
    return _accept(invitations_for(user=user).filter(uuid=invitation_uuid), user=user, actor=actor)


def _valid() -> QuerySet[Invitation]:
    return Invitation.objects.select_related("workspace", "invited_by").filter(
        accepted_at=None, revoked_at=None, expires_at__gt=Now()
    )


def _first(found: QuerySet[Invitation]) -> Invitation:
    invitation = found.first()
    if invitation is None:
        raise InvitationInvalid
    return invitation


def _accept(found: QuerySet[Invitation], *, user: User, actor: Actor) -> Membership:
    with transaction.atomic():
        workspace = workspace_lock(_first(found).workspace)
        # Again: it may have been revoked or used until the lock was free.
        invitation = _first(found.all())
        _require_inviter_still_may(invitation)
        if not invitations_for(user=user).filter(pk=invitation.pk).exists():
            raise InvitationForAnother
        if workspace.memberships.filter(user=user).exists():
            raise AlreadyMember(_("You are a member of this workspace already."))
        Invitation.objects.filter(pk=invitation.pk).update(accepted_at=Now())
        member = Membership.objects.create(workspace=workspace, user=user, role=invitation.role)
        invitation_record(actor, "invitation.accepted", invitation)
    return member


def _require_inviter_still_may(invitation: Invitation) -> None:
    """Else somebody who was demoted could come back through a friend."""
    inviter = invitation.invited_by
    if inviter is None or not inviter.is_active:
        raise InvitationInvalid
    try:
        rights = rights_require(
            workspace=invitation.workspace, actor=Actor.of_user(inviter), scope=MEMBERS_WRITE
        )
        role_require_grantable(role=Role(invitation.role), rights=rights)
    except (NotAllowed, NotMember):
        raise InvitationInvalid from None


def _require_room(workspace: Workspace) -> None:
    of_today = workspace.invitations.filter(created_at__gt=Now() - timedelta(days=1))
    if open_invitations(workspace).filter(expires_at__gt=Now()).count() >= INVITATIONS_OPEN_MAX:
        raise LimitReached(_("There are too many open invitations; revoke some."))
    if of_today.count() >= INVITATIONS_A_DAY_MAX:
        raise LimitReached(_("Too many invitations were sent today; try again tomorrow."))


def _hash(token: str) -> bytes:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode()).digest()
