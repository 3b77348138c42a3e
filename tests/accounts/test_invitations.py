import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import transaction
from django.db.models.functions import Now
from django.test import TestCase

from accounts.audit import Actor
from accounts.invitations import (
    INVITATIONS_A_DAY_MAX,
    INVITATIONS_OPEN_MAX,
    invitation_accept,
    invitation_create,
    invitation_get,
    invitation_resend,
    invitation_revoke,
)
from accounts.models import AuditEvent, Invitation, Membership, Role, User, Workspace
from accounts.workspaces import member_change_role, member_remove, ownership_transfer
from config.errors import (
    AlreadyMember,
    AppError,
    InvitationForAnother,
    InvitationInvalid,
    LimitReached,
    NotAllowed,
    NotFound,
    OwnerStays,
    ValidationFailed,
)
from tests.makers import make_member, make_user, make_workspace
from tests.races import together

pytestmark = pytest.mark.django_db

BOB = "bob@example.org"


@pytest.fixture
def studio() -> Workspace:
    return make_workspace("Studio", credits=0)


@pytest.fixture
def owner(studio: Workspace) -> User:
    return make_member(studio, Role.OWNER, email="alice@example.org")


def invite(workspace: Workspace, by: User, email: str = BOB, role: Role = Role.DEVELOPER) -> str:
    """Invite, and read the token from the mail."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        invitation_create(
            workspace=workspace, email=email, role=role, invited_by=by, actor=Actor.of_user(by)
        )
    found = re.search(r"/invitations/([\w-]+)/", str(mail.outbox[-1].body))
    assert found
    return found[1]


def accept(token: str, user: User) -> Membership:
    with transaction.atomic():
        return invitation_accept(token=token, user=user, actor=Actor.of_user(user))


def refused(call: Callable[[], Any], error: type[AppError]) -> None:
    """It is refused; nothing changed and nothing was sent."""

    def state() -> list[Any]:
        invitations = Invitation.objects.order_by("pk").values_list(
            "pk", "accepted_at", "revoked_at"
        )
        counts = [Membership.objects.count(), AuditEvent.objects.count(), len(mail.outbox)]
        return [*invitations, *counts]

    before = state()
    with pytest.raises(error) as caught, transaction.atomic():
        call()
    assert type(caught.value) is error
    assert state() == before


def actions() -> list[str]:
    rows = AuditEvent.objects.filter(action__startswith="invitation.").order_by("pk")
    return list(rows.values_list("action", flat=True))


@pytest.mark.parametrize("role", [Role.ADMIN, Role.DEVELOPER, Role.BILLING, Role.VIEWER])
def test_the_invited_person_joins_with_the_role(studio: Workspace, owner: User, role: Role):
    bob = make_user(BOB)
    member = accept(invite(studio, owner, role=role), bob)
    assert (member.workspace, member.user, member.role) == (studio, bob, role)
    assert actions() == ["invitation.created", "invitation.accepted"]
    event = AuditEvent.objects.get(action="invitation.accepted")
    assert (event.actor_uuid, event.workspace_uuid) == (bob.uuid, studio.uuid)
    assert event.data == {"email": BOB, "role": role.value}


def test_the_mail_says_who_where_and_as_what(studio: Workspace, owner: User, settings: Any):
    settings.SITE_URL = "https://stems.example.org"
    studio.name = "Line\nfeed & <b>"
    studio.save(update_fields=["name"])
    token = invite(studio, owner, email="Bob@Example.org")
    message = mail.outbox[0]
    assert message.to == [BOB]
    assert message.subject == "alice@example.org invites you to “Line feed & <b>” on Stemwright"
    assert f"https://stems.example.org/invitations/{token}/" in message.body
    assert "within 7 days" in message.body
    assert "with the role Developer." in message.body


def test_no_token_is_kept(studio: Workspace, owner: User):
    token = invite(studio, owner)
    row = Invitation.objects.get()
    assert len(token) == 43
    assert token not in str(vars(row))
    assert token.encode() not in bytes(row.token_hash)


def test_the_mail_is_sent_only_if_the_invitation_is_kept(studio: Workspace, owner: User):
    with TestCase.captureOnCommitCallbacks(execute=True), transaction.atomic():
        invitation_create(
            workspace=studio,
            email=BOB,
            role=Role.VIEWER,
            invited_by=owner,
            actor=Actor.of_user(owner),
        )
        transaction.set_rollback(True)
    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
def test_a_mail_server_that_is_down_leaves_the_invitation(
    studio: Workspace, owner: User, settings: Any, caplog: Any
):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    invitation_create(
        workspace=studio, email=BOB, role=Role.VIEWER, invited_by=owner, actor=Actor.of_user(owner)
    )
    assert "ConnectionRefusedError" in caplog.text
    assert Invitation.objects.filter(accepted_at=None, revoked_at=None).count() == 1


def test_again_is_a_new_link_and_the_former_ends(studio: Workspace, owner: User):
    first, second = invite(studio, owner), invite(studio, owner, "BOB@example.org", Role.VIEWER)
    bob = make_user(BOB)
    refused(lambda: accept(first, bob), InvitationInvalid)
    assert accept(second, bob).role == Role.VIEWER
    assert Invitation.objects.count() == 2
    made, ended, again, accepted = AuditEvent.objects.filter(
        action__startswith="invitation."
    ).order_by("pk")
    assert (ended.action, ended.target_uuid) == ("invitation.revoked", made.target_uuid)
    assert again.target_uuid == accepted.target_uuid != made.target_uuid


def test_it_is_sent_again(studio: Workspace, owner: User):
    first = invite(studio, owner)
    with TestCase.captureOnCommitCallbacks(execute=True):
        invitation_resend(
            workspace=studio,
            invitation_uuid=invitation_get(token=first).uuid,
            invited_by=owner,
            actor=Actor.of_user(owner),
        )
    assert len(mail.outbox) == 2
    refused(lambda: invitation_get(token=first), InvitationInvalid)
    open_one = Invitation.objects.get(revoked_at=None)
    assert (open_one.email, open_one.role) == (BOB, Role.DEVELOPER)


def test_used_unknown_expired_and_revoked_links_look_the_same(studio: Workspace, owner: User):
    bob = make_user(BOB)
    used = invite(studio, owner)
    accept(used, bob).delete()
    expired = invite(studio, owner)
    Invitation.objects.filter(accepted_at=None).update(expires_at=Now() - timedelta(seconds=1))
    for token in (used, expired, "unknown", "", "\x00", "é" * 50):
        refused(lambda token=token: accept(token, bob), InvitationInvalid)  # type: ignore[misc]
        refused(lambda token=token: invitation_get(token=token), InvitationInvalid)  # type: ignore[misc]
    revoked = invite(studio, owner)
    uuid = invitation_get(token=revoked).uuid
    invitation_revoke(workspace=studio, invitation_uuid=uuid, actor=Actor.of_user(owner))
    refused(lambda: accept(revoked, bob), InvitationInvalid)
    refused(
        lambda: invitation_revoke(
            workspace=studio, invitation_uuid=uuid, actor=Actor.of_user(owner)
        ),
        NotFound,
    )
    assert actions()[-1] == "invitation.revoked"


def test_another_persons_link_is_of_no_use(studio: Workspace, owner: User):
    token = invite(studio, owner)
    refused(lambda: accept(token, make_user("eve@example.org")), InvitationForAnother)


def test_the_address_must_be_confirmed(studio: Workspace, owner: User):
    token, bob = invite(studio, owner), make_user(BOB, verified=False)
    refused(lambda: accept(token, bob), InvitationForAnother)
    EmailAddress.objects.update(verified=True)
    assert accept(token, bob).user == bob


def test_a_second_confirmed_address_will_do(studio: Workspace, owner: User):
    bob = make_user("robert@example.org")
    EmailAddress.objects.create(user=bob, email=BOB, verified=True)
    assert accept(invite(studio, owner), bob).user == bob


def test_a_member_is_not_invited_and_does_not_join_twice(studio: Workspace, owner: User):
    token = invite(studio, owner)
    bob = make_member(studio, Role.VIEWER, email=BOB)
    refused(lambda: accept(token, bob), AlreadyMember)
    refused(lambda: invite(studio, owner, "BOB@example.org"), AlreadyMember)
    assert Membership.objects.get(user=bob).role == Role.VIEWER


def test_known_and_unknown_addresses_are_invited_alike(studio: Workspace, owner: User):
    make_user(BOB)
    make_user("unconfirmed@example.org", verified=False)
    bodies = set()
    for email in (BOB, "unconfirmed@example.org", "nobody@example.org"):
        token = invite(studio, owner, email)
        bodies.add(str(mail.outbox[-1].body).replace(token, "T").replace(email, "E"))
    assert len(bodies) == 1


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.BILLING, Role.VIEWER])
def test_who_manages_nobody_invites_nobody(studio: Workspace, owner: User, role: Role):
    user = make_member(studio, role)
    refused(lambda: invite(studio, user), NotAllowed)
    uuid = invitation_get(token=invite(studio, owner)).uuid
    refused(
        lambda: invitation_revoke(
            workspace=studio, invitation_uuid=uuid, actor=Actor.of_user(user)
        ),
        NotAllowed,
    )


def test_nobody_is_invited_as_owner(studio: Workspace, owner: User):
    refused(lambda: invite(studio, owner, role=Role.OWNER), OwnerStays)


@pytest.mark.parametrize("name", ["İ" * 200, "ſ", "x" * 250])
def test_an_address_that_no_mail_reaches_is_not_invited(studio: Workspace, owner: User, name: str):
    refused(lambda: invite(studio, owner, f"{name}@example.org"), ValidationFailed)


def test_an_invitation_of_another_workspace_is_not_there(studio: Workspace, owner: User):
    uuid = invitation_get(token=invite(studio, owner)).uuid
    other = make_workspace("Other", credits=0)
    stranger = make_member(other, Role.OWNER)
    for service in (
        lambda: invitation_revoke(
            workspace=other, invitation_uuid=uuid, actor=Actor.of_user(stranger)
        ),
        lambda: invitation_resend(
            workspace=other,
            invitation_uuid=uuid,
            invited_by=stranger,
            actor=Actor.of_user(stranger),
        ),
    ):
        refused(service, NotFound)


@pytest.mark.parametrize("role", [None, Role.VIEWER])
def test_who_is_removed_or_demoted_leaves_no_open_invitation(
    studio: Workspace, owner: User, role: Role | None
):
    admin = make_member(studio, Role.ADMIN)
    of_admin, of_owner = invite(studio, admin), invite(studio, owner, "carol@example.org")
    uuid = invitation_get(token=of_admin).uuid
    actor = Actor.of_user(owner)
    if role is None:
        member_remove(workspace=studio, user_uuid=admin.uuid, actor=actor)
    else:
        member_change_role(workspace=studio, user_uuid=admin.uuid, role=role, actor=actor)
    refused(lambda: accept(of_admin, make_user(BOB)), InvitationInvalid)
    assert invitation_get(token=of_owner).workspace == studio
    ended = AuditEvent.objects.get(action="invitation.revoked")
    assert (ended.target_uuid, ended.actor_uuid) == (uuid, owner.uuid)
    assert ended.data == {"email": BOB, "role": "developer"}


@pytest.mark.parametrize("end", ["demoted", "removed", "deleted", "deactivated"])
def test_who_may_not_invite_any_more_brings_nobody_in(studio: Workspace, owner: User, end: str):
    """However that came about."""
    admin = make_member(studio, Role.ADMIN)
    token, bob = invite(studio, admin, role=Role.ADMIN), make_user(BOB)
    match end:
        case "demoted":
            Membership.objects.filter(user=admin).update(role=Role.DEVELOPER)
        case "removed":
            Membership.objects.filter(user=admin).delete()
        case "deleted":
            admin.delete()
        case "deactivated":
            User.objects.filter(pk=admin.pk).update(is_active=False)
    refused(lambda: accept(token, bob), InvitationInvalid)


def test_who_hands_the_workspace_on_may_still_invite(studio: Workspace, owner: User):
    token, admin = invite(studio, owner, role=Role.ADMIN), make_member(studio, Role.ADMIN)
    ownership_transfer(workspace=studio, user_uuid=admin.uuid, actor=Actor.of_user(owner))
    assert accept(token, make_user(BOB)).role == Role.ADMIN


def test_an_address_is_its_letters_and_nothing_like_it(studio: Workspace, owner: User):
    """To PostgreSQL, ſ in capitals is S."""
    token = invite(studio, owner, "steve@example.org")
    other = make_member(studio, Role.VIEWER, email="ſteve@example.org")
    refused(lambda: accept(token, other), InvitationForAnother)
    # Nor is the one invited a member already because of the other.
    invite(studio, owner, "steve@example.org")


def fill(workspace: Workspace, number: int, **fields: Any) -> None:
    Invitation.objects.bulk_create(
        Invitation(
            workspace=workspace,
            email=f"{index}@example.org",
            role=Role.VIEWER,
            token_hash=str(index).encode(),
            **{"expires_at": Now() + timedelta(days=1), **fields},
        )
        for index in range(number)
    )


def test_only_so_many_are_open(studio: Workspace, owner: User):
    fill(studio, INVITATIONS_OPEN_MAX - 1)
    Invitation.objects.update(created_at=Now() - timedelta(days=2))
    invite(studio, owner)
    # The same address again takes no more room.
    invite(studio, owner)
    refused(lambda: invite(studio, owner, "carol@example.org"), LimitReached)


def test_expired_ones_take_no_room(studio: Workspace, owner: User):
    fill(studio, INVITATIONS_OPEN_MAX, expires_at=Now())
    Invitation.objects.update(created_at=Now() - timedelta(days=8))
    invite(studio, owner)
    # Nor do they stand in the way of the same address.
    invite(studio, owner, "0@example.org")


def test_only_so_many_are_sent_a_day(studio: Workspace, owner: User):
    fill(studio, INVITATIONS_A_DAY_MAX, revoked_at=Now())
    refused(lambda: invite(studio, owner), LimitReached)
    Invitation.objects.update(created_at=Now() - timedelta(days=1, seconds=1))
    invite(studio, owner)


@pytest.mark.django_db(transaction=True)
def test_accepted_many_times_at_once_it_is_used_once(studio: Workspace, owner: User):
    token, bob = invite(studio, owner), make_user(BOB)
    outcomes = together(6, lambda: accept(token, bob))
    kinds = [type(outcome) for outcome in outcomes]
    assert (kinds.count(Membership), kinds.count(InvitationInvalid)) == (1, 5)
    assert Membership.objects.filter(user=bob).count() == 1
    assert actions() == ["invitation.created", "invitation.accepted"]


@pytest.mark.django_db(transaction=True)
def test_made_many_times_at_once_one_stays_open(studio: Workspace, owner: User):
    outcomes = together(
        6,
        lambda: invitation_create(
            workspace=studio,
            email=BOB,
            role=Role.VIEWER,
            invited_by=owner,
            actor=Actor.of_user(owner),
        ),
    )
    assert [type(outcome) for outcome in outcomes] == [Invitation] * 6
    assert Invitation.objects.filter(revoked_at=None).count() == 1
    assert len(mail.outbox) == Invitation.objects.count() == 6
