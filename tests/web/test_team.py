"""The pages of a workspace's people."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.db.models.functions import Now
from django.test import Client

from accounts.models import AuditEvent, Invitation, Membership, Role, User, Workspace
from tests.makers import make_member, make_user, make_workspace
from tests.races import together
from tests.web.conftest import sign_in
from tests.web.html import Page

pytestmark = pytest.mark.django_db


@pytest.fixture
def studio(person: User) -> Workspace:
    return Workspace.objects.get()


@pytest.fixture
def bob(studio: Workspace) -> User:
    return make_member(studio, Role.VIEWER, email="bob@example.org")


def client_of(person: User) -> Client:
    client = Client()
    sign_in(client, person.email)
    return client


def page_of(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status
    text = response.content.decode()
    assert Page(text).problems() == []
    return text


def role_of(user: User) -> str:
    return Membership.objects.get(user=user).role


def test_people_are_invited_again_and_not(
    signed_in: Client, studio: Workspace, django_capture_on_commit_callbacks: Any
):
    page_of(signed_in, "/app/team/invite")
    body = {"email": "carol@example.org", "role": "developer"}
    with django_capture_on_commit_callbacks(execute=True):
        response = signed_in.post("/app/team/invite", body)
    assert response["Location"] == "/app/team"
    assert mail.outbox[0].to == ["carol@example.org"]
    text = page_of(signed_in, "/app/team")
    assert "carol@example.org is invited." in text
    assert text.count("carol@example.org") > 2

    first = Invitation.objects.get()
    with django_capture_on_commit_callbacks(execute=True):
        signed_in.post(f"/app/team/invitations/{first.uuid}/resend")
    assert len(mail.outbox) == 2
    second = Invitation.objects.get(revoked_at=None)
    assert second != first
    Invitation.objects.filter(pk=second.pk).update(expires_at=Now() - timedelta(days=1))
    assert "expired" in page_of(signed_in, "/app/team")

    path = f"/app/team/invitations/{second.uuid}/revoke"
    assert "carol@example.org" in page_of(signed_in, path)
    assert signed_in.post(path, {"sure": "yes"})["Location"] == "/app/team"
    assert not Invitation.objects.filter(revoked_at=None).exists()
    # Once more: it is no more.
    assert signed_in.post(path).status_code == 404
    assert signed_in.get(path).status_code == 404


def test_who_cannot_be_invited_is_said(signed_in: Client, studio: Workspace, bob: User):
    for email, words in (
        ("bob@example.org", "a member already"),
        ("nonsense", "valid email"),
        ("", "required"),
    ):
        response = signed_in.post("/app/team/invite", {"email": email, "role": "viewer"})
        assert response.status_code == 400
        assert words in response.content.decode()
        assert Page(response.content.decode()).problems() == []
    response = signed_in.post("/app/team/invite", {"email": "x@example.org", "role": "owner"})
    assert response.status_code == 400
    assert not Invitation.objects.exists()


def test_roles_change_and_say_what_they_may_do(signed_in: Client, studio: Workspace, bob: User):
    path = f"/app/team/members/{bob.uuid}"
    text = page_of(signed_in, path)
    assert "Listens and looks, changes nothing and spends nothing." in text
    response = signed_in.post(path, {"role": "billing"}, follow=True)
    assert "bob@example.org now has the role Billing." in response.content.decode()
    assert role_of(bob) == Role.BILLING
    assert signed_in.post(path, {"role": "owner"}).status_code == 400
    event = AuditEvent.objects.get(action="member.role_changed")
    assert event.data == {"email": bob.email, "before": "viewer", "after": "billing"}


def test_the_owner_stays(signed_in: Client, studio: Workspace, person: User):
    path = f"/app/team/members/{person.uuid}"
    assert "can be neither removed" in page_of(signed_in, path)
    for act, body in (("", {"role": "viewer"}), ("/remove", {"sure": "yes"})):
        response = signed_in.post(path + act, body)
        assert response.status_code in (400, 409)
        assert "Ownership changes hands by a transfer only." in response.content.decode()
    assert signed_in.post("/app/team/leave", {"sure": "yes"}).status_code == 409
    assert role_of(person) == Role.OWNER


def test_a_member_is_removed(signed_in: Client, studio: Workspace, bob: User):
    theirs = client_of(bob)
    path = f"/app/team/members/{bob.uuid}/remove"
    page_of(signed_in, path)
    assert role_of(bob) == Role.VIEWER
    assert signed_in.post(path, {"sure": "yes"})["Location"] == "/app/team"
    assert signed_in.post(path, {"sure": "yes"}).status_code == 404
    assert "Studio" not in page_of(theirs, "/app/team")
    assert AuditEvent.objects.filter(action="member.removed").count() == 1


def test_a_member_leaves(studio: Workspace, bob: User):
    client = client_of(bob)
    page_of(client, "/app/team/leave")
    assert client.post("/app/team/leave", {"sure": "yes"}, follow=True).status_code == 200
    assert not Membership.objects.filter(user=bob, workspace=studio).exists()


def test_the_workspace_is_handed_over_by_its_name(
    signed_in: Client, studio: Workspace, bob: User, person: User
):
    path = f"/app/team/members/{bob.uuid}/transfer"
    page_of(signed_in, path)
    response = signed_in.post(path, {"typed": "studio"})
    assert response.status_code == 400
    assert "This is not the name of the workspace." in response.content.decode()
    assert role_of(bob) == Role.VIEWER
    assert signed_in.post(path, {"typed": "Studio"})["Location"] == "/app/team"
    assert (role_of(bob), role_of(person)) == (Role.OWNER, Role.ADMIN)
    # Who handed it over is no owner any more.
    assert signed_in.post(path, {"typed": "Studio"}).status_code == 403


def test_rights_by_role(studio: Workspace, bob: User):
    client = client_of(bob)
    text = page_of(client, "/app/team")
    assert "alice@example.org" in text
    assert "/app/team/members/" not in text
    assert "/app/team/invite" not in text
    alice = f"/app/team/members/{User.objects.get(email='alice@example.org').uuid}"
    for path in ("/app/team/invite", alice, f"{alice}/remove", f"{alice}/transfer"):
        assert client.get(path).status_code == 403
        assert client.post(path, {"role": "viewer", "typed": "Studio"}).status_code == 403
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    assert client.get("/app/team/invite").status_code == 200
    assert client.get(f"{alice}/transfer").status_code == 403


def test_a_stranger_is_not_found(signed_in: Client, studio: Workspace):
    other = make_workspace("Other", credits=0)
    stranger = make_member(other, Role.OWNER, email="mallory@example.org")
    invitation = Invitation.objects.create(
        workspace=other,
        email="x@example.org",
        role=Role.VIEWER,
        token_hash=b"x",
        expires_at=Now() + timedelta(days=1),
    )
    for path in ("", "/remove", "/transfer"):
        address = f"/app/team/members/{stranger.uuid}{path}"
        assert signed_in.get(address).status_code == 404
        body = {"role": "viewer", "typed": "Studio", "sure": "yes"}
        assert signed_in.post(address, body).status_code == 404
    for act in ("resend", "revoke"):
        address = f"/app/team/invitations/{invitation.uuid}/{act}"
        assert signed_in.post(address, {"sure": "yes"}).status_code == 404
    assert role_of(stranger) == Role.OWNER
    assert "mallory" not in page_of(signed_in, "/app/team")


@pytest.mark.django_db(transaction=True)
def test_two_transfers_at_once_leave_one_owner(person: User):
    studio = Workspace.objects.get()
    heirs = [make_member(studio, Role.ADMIN, email=f"{uuid4()}@example.org") for _ in range(2)]

    def transfer_to(heir: User) -> Any:
        def transfer() -> int:
            client = Client()
            client.force_login(person)
            path = f"/app/team/members/{heir.uuid}/transfer"
            return int(client.post(path, {"typed": "Studio"}).status_code)

        return transfer

    assert sorted(together(2, *map(transfer_to, heirs))) == [302, 403]
    assert Membership.objects.filter(role=Role.OWNER).count() == 1


def test_an_invitation_waits_on_the_account(studio: Workspace, signed_in: Client):
    dora = make_user("dora@example.org")
    signed_in.post("/app/team/invite", {"email": dora.email, "role": "viewer"})
    text = client_of(dora).get("/account/").content.decode()
    assert re.search(r"invites you to\s+<strong>Studio</strong>", text)
