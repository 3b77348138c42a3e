"""The page of the audit log."""

import re
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client

from accounts.audit import Actor, audit_record
from accounts.models import AuditEvent, Role, User, Workspace
from tests.makers import make_key, make_member, make_workspace
from tests.web.conftest import sign_in
from tests.web.html import Page
from web.app.audit_texts import ACTIONS

pytestmark = pytest.mark.django_db


@pytest.fixture
def studio(person: User) -> Workspace:
    return Workspace.objects.get()


def page_of(client: Client, query: str = "", status: int = 200) -> str:
    response = client.get(f"/app/audit{query}")
    assert response.status_code == status
    text = response.content.decode()
    assert Page(text).problems() == []
    return text


def rows_in(text: str) -> int:
    return text.count("<summary>")


def test_it_tells_who_did_what_from_where(signed_in: Client, studio: Workspace):
    signed_in.post("/app/keys/new", {"once": str(uuid4()), "name": "CI <&>", "access": "all"})
    text = page_of(signed_in)
    for words in (
        "Made an API key",
        "alice@example.org",
        "127.0.0.1",
        "key.created",
        "CI &lt;&amp;&gt;",
    ):
        assert words in text


def test_filters_are_in_the_address(signed_in: Client, studio: Workspace, person: User):
    make_key(studio)
    signed_in.post("/app/settings", {"name": "Other"})
    assert (
        rows_in(page_of(signed_in)) == AuditEvent.objects.filter(workspace_uuid=studio.uuid).count()
    )
    assert rows_in(page_of(signed_in, "?action=key.created")) == 1
    text = page_of(signed_in, f"?actor={person.uuid}")
    assert rows_in(text) == 1
    assert "Renamed the workspace" in text
    today = AuditEvent.objects.latest("pk").created_at.date()
    assert rows_in(page_of(signed_in, f"?until={today - timedelta(days=1)}")) == 0
    assert rows_in(page_of(signed_in, f"?since={today}&until={today}")) > 1
    # Of one who is no member: by a link of the list.
    stranger = f"?actor={uuid4()}"
    assert "Nothing found" in page_of(signed_in, stranger)
    for nonsense in ("?action=x", "?actor=x", "?since=x"):
        assert "Nothing found" in page_of(signed_in, nonsense, 400)
    assert rows_in(page_of(signed_in, "?after=x")) > 1


def test_pages_stay_put_while_new_events_arrive(signed_in: Client, studio: Workspace):
    def record(number: int) -> None:
        audit_record(actor=Actor("user", f"n{number:03}."), action="x", workspace=studio)

    for number in range(120):
        record(number)
    first = page_of(signed_in, "?action=")
    after = re.search(r"after=([\w-]+)", first)
    assert after
    assert "n119." in first
    assert "n070." in first
    record(120)
    second = page_of(signed_in, f"?after={after[1]}")
    assert "n069." in second
    assert "n020." in second
    assert "n070." not in second


def test_strangers_see_their_own_only(signed_in: Client, studio: Workspace):
    other = make_workspace("Other", credits=0)
    audit_record(actor=Actor("user", "mallory@example.org"), action="x", workspace=other)
    assert "mallory" not in page_of(signed_in)
    event = AuditEvent.objects.get(actor_label="mallory@example.org")
    assert "mallory" not in page_of(signed_in, f"?after={event.uuid}")


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.ADMIN, 200), (Role.DEVELOPER, 403), (Role.BILLING, 403), (Role.VIEWER, 403)],
)
def test_rights_by_role(studio: Workspace, role: Role, status: int):
    make_member(studio, role, email="bob@example.org")
    client = Client()
    sign_in(client, "bob@example.org")
    assert client.get("/app/audit").status_code == status


def test_every_action_of_a_workspace_has_words():
    """Those that the services write down; of `user.` only what has no workspace."""
    sources = [
        path.read_text()
        for package in ("accounts", "billing", "jobs")
        for path in Path(settings.BASE_DIR, package).glob("*.py")
    ]
    found = {
        action
        for source in sources
        if "audit_record" in source or "_record(" in source
        for action in re.findall(
            r'"((?:key|webhook|callback_secret|invitation|member|ownership|workspace|sign_in'
            r'|token|credits|payment|subscription|auto_top_up)\.[a-z_]+)"',
            source,
        )
    }
    assert found - set(ACTIONS) - {"webhook.test"} == set()
