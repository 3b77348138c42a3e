"""Making and changing API keys over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from accounts.models import ApiKey, AuditEvent, User, Workspace
from billing.models import KeySpend
from tests.makers import make_key, make_member, make_token

pytestmark = pytest.mark.django_db

NOBODYS = "/v1/keys/00000000-0000-4000-8000-000000000000"


def client_of(user: User, workspace: Workspace) -> Client:
    return Client(headers={"Authorization": f"Bearer {make_token(user, workspace)}"})


@pytest.fixture
def bob(alice: Workspace) -> User:
    return make_member(alice, "developer")


@pytest.fixture
def bob_client(alice: Workspace, bob: User) -> Client:
    return client_of(bob, alice)


def make(client: Client, **body: Any) -> Any:
    return client.post("/v1/keys", {"name": "k", **body}, content_type="application/json")


def patch(client: Client, key: Any, **body: Any) -> Any:
    return client.patch(f"/v1/keys/{key}", body, content_type="application/json")


def roll(client: Client, key: Any, **body: Any) -> Any:
    """Without a body, the usual grace."""
    path = f"/v1/keys/{key}/roll"
    return client.post(path, body or None, content_type="application/json")


def refusal(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_a_key_is_shown_once_and_opens_the_workspace(
    alice: Workspace, bob: User, bob_client: Client
):
    response = make(bob_client, scopes=["jobs:read", "credits:read"], monthly_cap_mcr=5_000)
    body = response.json()
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    key = body.pop("key")
    row = ApiKey.objects.get()
    shown = {
        "id": str(row.uuid),
        "name": "k",
        "prefix": key[:11],
        "last_four": key[-4:],
        "status": "active",
        "scopes": ["credits:read", "jobs:read"],
        "monthly_cap_mcr": 5_000,
        "spent_mcr": 0,
        "rate_limit_per_minute": None,
        "created_by": str(bob.uuid),
        "created_at": body["created_at"],
        "last_used_at": None,
        "last_used_ip": None,
        "expires_at": None,
        "grace_until": None,
        "revoked_at": None,
    }
    assert body == shown
    read = bob_client.get(f"/v1/keys/{row.uuid}")
    assert (read.json(), key in read.text) == (shown, False)
    assert bob_client.get("/v1/keys").json()["results"] == [shown]
    theirs = Client(headers={"X-API-Key": key})
    assert theirs.get("/v1/credits").json()["available_mcr"] == 100_000
    assert bob_client.get(f"/v1/keys/{row.uuid}").json()["last_used_ip"] == "127.0.0.1"
    assert theirs.get("/v1/assets").status_code == 403
    event = AuditEvent.objects.get(action="key.created")
    assert (event.actor_uuid, event.target_uuid) == (bob.uuid, row.uuid)
    assert key[11:43] not in str(list(AuditEvent.objects.values()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 101),
        ("name", None),
        ("name", "a\0b"),
        ("scopes", []),
        ("scopes", ["keys:write"]),
        ("scopes", ["nonsense"]),
        ("scopes", "*"),
        ("scopes", [None]),
        ("scopes", ["*"] * 33),
        ("monthly_cap_mcr", -1),
        ("monthly_cap_mcr", 1.5),
        ("monthly_cap_mcr", "NaN"),
        ("monthly_cap_mcr", 10**18),
        ("rate_limit_per_minute", 0),
        ("rate_limit_per_minute", 101),
        ("expires_at", "2020-01-01T00:00:00Z"),
        ("expires_at", "tomorrow"),
        ("workspace", "x"),
        ("lineage", "x"),
    ],
)
def test_it_names_the_field_that_is_wrong(bob_client: Client, field: str, value: Any):
    response = make(bob_client, **{field: value})
    assert refusal(response) == (400, "validation_failed")
    assert [name.partition(".")[0] for name in response.json()["error"]["fields"]] == [field]
    assert not ApiKey.objects.exists()


def test_a_key_can_neither_see_nor_make_keys(alice: Workspace, bob_client: Client):
    key = make_key(alice)
    row = ApiKey.objects.get()
    client = Client(headers={"X-API-Key": key})
    answers = [
        client.get("/v1/keys"),
        make(client),
        client.get(f"/v1/keys/{row.uuid}"),
        patch(client, row.uuid, name="x"),
        client.delete(f"/v1/keys/{row.uuid}"),
        roll(client, row.uuid),
    ]
    assert [refusal(answer) for answer in answers] == [(403, "not_allowed")] * 6
    assert bob_client.get("/v1/keys").json()["results"][0]["status"] == "active"


@pytest.mark.parametrize("role", ["viewer", "billing"])
def test_some_roles_have_no_business_with_keys(alice: Workspace, role: str):
    client = client_of(make_member(alice, role), alice)
    assert refusal(make(client)) == (403, "not_allowed")
    assert refusal(client.get("/v1/keys")) == (403, "not_allowed")
    assert not ApiKey.objects.exists()


def test_a_stranger_finds_no_key(alice: Workspace, charlie: Workspace, bob_client: Client):
    make(bob_client)
    row = ApiKey.objects.get()
    stranger = client_of(make_member(charlie, "owner"), charlie)
    answers = [
        stranger.get(f"/v1/keys/{row.uuid}"),
        patch(stranger, row.uuid, name="mine"),
        stranger.delete(f"/v1/keys/{row.uuid}"),
        roll(stranger, row.uuid),
        stranger.get(NOBODYS),
    ]
    assert [refusal(answer) for answer in answers] == [(404, "not_found")] * 5
    assert stranger.get("/v1/keys").json()["results"] == []
    row.refresh_from_db()
    assert (row.name, row.revoked_at, ApiKey.objects.count()) == ("k", None, 1)


def test_a_key_can_be_changed(bob_client: Client):
    made = make(bob_client).json()
    response = patch(
        bob_client, made["id"], name="new", scopes=["jobs:read"], rate_limit_per_minute=5
    )
    assert response.status_code == 200
    body = response.json()
    assert (body["name"], body["scopes"], body["rate_limit_per_minute"]) == (
        "new",
        ["jobs:read"],
        5,
    )
    assert patch(bob_client, made["id"], rate_limit_per_minute=None).json() == {
        **body,
        "rate_limit_per_minute": None,
    }
    wider = patch(bob_client, made["id"], scopes=["jobs:write"], name="again")
    assert (refusal(wider), list(wider.json()["error"]["fields"])) == (
        (400, "validation_failed"),
        ["scopes"],
    )
    for field in ("expires_at", "lineage", "revoked_at"):
        assert patch(bob_client, made["id"], **{field: None}).status_code == 400
    assert ApiKey.objects.get().name == "new"


def test_a_revoked_key_ends_at_once(bob_client: Client):
    made = make(bob_client).json()
    path = f"/v1/keys/{made['id']}"
    client = Client(headers={"X-API-Key": made["key"]})
    assert client.get("/v1/credits").status_code == 200
    for _ in range(2):
        response = bob_client.delete(path)
        assert (response.status_code, response.content) == (204, b"")
    assert refusal(client.get("/v1/credits")) == (401, "key_revoked")
    assert bob_client.get(path).json()["status"] == "revoked"
    assert refusal(patch(bob_client, made["id"], name="x")) == (409, "wrong_state")
    assert refusal(roll(bob_client, made["id"])) == (409, "wrong_state")
    assert refusal(bob_client.delete(NOBODYS)) == (404, "not_found")


def test_a_key_is_rolled(bob_client: Client):
    made = make(bob_client, scopes=["credits:read"], monthly_cap_mcr=9).json()
    path = f"/v1/keys/{made['id']}"
    response = roll(bob_client, made["id"])
    new = response.json()
    assert response.status_code == 201
    assert new["key"] != made["key"]
    own = {"id", "key", "prefix", "last_four", "created_at"}
    assert {k: v for k, v in new.items() if k not in own} == {
        k: v for k, v in made.items() if k not in own
    }
    for key in (made["key"], new["key"]):
        assert Client(headers={"X-API-Key": key}).get("/v1/credits").status_code == 200
    old = bob_client.get(path).json()
    assert old["expires_at"] is None
    left = datetime.fromisoformat(old["grace_until"]) - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(days=1, seconds=1)
    assert refusal(roll(bob_client, made["id"])) == (409, "wrong_state")
    assert roll(bob_client, new["id"], grace_seconds=0).status_code == 201
    client = Client(headers={"X-API-Key": new["key"]})
    assert refusal(client.get("/v1/credits")) == (401, "key_expired")
    assert bob_client.get(f"/v1/keys/{new['id']}").json()["status"] == "expired"


@pytest.mark.parametrize("grace", [-1, 604_801, "x", 1.5, None])
def test_it_refuses_a_grace_out_of_bounds(bob_client: Client, grace: Any):
    made = make(bob_client).json()
    assert refusal(roll(bob_client, made["id"], grace_seconds=grace)) == (400, "validation_failed")
    assert ApiKey.objects.count() == 1


def test_it_shows_what_a_lineage_spent_this_month(bob_client: Client):
    made = make(bob_client).json()
    lineage = ApiKey.objects.get().lineage
    with connection.cursor() as cursor:
        cursor.execute("SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date")
        month = cursor.fetchone()[0]
    KeySpend.objects.create(key_lineage=lineage, month=month, spent_mcr=7)
    before = month - timedelta(days=1)
    KeySpend.objects.create(key_lineage=lineage, month=before.replace(day=1), spent_mcr=100)
    new = roll(bob_client, made["id"]).json()
    assert new["spent_mcr"] == 7
    rows = bob_client.get("/v1/keys").json()["results"]
    assert [row["spent_mcr"] for row in rows] == [7, 7]


def test_an_expired_key_says_so_in_the_list(bob_client: Client):
    make(bob_client, expires_at="2999-01-01T00:00:00Z")
    ApiKey.objects.update(expires_at=Now())
    assert bob_client.get("/v1/keys").json()["results"][0]["status"] == "expired"
