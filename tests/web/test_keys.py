"""The pages of API keys."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.test import Client

from accounts.models import ApiKey, AuditEvent, Role, User, Workspace
from tests.makers import make_key, make_member, make_workspace
from tests.races import together
from tests.web.conftest import sign_in
from tests.web.html import Page

pytestmark = pytest.mark.django_db
KEY = re.compile(r"ap_[A-Za-z0-9_]{20,}")


def new(client: Client, **values: Any) -> Any:
    body = {"once": str(uuid4()), "name": "CI", "access": "all", "expires": "", **values}
    return client.post("/app/keys/new", body)


def key_in(response: Any) -> str:
    found = set(KEY.findall(response.content.decode()))
    assert len(found) == 1
    return str(found.pop())


def works(text: str) -> int:
    return Client().get("/v1/workspace", headers={"X-API-Key": text}).status_code


@pytest.fixture
def studio(person: User) -> Workspace:
    return Workspace.objects.get()


def test_a_key_is_made_shown_once_and_works(signed_in: Client, studio: Workspace):
    page = signed_in.get("/app/keys/new")
    assert Page(page.content.decode()).problems() == []
    response = new(signed_in)
    text = key_in(response)
    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    assert Page(response.content.decode()).problems() == []
    # Once by itself, once in the command.
    assert response.content.decode().count(text) == 2
    assert works(text) == 200
    row = ApiKey.objects.get()
    # How it begins and ends, and from where it was used.
    shown = signed_in.get(f"/app/keys/{row.uuid}").content.decode()
    assert f"{text[:11]}…{text[-4:]}" in shown
    assert "127.0.0.1" in shown
    for path in ("/app/keys", f"/app/keys/{row.uuid}", f"/app/keys/{row.uuid}/edit"):
        answer = signed_in.get(path)
        assert answer.status_code == 200
        assert text not in answer.content.decode()
    for session in Session.objects.all():
        assert text not in str(session.get_decoded())
    assert text not in str(list(AuditEvent.objects.values()))


def test_the_form_sent_again_makes_no_second_key(signed_in: Client, studio: Workspace):
    once = str(uuid4())
    first = key_in(new(signed_in, once=once))
    again = new(signed_in, once=once)
    assert again.status_code == 409
    assert first not in again.content.decode()
    assert ApiKey.objects.count() == 1


def test_what_is_wrong_is_said_and_can_be_mended(signed_in: Client, studio: Workspace):
    once = str(uuid4())
    response = new(signed_in, once=once, name="", access="some", expires="date", rate="0")
    assert response.status_code == 400
    assert Page(response.content.decode()).problems() == []
    assert set(response.context["form"].errors) == {"name", "scopes", "last_day", "rate"}
    response = new(signed_in, once=once, expires="date", last_day="2001-01-01")
    assert response.status_code == 400
    assert response.context["form"].errors == {"last_day": ["This must be in the future."]}
    fresh = response.context["form"]["once"].value()
    assert fresh != once
    assert new(signed_in, once=fresh).status_code == 201


def test_all_that_a_key_can_be_given(signed_in: Client, studio: Workspace):
    new(
        signed_in,
        access="some",
        scopes=["jobs:read", "assets:read"],
        expires="30",
        cap="12.5",
        rate="7",
    )
    row = ApiKey.objects.get()
    assert row.scopes == ["assets:read", "jobs:read"]
    assert (row.monthly_cap_mcr, row.rate_limit_per_minute) == (12_500, 7)
    assert row.expires_at is not None
    assert 29 < (row.expires_at - row.created_at).days + 1 <= 30
    text = signed_in.get(f"/app/keys/{row.uuid}").content.decode()
    assert "See jobs and their results" in text
    assert "of 12.5" in text


def test_a_key_is_narrowed_but_not_widened(signed_in: Client, studio: Workspace):
    make_key(studio, scopes=["jobs:read", "assets:read"])
    path = f"/app/keys/{ApiKey.objects.get().uuid}/edit"
    body = {"name": "less", "access": "some", "scopes": ["jobs:read"], "cap": "1"}
    assert signed_in.post(path, body).status_code == 302
    row = ApiKey.objects.get()
    assert (row.name, row.scopes, row.monthly_cap_mcr) == ("less", ["jobs:read"], 1000)
    for wider in ({"access": "all"}, {"access": "some", "scopes": ["jobs:write"]}):
        response = signed_in.post(path, {"name": "more", **wider})
        assert response.status_code == 400
        assert Page(response.content.decode()).problems() == []
    assert ApiKey.objects.get().name == "less"


def test_a_key_is_rolled_once(signed_in: Client, studio: Workspace):
    old = make_key(studio)
    row = ApiKey.objects.get()
    path = f"/app/keys/{row.uuid}/roll"
    assert Page(signed_in.get(path).content.decode()).problems() == []
    response = signed_in.post(path, {"once": str(uuid4()), "grace": "3600"})
    assert response.status_code == 201
    assert {works(old), works(key_in(response))} == {200}
    again = signed_in.post(path, {"once": str(uuid4()), "grace": "0"})
    assert again.status_code == 400
    assert "was rolled before" in again.content.decode()
    assert ApiKey.objects.count() == 2
    page = signed_in.get(f"/app/keys/{row.uuid}").content.decode()
    assert "This key was rolled." in page
    assert Page(page).problems() == []


def test_a_key_in_use_is_revoked_by_its_name(signed_in: Client, studio: Workspace):
    text = make_key(studio)
    row = ApiKey.objects.get()
    path = f"/app/keys/{row.uuid}/revoke"
    assert 'name="typed"' not in signed_in.get(path).content.decode()
    assert works(text) == 200
    page = signed_in.get(path).content.decode()
    assert 'name="typed"' in page
    assert Page(page).problems() == []
    assert signed_in.post(path, {"typed": "another"}).status_code == 400
    assert works(text) == 200
    assert signed_in.post(path, {"typed": "test"}).status_code == 302
    assert works(text) == 401
    assert AuditEvent.objects.filter(action="key.revoked").count() == 1
    page = signed_in.get("/app/keys").content.decode()
    assert "Revoked" in page


def test_a_key_that_nobody_uses_is_revoked_by_a_button(signed_in: Client, studio: Workspace):
    make_key(studio)
    row = ApiKey.objects.get()
    assert signed_in.post(f"/app/keys/{row.uuid}/revoke", {"sure": "yes"}).status_code == 302
    row.refresh_from_db()
    assert row.revoked_at is not None


def test_a_stranger_finds_no_key(signed_in: Client, person: User):
    make_key(make_workspace("Other", credits=0))
    row = ApiKey.objects.get()
    for page in ("", "/edit", "/roll", "/revoke"):
        assert signed_in.get(f"/app/keys/{row.uuid}{page}").status_code == 404
    for page in ("/edit", "/roll", "/revoke"):
        body = {"once": str(uuid4()), "grace": "0", "name": "x", "access": "all", "typed": "test"}
        assert signed_in.post(f"/app/keys/{row.uuid}{page}", body).status_code == 404
    row.refresh_from_db()
    assert (row.revoked_at, row.grace_until, row.name) == (None, None, "test")
    assert "ap_" not in signed_in.get("/app/keys").content.decode()


@pytest.mark.parametrize(
    ("role", "sees", "changes"),
    [
        (Role.ADMIN, 200, 201),
        (Role.DEVELOPER, 200, 201),
        (Role.VIEWER, 403, 403),
        (Role.BILLING, 403, 403),
    ],
)
def test_rights_by_role(studio: Workspace, role: Role, sees: int, changes: int):
    make_member(studio, role, email="bob@example.org")
    client = Client()
    sign_in(client, "bob@example.org")
    assert client.get("/app/keys").status_code == sees
    assert new(client).status_code == changes


def test_many_keys_have_pages(signed_in: Client, studio: Workspace):
    for number in range(52):
        ApiKey.objects.create(
            workspace=studio, name=f"n{number:02}.", key_id=f"k{number}", secret_hash=b""
        )
    first = signed_in.get("/app/keys").content.decode()
    assert "n51." in first
    assert "n01." not in first
    after = re.search(r"\?after=([\w-]+)", first)
    assert after
    second = signed_in.get(f"/app/keys?after={after[1]}").content.decode()
    assert "n01." in second
    assert "n02." not in second
    assert Page(second).problems() == []


@pytest.mark.django_db(transaction=True)
def test_two_who_roll_at_once_get_one_key(person: User):
    studio = Workspace.objects.get()
    make_key(studio)
    path = f"/app/keys/{ApiKey.objects.get().uuid}/roll"

    def roll() -> int:
        client = Client()
        client.force_login(person)
        return int(client.post(path, {"once": str(uuid4()), "grace": "0"}).status_code)

    assert sorted(together(3, roll)) == [201, 400, 400]
    assert ApiKey.objects.count() == 2


def test_now_of_the_database_tells_what_has_expired(signed_in: Client, studio: Workspace):
    make_key(studio)
    ApiKey.objects.update(expires_at=Now())
    page = signed_in.get(f"/app/keys/{ApiKey.objects.get().uuid}").content.decode()
    assert "Expired" in page
    assert "/roll" not in page
