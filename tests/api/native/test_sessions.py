"""Scripts of our own pages call the native API as the person who signed in there."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import Membership, Role, User, Workspace
from tests.makers import make_key, make_member, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def studio(db: None) -> Workspace:
    return make_workspace("Studio", credits=5)


@pytest.fixture
def person(studio: Workspace) -> User:
    return make_member(studio, Role.VIEWER, email="alice@example.org")


@pytest.fixture
def browser(person: User) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    # Any page gives the cookie.
    client.get("/")
    return client


def _token(browser: Client) -> dict[str, str]:
    return {"X-CSRFToken": browser.cookies["csrftoken"].value}


def test_the_session_counts_with_the_token_of_a_page(browser: Client, studio: Workspace):
    answer = browser.get("/v1/workspace", headers=_token(browser))
    assert answer.status_code == 200
    assert answer.json()["id"] == str(studio.uuid)


def test_without_the_header_nobody_is_there(browser: Client):
    assert browser.get("/v1/workspace").status_code == 401
    assert browser.post("/v1/jobs", {}, "application/json").status_code == 401


def test_a_wrong_token_is_refused(browser: Client):
    answer = browser.post("/v1/jobs", {}, "application/json", headers={"X-CSRFToken": "x" * 32})
    assert answer.status_code == 403
    assert "reload it" in str(answer.json())


def test_the_role_in_the_workspace_of_the_session_decides(browser: Client, person: User):
    answer = browser.post("/v1/jobs", {}, "application/json", headers=_token(browser))
    assert answer.status_code == 403
    band = make_workspace("Band", credits=5)
    Membership.objects.create(user=person, workspace=band, role=Role.DEVELOPER)
    browser.post("/app/workspace", {"workspace": str(band.uuid)}, headers=_token(browser))
    assert browser.get("/v1/workspace", headers=_token(browser)).json()["id"] == str(band.uuid)
    answer = browser.post("/v1/jobs", {}, "application/json", headers=_token(browser))
    assert answer.status_code == 400


def test_a_workspace_of_others_cannot_be_entered(browser: Client, charlie: Any):
    values = {"workspace": str(charlie.uuid)}
    answer = browser.post("/app/workspace", values, headers=_token(browser))
    assert answer.status_code == 404
    body = browser.get("/v1/workspace", headers=_token(browser)).json()
    assert body["id"] != str(charlie.uuid)


def test_a_key_goes_before_the_session(browser: Client, charlie: Any):
    headers = {**_token(browser), "X-API-Key": make_key(charlie)}
    assert browser.get("/v1/workspace", headers=headers).json()["id"] == str(charlie.uuid)


def test_other_apis_know_no_session(browser: Client):
    answer = browser.get("/api/v1/auth/me", headers=_token(browser))
    assert answer.status_code == 401
