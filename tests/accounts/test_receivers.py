"""What people do with their accounts is in the audit trail, and a thief's sign-ins end."""

import re
from typing import Any
from unittest import mock

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client

from accounts.addresses import address_release
from accounts.models import AuditEvent, Role, SignIn, User
from accounts.tokens import access_token_authenticate
from config.errors import TokenRevoked
from tests.makers import PASSWORD, make_code, make_member, make_token, make_user, make_workspace

pytestmark = pytest.mark.django_db

EMAIL = "alice@example.org"
OTHER = "alice@home.example.org"
BETTER = "a much better one"


@pytest.fixture
def person() -> User:
    return make_member(make_workspace("Studio", credits=0), Role.OWNER, email=EMAIL)


@pytest.fixture
def client(person: User) -> Client:
    """Signed in, and has given the password again."""
    client = Client()
    client.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    return client


def events(action: str) -> list[dict[str, Any]]:
    rows = AuditEvent.objects.filter(action=action).order_by("pk")
    assert {row.ip_address for row in rows} <= {"127.0.0.1"}
    assert {row.workspace_uuid for row in rows} <= {None}
    return [{"actor": row.actor_label, **row.data} for row in rows]


def token_of(person: User) -> str:
    return make_token(person, person.memberships.get().workspace)


def assert_revoked(token: str) -> None:
    with pytest.raises(TokenRevoked):
        access_token_authenticate(token)


def change_password(client: Client, old: str = PASSWORD) -> Any:
    body = {"oldpassword": old, "password1": BETTER, "password2": BETTER}
    return client.post("/account/password/change/", body)


def activate_app(client: Client) -> str:
    """Returns the code that did it."""
    client.get("/account/2fa/totp/activate/")
    code = make_code(client.session["mfa.totp.secret"])
    assert client.post("/account/2fa/totp/activate/", {"code": code}).status_code == 302
    return code


def test_signing_in(client: Client):
    assert events("user.logged_in") == [{"actor": EMAIL}]
    # Giving the password again is no sign-in.
    assert events("user.login_failed") == []


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.org"])
def test_failing_to_sign_in(person: User, email: str):
    Client().post("/account/login/", {"login": email, "password": "my secret"})
    assert events("user.login_failed") == [
        {"actor": "anonymous", "email": email, "reason": "credentials"}
    ]
    assert "my secret" not in str(list(AuditEvent.objects.values()))


# Notices are sent once a change is certain.
@pytest.mark.django_db(transaction=True)
def test_a_changed_password_ends_all_sign_ins(client: Client, person: User):
    tokens = [token_of(person), token_of(person)]
    bystander = make_member(person.memberships.get().workspace, Role.ADMIN)
    of_bystander = token_of(bystander)
    assert change_password(client).status_code == 302
    for token in tokens:
        assert_revoked(token)
    assert access_token_authenticate(of_bystander).user == bystander
    assert events("user.password_changed") == [{"actor": EMAIL}]
    ended = AuditEvent.objects.filter(action="sign_in.revoked")
    assert [row.ip_address for row in ended] == ["127.0.0.1"] * 2
    # This browser stays; others are out.
    assert client.get("/account/").status_code == 200
    assert [message.subject for message in mail.outbox] == ["Password Changed"]


@pytest.mark.django_db(transaction=True)
def test_a_mail_server_that_is_down_does_not_hide_the_change(
    client: Client, person: User, settings: Any, caplog: Any
):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    assert change_password(client).status_code == 302
    assert "notification_mail_failed" in caplog.text
    assert events("user.password_changed") == [{"actor": EMAIL}]


def test_a_wrong_old_password_changes_nothing(client: Client, person: User):
    token = token_of(person)
    assert change_password(client, old="wrong").status_code == 200
    assert access_token_authenticate(token).user == person
    assert events("user.password_changed") == []
    person.refresh_from_db()
    assert person.check_password(PASSWORD)


def test_a_changed_password_leaves_other_fields_alone(client: Client, person: User):
    """They may have changed since the person was read."""
    from allauth.account.adapter import get_adapter

    User.objects.filter(pk=person.pk).update(is_active=False)
    get_adapter().set_password(person, BETTER)
    person.refresh_from_db()
    assert (person.is_active, person.check_password(BETTER)) == (False, True)


def test_a_reset_password_ends_all_sign_ins_and_sessions(client: Client, person: User):
    token, visitor = token_of(person), Client()
    visitor.post("/account/password/reset/", {"email": EMAIL})
    found = re.search(r"http://127.0.0.1:8000(/\S+)", str(mail.outbox[-1].body))
    assert found
    form = visitor.get(found[1])["Location"]
    assert visitor.post(form, {"password1": BETTER, "password2": BETTER}).status_code == 302
    assert_revoked(token)
    assert client.get("/account/").status_code == 302
    assert events("user.password_reset") == [{"actor": EMAIL}]


def test_addresses_are_added_verified_changed_removed(client: Client, person: User):
    client.post("/account/email/", {"email": OTHER, "action_add": ""})
    assert events("user.email_added") == [{"actor": EMAIL, "email": OTHER}]
    found = re.search(r"http://127.0.0.1:8000(/\S+)", str(mail.outbox[-1].body))
    assert found
    client.post(found[1])
    assert events("user.email_verified") == [{"actor": EMAIL, "email": OTHER}]
    client.post("/account/email/", {"email": OTHER, "action_primary": ""})
    person.refresh_from_db()
    assert person.email == OTHER
    assert events("user.email_changed") == [{"actor": OTHER, "before": EMAIL, "after": OTHER}]
    client.post("/account/email/", {"email": EMAIL, "action_remove": ""})
    assert events("user.email_removed") == [{"actor": OTHER, "email": EMAIL}]
    assert EmailAddress.objects.get().email == person.email == OTHER


def test_a_stranger_cannot_keep_an_address_from_who_has_confirmed_it(client: Client, person: User):
    """Signed up with it, by whatever name, and never confirmed it."""
    stranger = make_user(OTHER, verified=False)
    client.post("/account/email/", {"email": OTHER, "action_add": ""})
    stranger.refresh_from_db()
    assert stranger.email == OTHER
    found = re.search(r"http://127.0.0.1:8000(/\S+)", str(mail.outbox[-1].body))
    assert found
    client.post(found[1])
    client.post("/account/email/", {"email": OTHER, "action_primary": ""})
    person.refresh_from_db()
    stranger.refresh_from_db()
    assert (person.email, stranger.email) == (OTHER, f"{stranger.uuid}@released.invalid")
    assert list(EmailAddress.objects.filter(email=OTHER).values_list("user")) == [(person.pk,)]
    released = AuditEvent.objects.get(action="user.email_released")
    assert released.target_uuid == stranger.uuid
    # The way in is the owner's alone.
    assert Client().post("/account/login/", {"login": OTHER, "password": PASSWORD})["Location"] == (
        "/app/"
    )


def test_who_has_confirmed_an_address_keeps_it(client: Client, person: User):
    owner = make_user(OTHER)
    client.post("/account/email/", {"email": OTHER, "action_add": ""})
    found = re.search(r"http://127.0.0.1:8000(/\S+)", str(mail.outbox[-1].body))
    assert found
    client.post(found[1])
    client.post("/account/email/", {"email": OTHER, "action_primary": ""})
    owner.refresh_from_db()
    person.refresh_from_db()
    assert (owner.email, person.email) == (OTHER, EMAIL)
    address_release(email=OTHER, owner=person)
    owner.refresh_from_db()
    assert owner.email == OTHER
    assert EmailAddress.objects.get(email=OTHER, verified=True).user == owner


def test_an_unverified_address_does_not_become_the_primary_one(client: Client, person: User):
    client.post("/account/email/", {"email": OTHER, "action_add": ""})
    client.post("/account/email/", {"email": OTHER, "action_primary": ""})
    person.refresh_from_db()
    assert person.email == EMAIL
    assert events("user.email_changed") == []


# In production they begin and end with a transaction of their own.
@pytest.mark.django_db(transaction=True)
def test_a_second_factor_is_added_and_removed(client: Client, person: User):
    token = token_of(person)
    activate_app(client)
    both = [{"actor": EMAIL, "type": "totp"}, {"actor": EMAIL, "type": "recovery_codes"}]
    assert events("user.mfa_added") == both
    # Whoever signed in with the password alone is out; this browser stays.
    assert_revoked(token)
    token = token_of(person)
    client.post("/account/2fa/recovery-codes/generate/")
    assert events("user.mfa_removed") == both[1:]
    assert events("user.mfa_added") == [*both, both[1]]
    assert access_token_authenticate(token).user == person
    secret = str(Authenticator.objects.get(type="totp").data["secret"])
    assert client.post("/account/2fa/totp/deactivate/")["Location"] == "/account/2fa/"
    assert events("user.mfa_removed") == [both[1], *both]
    assert_revoked(token)
    assert not Authenticator.objects.exists()
    assert secret not in str(list(AuditEvent.objects.values()))
    ended = AuditEvent.objects.filter(action="sign_in.revoked")
    assert [row.ip_address for row in ended] == ["127.0.0.1"] * 2


def test_the_code_that_activates_an_app_is_used_up(client: Client, person: User):
    body = {"email": EMAIL, "password": PASSWORD, "code": activate_app(client)}
    assert Client().post("/v1/auth/token", body, "application/json").status_code == 401
    assert SignIn.objects.count() == 0


def test_a_second_factor_taken_away_on_the_machine_is_recorded(person: User):
    token = token_of(person)
    totp.TOTP.activate(person, totp.generate_totp_secret())
    Authenticator.objects.all().delete()
    assert_revoked(token)
    rows = AuditEvent.objects.filter(action__startswith="user.mfa_").order_by("pk")
    found = [(row.action, row.actor_kind, row.target_uuid) for row in rows]
    assert found == [
        ("user.mfa_added", "operator", person.uuid),
        ("user.mfa_removed", "operator", person.uuid),
    ]


def add_confirmed_address(client: Client) -> None:
    user = User.objects.get()
    EmailAddress.objects.create(user=user, email=OTHER, verified=True)


@pytest.mark.parametrize(
    ("path", "body", "prepare"),
    [
        (
            "password/change/",
            {"oldpassword": PASSWORD, "password1": BETTER, "password2": BETTER},
            None,
        ),
        ("email/", {"email": OTHER, "action_add": ""}, None),
        ("email/", {"email": OTHER, "action_primary": ""}, add_confirmed_address),
        ("email/", {"email": OTHER, "action_remove": ""}, add_confirmed_address),
        ("2fa/totp/deactivate/", {}, activate_app),
        ("2fa/recovery-codes/generate/", {}, activate_app),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_a_change_and_its_record_are_one(
    client: Client, person: User, path: str, body: dict[str, str], prepare: Any
):
    """The process ends when it is about to record: then there is no change either."""
    if prepare:
        prepare(client)
        mail.outbox.clear()
    token = token_of(person)

    def state() -> list[Any]:
        models = (User, EmailAddress, Authenticator, AuditEvent)
        return [sorted(map(str, model.objects.values())) for model in models]

    before = state()
    killed = mock.patch("accounts.receivers.audit_record", side_effect=SystemExit)
    with killed, pytest.raises(SystemExit):
        client.post(f"/account/{path}", body)
    assert state() == before
    assert access_token_authenticate(token).user == person
    # Nobody is told of what did not happen, but who owns an address that was to be added.
    assert len(mail.outbox) == ("action_add" in body)


def test_a_wrong_code_is_recorded(person: User):
    totp.TOTP.activate(person, totp.generate_totp_secret())
    client = Client()
    client.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    assert client.post("/account/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert events("user.mfa_failed") == [{"actor": "anonymous", "email": EMAIL}]
    assert events("user.logged_in") == []


def test_ended_sessions_are_recorded(client: Client, person: User):
    other = Client(headers={"User-Agent": "Other browser"})
    other.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    assert client.post("/account/sessions/").status_code == 302
    assert other.get("/account/").status_code == 302
    assert client.get("/account/").status_code == 200
    assert Session.objects.count() == 1
    assert events("session.ended") == [
        {"actor": EMAIL, "ip_address": "127.0.0.1", "user_agent": "Other browser"}
    ]
    assert SignIn.objects.count() == 0
