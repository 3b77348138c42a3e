import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.test import Client

from accounts.models import AuditEvent, Invitation, Membership, Role, User, Workspace
from tests.makers import make_key, make_member, make_token, make_user, make_workspace

pytestmark = pytest.mark.django_db

ANY_ID = "00000000-0000-4000-8000-000000000000"
As = Callable[[User], Client]


@pytest.fixture
def studio() -> Workspace:
    return make_workspace("Studio", credits=0)


@pytest.fixture
def owner(studio: Workspace) -> User:
    return make_member(studio, Role.OWNER, email="alice@example.org")


@pytest.fixture
def viewer(studio: Workspace) -> User:
    return make_member(studio, Role.VIEWER, email="bob@example.org")


def client(user: User, workspace: Workspace) -> Client:
    return Client(headers={"Authorization": f"Bearer {make_token(user, workspace)}"})


def ask(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status, and the body or the code of the error."""
    options = {} if body is None else {"data": body, "content_type": "application/json"}
    response = getattr(client, method)(f"/v1/{path}", **options)
    if not response.content:
        return response.status_code, None
    answer = response.json()
    return response.status_code, answer["error"]["code"] if "error" in answer else answer


def state() -> list[Any]:
    return [
        list(Workspace.objects.order_by("pk").values_list("name", flat=True)),
        list(Membership.objects.order_by("pk").values_list("user", "workspace", "role")),
        list(Invitation.objects.order_by("pk").values_list("pk", "accepted_at", "revoked_at")),
        AuditEvent.objects.exclude(action__startswith="sign_in").count(),
        len(mail.outbox),
    ]


def invite(client: Client, email: str, role: str = "developer", capture: Any = None) -> str:
    with capture(execute=True):
        status, _ = ask(client, "post", "workspace/invitations", {"email": email, "role": role})
    assert status == 201
    found = re.search(r"/invitations/([\w-]+)/", str(mail.outbox[-1].body))
    assert found
    return found[1]


def test_a_person_lists_their_workspaces_with_the_roles(studio: Workspace, viewer: User):
    other = make_workspace("Other", credits=0)
    make_member(other, Role.ADMIN, email="bob@example.org")
    make_workspace("Strangers", credits=0)
    status, page = ask(client(viewer, studio), "get", "workspaces")
    assert status == 200
    assert [(row["id"], row["name"], row["role"]) for row in page["results"]] == [
        (str(other.uuid), "Other", "admin"),
        (str(studio.uuid), "Studio", "viewer"),
    ]
    assert set(page["results"][0]) == {"id", "name", "role", "created_at"}


def test_a_person_makes_a_workspace(studio: Workspace, viewer: User):
    status, row = ask(client(viewer, studio), "post", "workspaces", {"name": " Mine "})
    assert (status, row["name"], row["role"]) == (201, "Mine", "owner")
    made = Workspace.objects.get(uuid=row["id"])
    assert made.memberships.get().user == viewer
    event = AuditEvent.objects.get(workspace_uuid=made.uuid)
    assert (event.action, event.actor_uuid) == ("workspace.created", viewer.uuid)
    assert event.ip_address == "127.0.0.1"


def test_the_workspace_as_a_person_and_as_a_key_sees_it(studio: Workspace, viewer: User):
    status, row = ask(client(viewer, studio), "get", "workspace")
    assert (status, row["id"], row["name"], row["role"]) == (
        200,
        str(studio.uuid),
        "Studio",
        "viewer",
    )
    assert row["scopes"] == [
        "assets:read",
        "credits:read",
        "jobs:read",
        "members:read",
        "webhooks:read",
        "workspace:read",
    ]
    status, row = ask(Client(headers={"X-API-Key": make_key(studio)}), "get", "workspace")
    assert (status, row["role"]) == (200, None)
    assert "jobs:write" in row["scopes"]
    assert "members:read" not in row["scopes"]


def test_it_renames(studio: Workspace, owner: User):
    status, row = ask(client(owner, studio), "patch", "workspace", {"name": "Renamed"})
    assert (status, row["name"]) == (200, "Renamed")
    studio.refresh_from_db()
    assert studio.name == "Renamed"


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("post", "workspaces", {}, "name"),
        ("post", "workspaces", {"name": ""}, "name"),
        ("post", "workspaces", {"name": "x" * 101}, "name"),
        ("post", "workspaces", {"name": "a\nBcc: x@y.z"}, "name"),
        ("post", "workspaces", {"name": "a\u202eb"}, "name"),
        ("post", "workspaces", {"name": "a\u0000b"}, "name"),
        ("post", "workspaces", {"name": ["a"]}, "name"),
        ("post", "workspaces", {"name": "a", "owner": ANY_ID}, "owner"),
        ("patch", "workspace", {"name": "a", "id": ANY_ID}, "id"),
        ("patch", f"workspace/members/{ANY_ID}", {"role": "owner"}, "role"),
        ("patch", f"workspace/members/{ANY_ID}", {"role": "king"}, "role"),
        ("patch", f"workspace/members/{ANY_ID}", {}, "role"),
        ("patch", f"workspace/members/{ANY_ID}", {"role": "admin", "x": 1}, "x"),
        ("post", "workspace/transfer", {}, "member"),
        ("post", "workspace/transfer", {"member": "me"}, "member"),
        ("post", "workspace/invitations", {"email": "bob", "role": "viewer"}, "email"),
        ("post", "workspace/invitations", {"email": "b@x.org\n", "role": "owner"}, "role"),
        ("post", "workspace/invitations", {"email": "b@x.org"}, "role"),
        ("post", "workspace/invitations", {"email": "b@x.org", "role": "viewer", "x": 1}, "x"),
        ("post", "invitations/accept", {}, "token"),
        ("post", "invitations/accept", {"token": "x" * 65}, "token"),
        ("post", "invitations/accept", {"token": "x", "email": "b@x.org"}, "email"),
    ],
)
def test_a_body_that_is_not_right_is_refused(
    studio: Workspace, owner: User, method: str, path: str, body: Any, field: str
):
    caller, before = client(owner, studio), state()
    response = getattr(caller, method)(f"/v1/{path}", body, content_type="application/json")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "validation_failed")
    assert field in error["fields"]
    assert state() == before


def test_members_are_listed(studio: Workspace, owner: User, viewer: User):
    status, page = ask(client(viewer, studio), "get", "workspace/members")
    assert status == 200
    assert [(row["id"], row["email"], row["role"]) for row in page["results"]] == [
        (str(viewer.uuid), "bob@example.org", "viewer"),
        (str(owner.uuid), "alice@example.org", "owner"),
    ]


def test_a_role_is_changed_and_a_member_removed(studio: Workspace, owner: User, viewer: User):
    caller, his = client(owner, studio), client(viewer, studio)
    path = f"workspace/members/{viewer.uuid}"
    status, row = ask(caller, "patch", path, {"role": "developer"})
    assert (status, row["id"], row["role"]) == (200, str(viewer.uuid), "developer")
    assert ask(his, "get", "workspace")[1]["role"] == "developer"
    assert ask(caller, "delete", path) == (204, None)
    assert ask(caller, "delete", path) == (404, "not_found")
    assert ask(his, "get", "workspace") == (401, "token_revoked")


def test_the_owner_can_neither_be_removed_nor_demoted_nor_leave(studio: Workspace, owner: User):
    admin = make_member(studio, Role.ADMIN)
    callers = [client(admin, studio), client(owner, studio)]
    before = state()
    path = f"workspace/members/{owner.uuid}"
    for caller in callers:
        assert ask(caller, "patch", path, {"role": "admin"}) == (409, "owner_stays")
        assert ask(caller, "delete", path) == (409, "owner_stays")
    assert ask(callers[1], "post", "workspace/leave") == (409, "owner_stays")
    assert state() == before


def test_a_member_leaves(studio: Workspace, viewer: User):
    caller = client(viewer, studio)
    assert ask(caller, "post", "workspace/leave") == (204, None)
    assert ask(caller, "get", "workspaces") == (401, "token_revoked")
    assert not studio.memberships.exists()


def test_ownership_is_transferred(studio: Workspace, owner: User, viewer: User):
    caller, body = client(owner, studio), {"member": str(viewer.uuid)}
    status, row = ask(caller, "post", "workspace/transfer", body)
    assert (status, row["id"], row["role"]) == (200, str(viewer.uuid), "owner")
    assert ask(caller, "get", "workspace")[1]["role"] == "admin"
    assert ask(caller, "post", "workspace/transfer", body) == (403, "not_allowed")


def test_strangers_cannot_inherit(studio: Workspace, owner: User):
    stranger = make_member(make_workspace("Other", credits=0), Role.OWNER)
    caller, before = client(owner, studio), state()
    for uuid in (stranger.uuid, uuid4()):
        body = {"member": str(uuid)}
        assert ask(caller, "post", "workspace/transfer", body) == (404, "not_found")
    assert state() == before


def test_a_stranger_finds_neither_member_nor_invitation(
    studio: Workspace, owner: User, viewer: User, django_capture_on_commit_callbacks: Any
):
    invite(client(owner, studio), "x@example.org", capture=django_capture_on_commit_callbacks)
    other = make_workspace("Other", credits=0)
    stranger = client(make_member(other, Role.OWNER), other)
    member = f"workspace/members/{viewer.uuid}"
    invitation = f"workspace/invitations/{Invitation.objects.get().uuid}"
    before = state()
    assert ask(stranger, "patch", member, {"role": "admin"}) == (404, "not_found")
    assert ask(stranger, "delete", member) == (404, "not_found")
    assert ask(stranger, "delete", invitation) == (404, "not_found")
    assert state() == before
    assert len(ask(stranger, "get", "workspace/members")[1]["results"]) == 1
    assert ask(stranger, "get", "workspace/invitations")[1]["results"] == []


def test_an_invitation_is_made_listed_accepted(
    studio: Workspace, owner: User, django_capture_on_commit_callbacks: Any
):
    caller = client(owner, studio)
    token = invite(caller, "Carol@example.org", capture=django_capture_on_commit_callbacks)
    [row] = ask(caller, "get", "workspace/invitations")[1]["results"]
    assert (row["email"], row["role"]) == ("carol@example.org", "developer")
    assert set(row) == {"id", "email", "role", "created_at", "expires_at"}
    carol = make_user("carol@example.org")
    own = make_workspace("Carol's", credits=0)
    Membership.objects.create(workspace=own, user=carol, role=Role.OWNER)
    hers = client(carol, own)
    status, joined = ask(hers, "post", "invitations/accept", {"token": token})
    assert (status, joined["id"], joined["role"]) == (200, str(studio.uuid), "developer")
    before = state()
    answer = ask(hers, "post", "invitations/accept", {"token": token})
    assert answer == (404, "invitation_invalid")
    assert state() == before
    assert ask(caller, "get", "workspace/invitations")[1]["results"] == []


def test_an_invitation_is_revoked(
    studio: Workspace, owner: User, viewer: User, django_capture_on_commit_callbacks: Any
):
    caller = client(owner, studio)
    token = invite(caller, "carol@example.org", capture=django_capture_on_commit_callbacks)
    path = f"workspace/invitations/{Invitation.objects.get().uuid}"
    assert ask(client(viewer, studio), "delete", path) == (403, "not_allowed")
    assert ask(caller, "delete", path) == (204, None)
    assert ask(caller, "delete", path) == (404, "not_found")
    answer = ask(caller, "post", "invitations/accept", {"token": token})
    assert answer == (404, "invitation_invalid")


def test_refused_invitations(
    studio: Workspace, owner: User, viewer: User, django_capture_on_commit_callbacks: Any
):
    caller = client(owner, studio)
    token = invite(caller, "carol@example.org", capture=django_capture_on_commit_callbacks)
    before = state()
    answer = ask(client(viewer, studio), "post", "invitations/accept", {"token": token})
    assert answer == (403, "invitation_for_another")
    body = {"email": "Bob@example.org", "role": "viewer"}
    assert ask(caller, "post", "workspace/invitations", body) == (409, "already_member")
    for name in ("İ" * 200, "ſ"):
        body = {"email": f"{name}@example.org", "role": "viewer"}
        assert ask(caller, "post", "workspace/invitations", body) == (400, "validation_failed")
    assert state() == before


def test_the_answer_to_an_invitation_does_not_tell_who_has_an_account(
    studio: Workspace, owner: User
):
    make_user("known@example.org")
    make_user("unverified@example.org", verified=False)
    caller, answers = client(owner, studio), set()
    for name in ("known", "unverified", "unknown"):
        body = {"email": f"{name}@example.org", "role": "viewer"}
        response = caller.post("/v1/workspace/invitations", body, content_type="application/json")
        row = response.json()
        assert row["email"] == f"{name}@example.org"
        answers.add((response.status_code, *sorted(row), *sorted(response.headers)))
    assert len(answers) == 1


def test_a_key_has_no_say_in_people(studio: Workspace, owner: User):
    caller, before = Client(headers={"X-API-Key": make_key(studio)}), state()
    for method, path, body in (
        ("get", "workspaces", None),
        ("post", "workspaces", {"name": "x"}),
        ("patch", "workspace", {"name": "x"}),
        ("get", "workspace/members", None),
        ("patch", f"workspace/members/{owner.uuid}", {"role": "viewer"}),
        ("delete", f"workspace/members/{owner.uuid}", None),
        ("post", "workspace/leave", None),
        ("post", "workspace/transfer", {"member": str(owner.uuid)}),
        ("get", "workspace/invitations", None),
        ("post", "workspace/invitations", {"email": "x@example.org", "role": "admin"}),
        ("post", "invitations/accept", {"token": "x"}),
    ):
        assert ask(caller, method, path, body) == (403, "not_allowed")
        assert ask(Client(), method, path, body) == (401, "not_authenticated")
    assert state() == before
