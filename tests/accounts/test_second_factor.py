"""Secrets of second factors are encrypted where they are kept; nonsense is refused."""

import json
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from allauth.mfa.utils import decrypt
from cryptography.fernet import Fernet
from django.db import connection
from django.test import Client

from accounts.models import User
from tests.makers import PASSWORD, make_user

pytestmark = pytest.mark.django_db

SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture
def person() -> User:
    return make_user()


def kept() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(data::text, ' ') FROM mfa_authenticator")
        return str(cursor.fetchone()[0])


def secret() -> str:
    return str(decrypt(Authenticator.objects.get(type="totp").data["secret"]))


def test_no_secret_is_kept_in_the_clear(person: User):
    TOTP.activate(person, SECRET)
    codes = RecoveryCodes.activate(person)
    assert SECRET not in kept()
    assert secret() == SECRET
    first = codes.generate_codes()[0]
    assert first not in kept()
    assert codes.validate_code(first)
    assert not codes.validate_code(first)


def test_a_key_is_replaced_while_the_former_still_opens(person: User, settings: Any):
    TOTP.activate(person, SECRET)
    former, newest = settings.MFA_ENCRYPTION_KEYS, Fernet.generate_key().decode()
    settings.MFA_ENCRYPTION_KEYS = [newest, *former]
    assert secret() == SECRET
    Authenticator.objects.all().delete()
    TOTP.activate(person, SECRET)
    settings.MFA_ENCRYPTION_KEYS = [newest]
    assert secret() == SECRET
    settings.MFA_ENCRYPTION_KEYS = former
    # Dropped too early: nobody gets in, and nothing breaks.
    client = Client()
    client.post("/account/login/", {"login": person.email, "password": PASSWORD})
    assert client.post("/account/2fa/authenticate/", {"code": "123456"}).status_code == 200
    body = {"email": person.email, "password": PASSWORD, "code": "123456"}
    response = Client().post("/v1/auth/token", body, content_type="application/json")
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_credentials")


NONSENSE = [
    {"id": "a", "rawId": "a", "type": "public-key"},
    {"id": None},
    {"id": "é", "rawId": "é"},
    [],
    *(
        {
            "id": "YQ",
            "rawId": "YQ",
            "type": "public-key",
            # Of another JSON, CBOR or length than a passkey sends.
            "response": dict.fromkeys(
                ["clientDataJSON", "attestationObject", "authenticatorData", "signature"], part
            ),
        }
        for part in ("a", "é", "YQ", "e30", "W10", "gA", "oA", "A" * 50, 5, None)
    ),
]


@pytest.mark.parametrize("credential", NONSENSE, ids=range(len(NONSENSE)))
def test_what_is_no_passkey_is_refused(person: User, credential: Any):
    _refused(person, json.dumps(credential))


def test_json_that_is_too_deep_is_refused(person: User):
    _refused(person, "[" * 5_000)


def _refused(person: User, credential: str) -> None:
    body = {"name": "x", "credential": credential}

    def answer(client: Client, path: str) -> int:
        client.get(f"/account/2fa/{path}")
        return client.post(f"/account/2fa/{path}", body).status_code

    stranger, halfway, inside = Client(), Client(), Client()
    assert answer(stranger, "webauthn/login/") == 302
    inside.post("/account/login/", {"login": person.email, "password": PASSWORD})
    inside.post("/account/reauthenticate/", {"password": PASSWORD})
    assert answer(inside, "webauthn/add/") == 200
    assert not Authenticator.objects.exists()
    assert answer(inside, "webauthn/reauthenticate/") == 302
    TOTP.activate(person, SECRET)
    halfway.post("/account/login/", {"login": person.email, "password": PASSWORD})
    assert answer(halfway, "authenticate/") == 200
    assert halfway.get("/account/").status_code == 302
