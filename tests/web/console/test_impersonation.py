"""Operators who look on as members: seen by all, and without hands."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent, Membership, Role, User, Workspace
from accounts.operators import operator_set
from tests.api.routes import routes
from tests.makers import make_member, make_workspace
from tests.web.console.conftest import enter
from tests.web.html import Page

pytestmark = pytest.mark.django_db

END = "/console/impersonation/end"


def start(client: Client, workspace: Workspace, member: User, **values: str) -> Any:
    values = {"member": str(member.uuid), "reason": "A ticket", **values}
    return client.post(f"/console/workspaces/{workspace.uuid}/look-on", values)


def token_of(client: Client) -> str:
    client.get("/account/2fa/")
    return client.cookies["csrftoken"].value


@pytest.fixture
def watching(console: Client, alice: User, studio: Workspace) -> Client:
    response = start(console, studio, alice)
    assert (response.status_code, response["Location"]) == (302, "/app/")
    return console


def test_the_app_is_seen_as_the_member_sees_it(watching: Client):
    text = watching.get("/app/").content.decode()
    assert "<h1>Studio</h1>" in text
    assert "You are looking on as <strong>alice@example.org</strong>" in text
    assert Page(text).problems() == []
    # On every page, the console's too.
    assert "You are looking on as" in watching.get("/console/").content.decode()
    assert "You are looking on as" in watching.get("/account/").content.decode()


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize(
    "path", ["/app/workspace", "/app/", "/account/email/", "/account/password/change/"]
)
def test_nothing_is_changed_by_pages(watching: Client, alice: User, method: str, path: str):
    before = AuditEvent.objects.exclude(action__startswith="impersonation.").count()
    response = getattr(watching, method)(path)
    assert response.status_code == 403
    text = response.content.decode()
    assert "nothing can be changed" in text
    assert Page(text).problems() == []
    refusal = AuditEvent.objects.get(action="impersonation.refused")
    assert (refusal.data["method"], refusal.data["path"]) == (method.upper(), path)
    assert AuditEvent.objects.exclude(action__startswith="impersonation.").count() == before


def test_nothing_is_changed_by_scripts(watching: Client, studio: Workspace):
    """With the session, the API answers what reads and refuses what writes, in its own words."""
    headers = {"X-CSRFToken": token_of(watching)}
    assert watching.get("/v1/workspace", headers=headers).json()["name"] == "Studio"
    for method, path in (
        ("post", "/v1/keys"),
        ("patch", "/v1/workspace"),
        ("delete", f"/v1/keys/{studio.uuid}"),
        ("put", "/v1/workspace"),
    ):
        response = getattr(watching, method)(
            path, {"name": "Mine"}, "application/json", headers=headers
        )
        assert response.status_code == 403, path
        assert response.json()["error"]["code"] == "not_allowed"
    studio.refresh_from_db()
    assert studio.name == "Studio"
    assert not studio.api_keys.exists()


def test_secrets_are_not_shown(watching: Client, studio: Workspace):
    headers = {"X-CSRFToken": token_of(watching)}
    assert watching.get("/v1/webhooks/callback-secret", headers=headers).status_code == 403


def test_it_stands_in_the_log_that_members_read(
    watching: Client, operator: User, alice: User, studio: Workspace
):
    watching.get("/app/")
    watching.get("/app/", headers={"HX-Request": "true"})
    watching.post(END)
    events = AuditEvent.objects.filter(workspace_uuid=studio.uuid, actor_kind="operator")
    told = [(event.action, event.actor_label, event.target_uuid) for event in events.order_by("pk")]
    assert told[-3:] == [
        ("impersonation.started", "olga@example.org", alice.uuid),
        ("impersonation.page_seen", "olga@example.org", alice.uuid),
        ("impersonation.ended", "olga@example.org", alice.uuid),
    ]
    assert events.get(action="impersonation.started").data["reason"] == "A ticket"
    assert events.get(action="impersonation.page_seen").data["path"] == "/app/"


def test_it_ends_when_the_operator_wants(watching: Client, studio: Workspace):
    assert watching.post(END)["Location"] == "/console/"
    text = watching.get("/app/").content.decode()
    assert "looking on" not in text
    assert "Studio" not in text
    assert watching.post("/app/workspace", {"workspace": "x"}).status_code == 404


def test_it_ends_by_itself(watching: Client):
    with time_machine.travel(timezone.now() + timedelta(minutes=31), tick=False):
        text = watching.get("/app/").content.decode()
    assert "the time is over" in text
    assert "Studio" not in text
    assert AuditEvent.objects.get(action="impersonation.ended").data["cause"] == "time"


def test_it_ends_with_the_session_and_with_the_right(
    watching: Client, operator: User, alice: User, studio: Workspace
):
    watching.post("/account/logout/")
    assert AuditEvent.objects.get(action="impersonation.ended").data["cause"] == "signed out"
    again = enter(operator)
    start(again, studio, alice)
    operator_set(email=operator.email, is_operator=False)
    assert "Studio" not in again.get("/app/").content.decode()


def test_it_ends_when_the_member_left(watching: Client, alice: User):
    Membership.objects.filter(user=alice).delete()
    assert "looking on" not in watching.get("/app/").content.decode()


def test_what_the_member_may_not_see_is_not_seen(console: Client, studio: Workspace):
    billing = make_member(studio, Role.BILLING, email="bill@example.org")
    start(console, studio, billing)
    headers = {"X-CSRFToken": token_of(console)}
    assert console.get("/v1/jobs", headers=headers).status_code == 403
    assert console.get("/v1/credits", headers=headers).status_code == 200


def test_it_needs_a_reason_a_member_and_nobody_of_ours(
    console: Client, alice: User, studio: Workspace
):
    stranger = make_member(make_workspace("Other"), Role.OWNER, email="eve@example.org")
    colleague = make_member(studio, Role.ADMIN, email="otto@example.org")
    operator_set(email=colleague.email, is_operator=True)
    for member, reason, status in (
        (alice, " ", 400),
        (stranger, "A ticket", 404),
        (colleague, "A ticket", 403),
    ):
        response = start(console, studio, member, reason=reason)
        assert response.status_code == status
        assert Page(response.content.decode()).problems() == []
    assert not AuditEvent.objects.filter(action__startswith="impersonation.").exists()
    assert "looking on" not in console.get("/app/").content.decode()


def test_it_wants_a_fresh_second_factor(operator: User, alice: User, studio: Workspace):
    response = start(enter(operator, age_s=3600), studio, alice)
    assert response["Location"].startswith("/account/2fa/reauthenticate/")
    assert not AuditEvent.objects.filter(action="impersonation.started").exists()


def test_a_forged_session_of_a_person_is_nothing(alice: User, studio: Workspace):
    """The key in a session of somebody who is no operator opens nothing."""
    eve = make_member(make_workspace("Other"), Role.OWNER, email="eve@example.org")
    client = Client()
    client.force_login(eve)
    session = client.session
    session["impersonation"] = {
        "workspace": str(studio.uuid),
        "user": str(alice.uuid),
        "until": timezone.now().timestamp() + 900,
        "reason": "None",
    }
    session.save()
    assert "Studio" not in client.get("/app/").content.decode()


def test_every_page_of_the_app_is_seen_or_refused_in_words(watching: Client):
    """What needs the right to write is refused, nothing breaks, nothing is written."""
    before = AuditEvent.objects.exclude(action="impersonation.page_seen").count()
    pages = [route for route in routes() if route.pattern.startswith("app/")]
    seen = {}
    for route in pages:
        if not route.parameters and "GET" in getattr(route.view, "methods", ("GET",)):
            seen[route.name] = watching.get(reverse(route.name)).status_code
    assert {seen["app-home"], seen["jobs"], seen["team"], seen["audit"]} == {200}
    assert set(seen.values()) <= {200, 204, 302, 403, 404, 405}
    assert seen["job-new"] == 403
    assert AuditEvent.objects.exclude(action="impersonation.page_seen").count() == before
