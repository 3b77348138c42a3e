"""Registration by a mailed code, tokens, passwords and the person behind them."""

import re
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db.models import F
from django.test import Client, TestCase

from accounts.models import AuditEvent, Registration, Role, User
from accounts.registration import FAILURES_MAX
from tests.makers import PASSWORD, make_key, make_member, make_user

pytestmark = pytest.mark.django_db

AUTH = "/api/v1/auth"
EMAIL = "new@example.org"
SENT = {"message": "Verification code sent to your email. Please check your inbox."}
GOOD = "a long enough 1 password"
TOKENS = {"user", "access_token", "refresh_token", "token_type", "expires_in"}


def post(path: str, body: dict[str, Any], client: Client | None = None) -> Any:
    with TestCase.captureOnCommitCallbacks(execute=True):
        return (client or Client()).post(f"{AUTH}/{path}", body, content_type="application/json")


def begun(email: str = EMAIL, *, password: str = GOOD) -> Any:
    body = {"email": email, "password": password, "full_name": "Nora New"}
    return post("initiate-registration", body)


def mailed_code() -> str:
    found = re.search(r"^    (\d{6})$", str(mail.outbox[-1].body), re.MULTILINE)
    assert found
    return found[1]


def verified(code: str, email: str = EMAIL) -> Any:
    return post("verify-registration", {"email": email, "verification_code": code})


def bearer(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"})


def signed_in(email: str, password: str = PASSWORD) -> Any:
    body = {"username": email, "password": password}
    return Client().post(f"{AUTH}/token", body)


def test_a_code_makes_an_account_a_workspace_and_tokens():
    response = begun()
    assert (response.status_code, response.json()) == (200, SENT)
    assert mail.outbox[-1].to == [EMAIL]
    code = mailed_code()
    assert code in mail.outbox[-1].subject
    row = Registration.objects.get()
    assert code.encode() not in bytes(row.code_hash)
    assert GOOD not in row.password
    assert not User.objects.exists()

    response = verified(code)
    assert response.status_code == 200
    body = response.json()
    assert {*body} == TOKENS
    user = User.objects.get()
    assert body["user"] == {
        "id": str(user.uuid),
        "email": EMAIL,
        "full_name": "Nora New",
        "is_verified": True,
    }
    assert (body["token_type"], body["expires_in"]) == ("bearer", 900)
    assert response.headers["Cache-Control"] == "no-store"
    membership = user.memberships.get()
    assert membership.role == Role.OWNER
    assert bearer(body["access_token"]).get(f"{AUTH}/me").json() == body["user"]
    assert not Registration.objects.exists()
    assert AuditEvent.objects.filter(action="user.signed_up").count() == 1
    # The password that was chosen then.
    assert signed_in(EMAIL, GOOD).status_code == 200


def test_a_code_is_good_once():
    begun()
    code = mailed_code()
    assert verified(code).status_code == 200
    response = verified(code)
    assert response.status_code == 400
    assert response.json()["error_code"] == "invalid_verification_code"
    assert User.objects.count() == 1


def test_five_wrong_codes_end_a_registration():
    begun()
    code = mailed_code()
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for _ in range(FAILURES_MAX):
        assert verified(wrong).json()["error_code"] == "invalid_verification_code"
    assert verified(code).status_code == 400
    assert not User.objects.exists()


def test_a_code_ends_after_a_quarter_of_an_hour():
    begun()
    left = Registration.objects.get()
    assert left.expires_at - left.created_at == timedelta(minutes=15)
    Registration.objects.update(expires_at=F("created_at") - timedelta(seconds=1))
    assert verified(mailed_code()).status_code == 400


def test_a_new_code_ends_the_former():
    begun()
    former = mailed_code()
    begun()
    newer = mailed_code()
    if former != newer:
        assert verified(former).status_code == 400
    assert verified(newer).status_code == 200


def test_a_code_is_of_its_address():
    begun("a@example.org")
    code = mailed_code()
    begun("b@example.org")
    if mailed_code() != code:
        assert verified(code, "b@example.org").status_code == 400
    assert verified(code, "A@Example.org").status_code == 200


def test_who_has_an_account_is_told_by_mail_only():
    user = make_user()
    response = begun(user.email)
    assert (response.status_code, response.json()) == (200, SENT)
    assert mail.outbox[-1].to == [user.email]
    assert not re.search(r"\d{6}", str(mail.outbox[-1].subject))
    assert "already" in mail.outbox[-1].subject
    # Nor does trying codes tell anything.
    response = verified("123456", user.email)
    assert response.json()["error_code"] == "invalid_verification_code"
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_an_address_that_somebody_else_never_confirmed_is_let_go():
    squatter = make_user(EMAIL, verified=False)
    begun()
    assert verified(mailed_code()).status_code == 200
    squatter.refresh_from_db()
    assert squatter.email.endswith("@released.invalid")
    owner = EmailAddress.objects.get(email=EMAIL)
    assert (owner.verified, owner.user != squatter) == (True, True)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"email": "no address"}, "email"),
        ({"email": "nöra@example.org"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "\x00" * 12}, "password"),
        ({"full_name": "x" * 151}, "full_name"),
    ],
)
def test_what_cannot_be_an_account_is_refused(fields: dict[str, Any], named: str):
    body = {"email": EMAIL, "password": GOOD, "full_name": "Nora"} | fields
    response = post("initiate-registration", body)
    assert response.status_code == 400
    assert list(response.json()["details"]["fields"]) == [named]
    assert not Registration.objects.exists()
    assert not mail.outbox


def test_nobody_is_flooded_with_codes():
    answers = [begun().status_code for _ in range(6)]
    assert answers == [200] * 5 + [429]
    assert len(mail.outbox) == 5


def test_tokens_are_for_who_has_the_password():
    user = make_user()
    response = signed_in(user.email)
    assert response.status_code == 200
    body = response.json()
    assert {*body} == TOKENS
    assert body["user"]["email"] == user.email
    assert bearer(body["access_token"]).get("/api/v1/speaker/jobs").status_code == 200
    response = signed_in(user.email, "wrong")
    assert (response.status_code, response.json()["error_code"]) == (401, "invalid_credentials")
    assert signed_in("nobody@example.org").json()["error_code"] == "invalid_credentials"


def test_a_refresh_token_is_good_once():
    body = signed_in(make_user().email).json()
    fresh = post("refresh", {"refresh_token": body["refresh_token"]}).json()
    assert {*fresh} == TOKENS
    assert fresh["user"] == body["user"]
    assert bearer(fresh["access_token"]).get(f"{AUTH}/me").status_code == 200


def test_who_works_with_a_key_is_shown_the_owner(alice: Any):
    client = Client(headers={"X-API-Key": make_key(alice)})
    assert client.get(f"{AUTH}/me").json() == {
        "id": str(alice.uuid),
        "email": None,
        "full_name": "Alice's",
        "is_verified": False,
    }
    owner = make_member(alice, Role.OWNER)
    assert client.get(f"{AUTH}/me").json()["email"] == owner.email
    response = client.patch(f"{AUTH}/me", {"full_name": "Eve"}, content_type="application/json")
    assert response.status_code == 403


def test_a_person_changes_their_name():
    user = make_user()
    client = bearer(signed_in(user.email).json()["access_token"])
    response = client.patch(
        f"{AUTH}/me", {"full_name": "Ada King"}, content_type="application/json"
    )
    assert (response.status_code, response.json()["full_name"]) == (200, "Ada King")
    assert client.get(f"{AUTH}/me").json()["full_name"] == "Ada King"
    assert AuditEvent.objects.filter(action="user.renamed").count() == 1


# The mail that tells of it needs the request, hence a commit within it.
@pytest.mark.django_db(transaction=True)
def test_a_password_is_changed_by_who_knows_it():
    user = make_user()
    client = bearer(signed_in(user.email).json()["access_token"])
    body = {"current_password": "wrong", "new_password": GOOD}
    response = post("change-password", body, client)
    assert response.status_code == 400
    assert list(response.json()["details"]["fields"]) == ["current_password"]
    response = post("change-password", body | {"new_password": "x"}, client)
    assert response.status_code == 400
    response = post("change-password", body | {"current_password": PASSWORD}, client)
    assert (response.status_code, list(response.json())) == (200, ["message"])
    # Whoever was signed in is out.
    assert client.get(f"{AUTH}/me").status_code == 401
    assert signed_in(user.email).status_code == 401
    assert signed_in(user.email, GOOD).status_code == 200
    assert AuditEvent.objects.filter(action="user.password_changed").count() == 1
    assert mail.outbox[-1].to == [user.email]


# The mail that tells of it needs the request, hence a commit within it.
@pytest.mark.django_db(transaction=True)
def test_a_forgotten_password_is_set_by_the_mailed_link():
    user = make_user()
    token = signed_in(user.email).json()["access_token"]
    response = post("forgot-password", {"email": user.email})
    assert (response.status_code, list(response.json())) == (200, ["message"])
    found = re.search(r"/reset/key/([^/\s]+)/", str(mail.outbox[-1].body))
    assert found
    link = {"token": found[1]}
    assert post("reset-password", link | {"new_password": "x"}).status_code == 400
    assert post("reset-password", link | {"new_password": GOOD}).status_code == 200
    assert bearer(token).get(f"{AUTH}/me").status_code == 401
    assert signed_in(user.email, GOOD).status_code == 200
    # Once.
    response = post("reset-password", link | {"new_password": GOOD + "!"})
    assert response.status_code == 400
    assert list(response.json()["details"]["fields"]) == ["token"]


def test_the_answer_does_not_tell_whether_there_is_an_account():
    known = post("forgot-password", {"email": make_user().email})
    unknown = post("forgot-password", {"email": "nobody@example.org"})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())


@pytest.mark.parametrize("token", ["", "x", "-", "1-x", "é-ü", "zzzzzzzzzzzzzzzzzz-x"])
def test_a_token_that_is_none_is_refused(token: str):
    response = post("reset-password", {"token": token, "new_password": GOOD})
    assert response.status_code == 400


def test_keys_are_made_shown_once_and_revoked(alice: Any):
    owner = make_member(alice, Role.OWNER)
    client = bearer(signed_in(owner.email).json()["access_token"])
    body = {"name": "ci", "scopes": ["*"], "expires_in_days": 30}
    response = post("api-keys", body, client)
    assert response.status_code == 200
    made = response.json()
    assert list(made) == ["id", "name", "api_key", "scopes", "created_at", "expires_at"]
    assert made["api_key"].startswith("ap_")
    assert made["scopes"] == ["*"]
    key = Client(headers={"X-API-Key": made["api_key"]})
    assert key.get("/api/v1/speaker/jobs").status_code == 200
    # A key cannot see or make others.
    assert key.get(f"{AUTH}/api-keys").status_code == 403
    listed = client.get(f"{AUTH}/api-keys").json()
    assert [one["id"] for one in listed] == [made["id"]]
    assert "api_key" not in listed[0]
    assert client.get("/api/v1/api-keys").json() == listed
    assert client.delete(f"{AUTH}/api-keys/{made['id']}").status_code == 204
    assert key.get("/api/v1/speaker/jobs").status_code == 403


@pytest.mark.parametrize(
    "fields", [{"scopes": ["everything"]}, {"scopes": []}, {"expires_in_days": 0}, {"name": ""}]
)
def test_a_key_that_cannot_be_is_refused(alice: Any, fields: dict[str, Any]):
    owner = make_member(alice, Role.OWNER)
    client = bearer(signed_in(owner.email).json()["access_token"])
    assert post("api-keys", {"name": "ci"} | fields, client).status_code == 400
    assert not alice.api_keys.exists()


def test_keys_of_others_are_not_found(alice: Any, charlie: Any):
    make_key(charlie)
    owner = make_member(alice, Role.OWNER)
    client = bearer(signed_in(owner.email).json()["access_token"])
    response = client.delete(f"{AUTH}/api-keys/{charlie.api_keys.get().uuid}")
    assert (response.status_code, list(response.json())) == (404, ["detail"])
