import time
from typing import Any

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth import SESSION_KEY
from django.test import Client

from accounts.flags import flags_forget
from accounts.models import Role, User, Workspace
from accounts.operators import operator_set
from tests.makers import make_member, make_user, make_workspace


@pytest.fixture(autouse=True)
def _fresh_flags() -> None:
    flags_forget()


@pytest.fixture
def operator(db: None) -> User:
    user = make_user("olga@example.org")
    TOTP.activate(user, generate_totp_secret())
    return operator_set(email=user.email, is_operator=True)


@pytest.fixture
def console(operator: User) -> Client:
    """A client of an operator who gave the second factor just now."""
    return enter(operator)


@pytest.fixture
def second(db: None) -> Client:
    """Of another operator."""
    user = make_user("otto@example.org")
    TOTP.activate(user, generate_totp_secret())
    return enter(operator_set(email=user.email, is_operator=True))


@pytest.fixture
def studio(db: None) -> Workspace:
    return make_workspace("Studio", credits=100)


@pytest.fixture
def alice(studio: Workspace) -> User:
    return make_member(studio, Role.OWNER, email="alice@example.org")


def enter(user: User, *, age_s: float = 0) -> Client:
    """A session with a second factor that was given so long ago."""
    client = Client()
    client.force_login(user)
    factor_give(client, age_s=age_s)
    return client


def factor_give(client: Client, *, age_s: float = 0) -> None:
    session = client.session
    record: dict[str, Any] = {"method": "mfa", "type": "totp", "at": time.time() - age_s}
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [record]
    session["account_authentication_methods_user"] = session[SESSION_KEY]
    session.save()
