"""Signing in without a browser, and what ends it."""

from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.cache import cache
from django.db.models.functions import Now
from django.test import Client

from accounts.models import AuditEvent, Membership, RefreshToken, SignIn, User, Workspace
from accounts.tokens import sign_in_create
from tests.makers import PASSWORD, make_code, make_member, make_token, make_workspace

pytestmark = pytest.mark.django_db

EMAIL = "bob@example.org"


@pytest.fixture(autouse=True)
def _no_failed_attempts() -> None:
    cache.clear()


@pytest.fixture
def bob(alice: Workspace) -> User:
    return make_member(alice, "developer", email=EMAIL)


def post(path: str, body: Any, client: Client | None = None) -> Any:
    return (client or Client()).post(path, body, content_type="application/json")


def sign_in(**changes: Any) -> Any:
    return post("/v1/auth/token", {"email": EMAIL, "password": PASSWORD, **changes})


def refresh(token: str, **more: Any) -> Any:
    return post("/v1/auth/refresh", {"refresh_token": token, **more})


def bearer(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"})


def refusal(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_a_password_opens_the_api(alice: Workspace, bob: User):
    response = sign_in()
    tokens = response.json()
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert {**tokens, "access_token": "", "refresh_token": ""} == {
        "access_token": "",
        "refresh_token": "",
        "token_type": "bearer",
        "expires_in": 900,
        "workspace": str(alice.uuid),
    }
    me = bearer(tokens["access_token"]).get("/v1/auth/me").json()
    assert me == {
        "user": {"id": str(bob.uuid), "email": EMAIL},
        "workspace": {"id": str(alice.uuid), "name": "Alice's"},
        "role": "developer",
        "scopes": [
            "assets:read",
            "assets:write",
            "credits:read",
            "jobs:read",
            "jobs:write",
            "keys:read",
            "keys:write",
            "members:read",
            "webhooks:read",
            "webhooks:write",
            "workspace:read",
        ],
    }
    event = AuditEvent.objects.get(action="sign_in.created")
    assert (event.actor_uuid, event.workspace_uuid) == (bob.uuid, alice.uuid)


def test_no_token_is_kept_or_logged(bob: User):
    tokens = sign_in().json()
    kept = str([*RefreshToken.objects.values(), *SignIn.objects.values()])
    kept += str(list(AuditEvent.objects.values()))
    assert tokens["refresh_token"] not in kept
    assert tokens["access_token"] not in kept
    assert PASSWORD not in kept


@pytest.mark.parametrize("case", ["unknown", "password", "inactive", "unconfirmed", "case"])
def test_whatever_is_wrong_the_answer_is_the_same(bob: User, case: str):
    changes: dict[str, str] = {}
    match case:
        case "unknown":
            changes["email"] = "nobody@example.org"
        case "password":
            changes["password"] = "wrong"
        case "case":
            changes["password"] = PASSWORD.upper()
        case "inactive":
            User.objects.update(is_active=False)
        case "unconfirmed":
            EmailAddress.objects.update(verified=False)
    response = sign_in(**changes)
    assert refusal(response) == (401, "invalid_credentials")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    error = response.json()["error"]
    assert (error["fields"], error["data"]) == ({}, {})
    assert not SignIn.objects.exists()
    # The audit trail knows more: with the right password, somebody may be worried.
    reason = "address_unconfirmed" if case == "unconfirmed" else "credentials"
    assert failures() == [(changes.get("email", EMAIL), reason)]


def failures() -> list[tuple[str, str]]:
    """What was recorded; no secret is."""
    rows = AuditEvent.objects.filter(action="user.login_failed").order_by("pk")
    assert {row.ip_address for row in rows} <= {"127.0.0.1"}
    assert PASSWORD not in str(list(rows.values()))
    return [(row.data["email"], row.data["reason"]) for row in rows]


def test_the_address_may_be_written_in_any_case(bob: User):
    assert sign_in(email="Bob@Example.ORG").status_code == 200


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.org"])
def test_failed_attempts_on_one_person_are_limited(bob: User, email: str):
    """Whether there is such a person or not."""
    answers = [
        post(
            "/v1/auth/token",
            {"email": email, "password": "wrong"},
            # Neither another address nor another Host header is another count.
            Client(REMOTE_ADDR=f"192.0.2.{number}", headers={"Host": f"localhost:{2000 + number}"}),
        )
        for number in range(7)
    ]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
    assert refusal(answers[6]) == (429, "too_many_attempts")
    assert int(answers[6].headers["Retry-After"]) > 0
    # Not even the right one opens now: whether a guess was right stays hidden.
    assert sign_in(email=email).status_code == 429
    assert sign_in(email=email.upper()).status_code == 429


def test_one_address_signs_in_30_times_a_minute_at_most(bob: User):
    assert [sign_in().status_code for _ in range(32)] == [200] * 30 + [429] * 2
    # By address: a key or token that is sent along changes nothing.
    token = sign_in_create(
        user=bob, workspace=bob.memberships.get().workspace, user_agent="", ip=None
    )
    client = bearer(token.access_token)
    body = {"email": EMAIL, "password": PASSWORD}
    assert post("/v1/auth/token", body, client).status_code == 429


@pytest.mark.parametrize(
    "body",
    [{}, {"email": EMAIL}, {"password": PASSWORD}, {"email": None, "password": 1}, [], "x", None],
)
def test_it_refuses_bodies_that_make_no_sense(bob: User, body: Any):
    assert refusal(post("/v1/auth/token", body)) == (400, "validation_failed")


def test_it_refuses_fields_that_it_does_not_know(bob: User):
    response = sign_in(otp="123456")
    assert response.json()["error"]["fields"] == {"otp": ["There is no such field."]}


def test_the_workspace_is_chosen_among_ones_own(bob: User, charlie: Workspace):
    other = make_workspace("Other", credits=0)
    Membership.objects.create(user=bob, workspace=other, role="viewer")
    assert sign_in(workspace=str(other.uuid)).json()["workspace"] == str(other.uuid)
    for foreign in (charlie.uuid, "00000000-0000-4000-8000-000000000000"):
        assert refusal(sign_in(workspace=str(foreign))) == (403, "not_a_member")
    assert SignIn.objects.count() == 1


def test_who_belongs_nowhere_gets_a_workspace(bob: User):
    Membership.objects.all().delete()
    token = sign_in().json()["access_token"]
    assert bearer(token).get("/v1/auth/me").json()["role"] == "owner"


# --- Second factor ----------------------------------------------------------------------------


@pytest.fixture
def secret(bob: User) -> str:
    secret = str(generate_totp_secret())
    TOTP.activate(bob, secret)
    return secret


def test_a_second_factor_is_asked_for_after_the_right_password_only(bob: User, secret: str):
    assert refusal(sign_in()) == (401, "second_factor_required")
    assert failures() == [(EMAIL, "second_factor_required")]
    assert refusal(sign_in(password="wrong")) == (401, "invalid_credentials")
    both = sign_in(password="wrong", code=make_code(secret))
    assert refusal(both) == (401, "invalid_credentials")
    assert refusal(sign_in(code="000000")) == (401, "invalid_credentials")
    assert failures()[1:] == [(EMAIL, "credentials")] * 2 + [(EMAIL, "second_factor_wrong")]
    assert not SignIn.objects.exists()
    assert sign_in(code=make_code(secret)).status_code == 200
    assert AuditEvent.objects.filter(action="user.mfa_failed").count() == 1


def test_a_code_is_good_once_for_as_long_as_it_is_valid(bob: User, secret: str):
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        ahead = make_code(secret, steps=1)
        assert sign_in(code=ahead).status_code == 200
        assert refusal(sign_in(code=ahead)) == (401, "invalid_credentials")
        assert refusal(sign_in(code=f"{ahead[:3]} {ahead[3:]}")) == (401, "invalid_credentials")
        # allauth has forgotten it by then.
        clock.shift(31)
        assert refusal(sign_in(code=ahead)) == (401, "invalid_credentials")
        assert sign_in(code=make_code(secret)).status_code == 401  # The same one.
        assert sign_in(code=make_code(secret, steps=1)).status_code == 200
    assert SignIn.objects.count() == 2


def test_codes_cannot_be_tried_out(bob: User, secret: str):
    def attempt(number: int, code: str) -> int:
        body = {"email": EMAIL, "password": PASSWORD, "code": code}
        client = Client(REMOTE_ADDR=f"192.0.2.{number}")
        return int(post("/v1/auth/token", body, client).status_code)

    assert [attempt(number, "000000") for number in range(6)] == [401] * 5 + [429]
    assert attempt(7, make_code(secret)) == 429
    assert not SignIn.objects.exists()


def test_a_recovery_code_is_good_once(bob: User, secret: str):
    codes = RecoveryCodes.activate(bob).generate_codes()
    assert sign_in(code=codes[0]).status_code == 200
    assert refusal(sign_in(code=codes[0])) == (401, "invalid_credentials")
    assert sign_in(code=codes[1]).status_code == 200


def test_who_has_passkeys_only_is_sent_to_the_browser(bob: User):
    Authenticator.objects.create(user=bob, type="webauthn", data={"name": "k", "credential": {}})
    response = sign_in()
    assert refusal(response) == (401, "second_factor_required")
    assert "browser" in response.json()["error"]["message"]
    assert refusal(sign_in(code="123456")) == (401, "invalid_credentials")
    codes = RecoveryCodes.activate(bob).generate_codes()
    assert sign_in(code=codes[0]).status_code == 200


# --- Refreshing and ending --------------------------------------------------------------------


def test_each_refresh_returns_the_next_token(alice: Workspace, bob: User):
    first = sign_in().json()
    second = refresh(first["refresh_token"])
    assert second.status_code == 200
    tokens = second.json()
    assert tokens["refresh_token"] != first["refresh_token"]
    assert tokens["access_token"] != first["access_token"]
    assert bearer(tokens["access_token"]).get("/v1/credits").status_code == 200
    # One sign-in, whatever the number of tokens.
    assert SignIn.objects.count() == 1


def test_a_second_use_ends_the_sign_in(bob: User):
    first = sign_in().json()
    second = refresh(first["refresh_token"]).json()
    assert refusal(refresh(first["refresh_token"])) == (401, "token_reused")
    # For the thief and for the robbed, at once.
    assert refusal(refresh(second["refresh_token"])) == (401, "token_revoked")
    for tokens in (first, second):
        response = bearer(tokens["access_token"]).get("/v1/auth/me")
        assert refusal(response) == (401, "token_revoked")
    event = AuditEvent.objects.get(action="token.reuse_detected")
    assert event.target_uuid == SignIn.objects.get().uuid
    assert refusal(refresh(first["refresh_token"])) == (401, "token_revoked")
    assert AuditEvent.objects.filter(action="token.reuse_detected").count() == 1
    # Another sign-in of the same person goes on.
    assert sign_in().status_code == 200


@pytest.mark.parametrize("token", ["rt_unknown", "x", "é" * 50])
def test_it_refuses_a_refresh_token_that_was_never_made(bob: User, token: str):
    assert refusal(refresh(token)) == (401, "invalid_token")


def test_access_and_refresh_tokens_are_not_interchangeable(bob: User):
    tokens = sign_in().json()
    assert bearer(tokens["refresh_token"]).get("/v1/auth/me").status_code == 401
    assert refusal(refresh(tokens["access_token"][:200])) == (401, "invalid_token")


def test_a_refresh_can_change_the_workspace(alice: Workspace, bob: User, charlie: Workspace):
    other = make_workspace("Other", credits=0)
    Membership.objects.create(user=bob, workspace=other, role="viewer")
    first = sign_in(workspace=str(alice.uuid)).json()
    # Refused, and the token is not used up by it.
    assert refusal(refresh(first["refresh_token"], workspace=str(charlie.uuid)))[0] == 403
    second = refresh(first["refresh_token"], workspace=str(other.uuid)).json()
    event = AuditEvent.objects.get(action="sign_in.workspace_changed")
    assert (event.workspace_uuid, event.actor_uuid) == (other.uuid, bob.uuid)
    assert (event.target_uuid, event.ip_address) == (SignIn.objects.get().uuid, "127.0.0.1")
    assert second["workspace"] == str(other.uuid)
    me = bearer(second["access_token"]).get("/v1/auth/me").json()
    assert (me["workspace"]["name"], me["role"]) == ("Other", "viewer")
    # A sign-in is for one workspace at a time.
    response = bearer(first["access_token"]).get("/v1/auth/me")
    assert refusal(response) == (401, "token_revoked")
    third = refresh(second["refresh_token"]).json()
    assert third["workspace"] == str(other.uuid)


@pytest.mark.parametrize("end", ["expired", "inactive", "removed"])
def test_it_refuses_a_refresh_when_the_ground_is_gone(bob: User, end: str):
    tokens = sign_in().json()
    match end:
        case "expired":
            SignIn.objects.update(expires_at=Now())
        case "inactive":
            User.objects.update(is_active=False)
        case "removed":
            Membership.objects.all().delete()
    expected = (403, "not_a_member") if end == "removed" else (401, "token_revoked")
    assert refusal(refresh(tokens["refresh_token"])) == expected
    assert refusal(bearer(tokens["access_token"]).get("/v1/auth/me")) == expected
    assert RefreshToken.objects.get().used_at is None


def test_signing_out_is_quiet_and_works_at_once(bob: User):
    tokens = sign_in().json()
    for token in (tokens["refresh_token"], tokens["refresh_token"], "rt_unknown"):
        response = post("/v1/auth/revoke", {"refresh_token": token})
        assert (response.status_code, response.content) == (204, b"")
    assert refusal(bearer(tokens["access_token"]).get("/v1/auth/me")) == (401, "token_revoked")
    assert refusal(refresh(tokens["refresh_token"])) == (401, "token_revoked")
    assert AuditEvent.objects.filter(action="sign_in.revoked").count() == 1


def test_a_used_refresh_token_still_signs_out(bob: User):
    first = sign_in().json()
    second = refresh(first["refresh_token"]).json()
    assert post("/v1/auth/revoke", {"refresh_token": first["refresh_token"]}).status_code == 204
    assert bearer(second["access_token"]).get("/v1/auth/me").status_code == 401


def test_a_person_sees_and_ends_their_own_sign_ins(alice: Workspace, bob: User):
    mine = bearer(sign_in().json()["access_token"])
    other = bearer(make_token(bob, alice))
    foreign = make_member(alice, "owner")
    make_token(foreign, alice)
    rows = mine.get("/v1/auth/sessions").json()["results"]
    assert [row["is_current"] for row in rows] == [False, True]
    assert rows[0]["user_agent"] == "test"
    assert set(rows[0]) == {
        "id",
        "workspace",
        "user_agent",
        "ip_address",
        "is_current",
        "created_at",
        "last_used_at",
        "expires_at",
    }
    theirs = SignIn.objects.get(user=foreign).uuid
    assert refusal(mine.delete(f"/v1/auth/sessions/{theirs}")) == (404, "not_found")
    assert SignIn.objects.get(user=foreign).revoked_at is None
    for _ in range(2):
        assert mine.delete(f"/v1/auth/sessions/{rows[0]['id']}").status_code == 204
    assert other.get("/v1/auth/me").status_code == 401
    assert len(mine.get("/v1/auth/sessions").json()["results"]) == 1


def test_these_pages_need_a_person(alice_client: Client):
    for path in ("/v1/auth/me", "/v1/auth/sessions"):
        assert refusal(alice_client.get(path)) == (403, "not_allowed")


def test_a_strange_program_name_does_no_harm(bob: User):
    client = Client(headers={"User-Agent": "a\0b\u0085" + "c" * 300})
    body = {"email": EMAIL, "password": PASSWORD}
    assert post("/v1/auth/token", body, client).status_code == 200
    assert SignIn.objects.get().user_agent == "ab" + "c" * 198
