"""A workspace's settings, and further workspaces."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEvent, Membership, Role, User, Workspace
from accounts.workspaces import OWNED_WORKSPACES_MAX
from tests.makers import make_member, make_workspace
from tests.web.conftest import sign_in
from tests.web.html import Page

pytestmark = pytest.mark.django_db


@pytest.fixture
def studio(person: User) -> Workspace:
    return Workspace.objects.get()


def test_the_workspace_is_renamed(signed_in: Client, studio: Workspace):
    text = signed_in.get("/app/settings").content.decode()
    assert Page(text).problems() == []
    assert str(studio.uuid) in text
    response = signed_in.post("/app/settings", {"name": " Tonstudio "}, follow=True)
    assert "The workspace was renamed." in response.content.decode()
    studio.refresh_from_db()
    assert studio.name == "Tonstudio"
    assert AuditEvent.objects.filter(action="workspace.renamed").count() == 1


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\u202eb"])
def test_names_that_are_none(name: str, signed_in: Client, studio: Workspace):
    for path in ("/app/settings", "/app/settings/workspaces/new"):
        response = signed_in.post(path, {"name": name})
        assert response.status_code == 400
        assert Page(response.content.decode()).problems() == []
    assert [one.name for one in Workspace.objects.all()] == ["Studio"]


def test_limits_are_those_in_force(signed_in: Client, studio: Workspace, settings: Any):
    settings.RESULTS_DAYS, settings.UPLOADS_DAYS, settings.PARALLEL_JOBS = 21, 1, 6
    text = signed_in.get("/app/settings").content.decode()
    assert "21 days" in text
    assert "<dd>6</dd>" in text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.BILLING, Role.DEVELOPER])
def test_others_look_only_and_may_leave(studio: Workspace, role: Role):
    make_member(studio, role, email="bob@example.org")
    client = Client()
    sign_in(client, "bob@example.org")
    text = client.get("/app/settings").content.decode()
    assert Page(text).problems() == []
    assert 'name="name"' not in text
    assert "Leave the workspace" in text
    assert client.post("/app/settings", {"name": "Mine"}).status_code == 403
    studio.refresh_from_db()
    assert studio.name == "Studio"


def test_another_workspace_is_made_and_entered(signed_in: Client, studio: Workspace, person: User):
    page = signed_in.get("/app/settings/workspaces/new")
    assert Page(page.content.decode()).problems() == []
    response = signed_in.post("/app/settings/workspaces/new", {"name": "Band"})
    assert response["Location"] == "/app/"
    made = Workspace.objects.get(name="Band")
    assert Membership.objects.get(workspace=made).role == Role.OWNER
    assert str(made.uuid) in signed_in.get("/app/settings").content.decode()


def test_nobody_owns_any_number_of_them(signed_in: Client, studio: Workspace, person: User):
    for _ in range(OWNED_WORKSPACES_MAX - 1):
        Membership.objects.create(
            workspace=make_workspace("w", credits=0), user=person, role=Role.OWNER
        )
    response = signed_in.post("/app/settings/workspaces/new", {"name": "One too many"})
    assert response.status_code == 400
    assert "as many workspaces as one can" in response.content.decode()
