import re
from datetime import timedelta
from unittest import mock

import pytest
from allauth.account.models import EmailAddress
from django.db.models.functions import Now
from django.test import Client

from accounts.audit import Actor
from accounts.invitations import invitation_create
from accounts.models import Invitation, Membership, Role, User
from tests.makers import make_member, make_user, make_workspace
from tests.web.conftest import sign_in
from tests.web.html import Page

pytestmark = pytest.mark.django_db

TOKEN = "T" * 43


@pytest.fixture
def path() -> str:
    """Where the invitation of bob, by carol, leads."""
    workspace = make_workspace("Studio <&>", credits=0)
    carol = make_member(workspace, Role.OWNER, email="carol@example.org")
    with mock.patch("accounts.invitations.secrets.token_urlsafe", return_value=TOKEN):
        invitation_create(
            workspace=workspace,
            email="bob@example.org",
            role=Role.BILLING,
            invited_by=carol,
            actor=Actor.of_user(carol),
        )
    return f"/invitations/{TOKEN}/"


@pytest.fixture
def bob() -> User:
    return make_user("bob@example.org")


@pytest.fixture
def client(bob: User) -> Client:
    client = Client()
    sign_in(client, "bob@example.org")
    return client


def members() -> int:
    return Membership.objects.count()


def test_the_visitor_signs_in_first_and_comes_back(path: str, bob: User):
    client = Client()
    response = client.get(path)
    assert (response.status_code, response["Location"]) == (302, f"/account/login/?next={path}")
    assert client.post(path).status_code == 302
    body = {"login": "bob@example.org", "password": "correct horse battery", "next": path}
    assert client.post("/account/login/", body)["Location"] == path
    assert members() == 1


def test_the_page_shows_what_it_is_and_joins_on_post_only(path: str, client: Client, bob: User):
    response = client.get(path)
    text = response.content.decode()
    assert response.status_code == 200
    assert Page(text).problems() == []
    for word in ("carol@example.org", "Studio &lt;&amp;&gt;", "Billing"):
        assert word in text
    assert members() == 1
    response = client.post(path)
    assert (response.status_code, response["Location"]) == (302, "/account/")
    assert bob.memberships.get().role == Role.BILLING
    assert "You have joined “Studio &lt;&amp;&gt;”." in client.get("/account/").content.decode()


def test_unknown_expired_revoked_and_used_links_get_one_answer(path: str, client: Client):
    answers = set()

    def note(path: str) -> None:
        for response in (client.get(path), client.post(path)):
            # The one thing that differs from page to page.
            text = re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", response.content)
            answers.add((response.status_code, text))

    # Shows the greeting, so that it is on none of the others.
    client.get("/account/")
    n_members = members()
    note("/invitations/unknown/")
    Invitation.objects.update(revoked_at=Now())
    note(path)
    Invitation.objects.update(revoked_at=None, expires_at=Now() - timedelta(seconds=1))
    note(path)
    assert members() == n_members
    Invitation.objects.update(expires_at=Now() + timedelta(days=1))
    client.post(path)
    client.get("/account/")
    note(path)
    assert {status for status, _ in answers} == {404}
    assert len(answers) == 1
    assert members() == n_members + 1


def test_another_person_cannot_use_it(path: str):
    make_user("eve@example.org")
    eve = Client()
    sign_in(eve, "eve@example.org")
    response = eve.post(path)
    assert response.status_code == 403
    assert "for another address" in response.content.decode()
    assert "bob@example.org" not in response.content.decode()
    assert members() == 1


def test_somebody_elses_page_cannot_post_it(path: str, bob: User):
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    assert client.post(path).status_code == 403
    assert members() == 1


def test_who_has_signed_up_finds_it_in_the_account(path: str, client: Client):
    page = client.get("/account/").content.decode()
    assert "invites you to <strong>Studio &lt;&amp;&gt;</strong>, with the role Billing." in page
    assert Page(page).problems() == []
    join = f"/account/invitations/{Invitation.objects.get().uuid}/join"
    assert f'action="{join}"' in page
    response = client.post(join)
    assert (response.status_code, response["Location"]) == (302, "/account/")
    assert Membership.objects.get(user__email="bob@example.org", workspace__name="Studio <&>").role
    page = client.get("/account/").content.decode()
    assert "invites you" not in page
    assert client.post(join).status_code == 404


@pytest.mark.parametrize("change", ["stranger", "unconfirmed", "expired", "revoked"])
def test_nobody_else_can_take_it(path: str, client: Client, bob: User, change: str):
    invitation = Invitation.objects.all()
    join = f"/account/invitations/{invitation.get().uuid}/join"
    match change:
        case "stranger":
            make_user("dave@example.org")
            client = Client()
            sign_in(client, "dave@example.org")
        case "unconfirmed":
            EmailAddress.objects.filter(user=bob).update(verified=False)
        case "expired":
            invitation.update(expires_at=Now() - timedelta(seconds=1))
        case "revoked":
            invitation.update(revoked_at=Now())
    assert "invites you" not in client.get("/account/").content.decode()
    assert client.post(join).status_code == 404
    assert Membership.objects.filter(workspace__name="Studio <&>").count() == 1
