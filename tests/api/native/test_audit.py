"""The audit trail over HTTP."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.audit import OPERATOR, Actor, audit_record
from accounts.models import AuditEvent, User, Workspace
from tests.makers import make_member, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob(alice: Workspace) -> User:
    return make_member(alice, "admin")


@pytest.fixture
def bob_client(alice: Workspace, bob: User) -> Client:
    return Client(headers={"Authorization": f"Bearer {make_token(bob, alice)}"})


def listed(client: Client, **query: Any) -> list[dict[str, Any]]:
    response = client.get("/v1/audit", query)
    assert response.status_code == 200, response.text
    rows: list[dict[str, Any]] = response.json()["results"]
    return rows


def test_it_tells_who_did_what(alice: Workspace, bob: User, bob_client: Client):
    made = bob_client.post("/v1/keys", {"name": "k"}, content_type="application/json")
    event = listed(bob_client, action="key.created")[0]
    assert event == {
        "id": event["id"],
        "action": "key.created",
        "actor": {"kind": "user", "id": str(bob.uuid), "label": bob.email},
        "target": {"kind": "key", "id": made.json()["id"]},
        "data": {"name": "k", "scopes": ["*"]},
        "ip_address": "127.0.0.1",
        "request_id": made.headers["X-Request-ID"],
        "created_at": event["created_at"],
    }


def test_it_shows_ones_own_workspace_only(alice: Workspace, charlie: Workspace, bob_client: Client):
    audit_record(actor=OPERATOR, action="test.foreign", workspace=charlie)
    audit_record(actor=OPERATOR, action="test.nobodys")
    audit_record(actor=OPERATOR, action="test.own", workspace=alice)
    actions = [row["action"] for row in listed(bob_client)]
    assert actions[0] == "test.own"
    assert not {"test.foreign", "test.nobodys"} & set(actions)
    assert listed(bob_client, action="test.foreign") == []


def test_it_comes_in_pages_newest_first(alice: Workspace, bob_client: Client):
    for number in range(3):
        audit_record(actor=OPERATOR, action=f"test.{number}", workspace=alice)
    first = bob_client.get("/v1/audit", {"limit": 2}).json()
    assert [row["action"] for row in first["results"]] == ["test.2", "test.1"]
    second = bob_client.get(first["next"]).json()
    assert second["results"][0]["action"] == "test.0"


def test_it_can_be_filtered(alice: Workspace, bob: User, bob_client: Client):
    times = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    for at in times:
        event = audit_record(actor=Actor.of_user(bob), action="test.x", workspace=alice)
        # The trail is append-only: only the owner of the database can go around that.
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE accounts_auditevent DISABLE TRIGGER audit_append_only")
            AuditEvent.objects.filter(pk=event.pk).update(created_at=at)
            cursor.execute("ALTER TABLE accounts_auditevent ENABLE TRIGGER audit_append_only")
    audit_record(actor=OPERATOR, action="test.x", workspace=alice)
    assert len(listed(bob_client, action="test.x")) == 4
    assert len(listed(bob_client, action="test.x", actor=bob.uuid)) == 3
    until = times[2].isoformat()
    shown = listed(bob_client, action="test.x", since=times[1].isoformat(), until=until)
    assert [row["created_at"] for row in shown] == ["2026-02-01T00:00:00Z"]
    assert listed(bob_client, actor=alice.uuid) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actor", "bob"),
        ("since", "yesterday"),
        ("until", "9" * 30),
        ("action", "a\0b"),
        ("action", "x" * 65),
        ("workspace", "x"),
        ("limit", "0"),
        ("cursor", "x"),
    ],
)
def test_it_names_the_filter_that_is_wrong(bob_client: Client, field: str, value: str):
    response = bob_client.get("/v1/audit", {field: value})
    assert response.status_code == 400
    assert list(response.json()["error"]["fields"]) == [field]


@pytest.mark.parametrize("role", ["developer", "billing", "viewer"])
def test_it_is_for_those_who_run_the_workspace(alice: Workspace, role: str):
    person = make_member(alice, role)
    client = Client(headers={"Authorization": f"Bearer {make_token(person, alice)}"})
    assert client.get("/v1/audit").status_code == 403


def test_it_is_not_for_keys(alice_client: Client):
    assert alice_client.get("/v1/audit").status_code == 403
