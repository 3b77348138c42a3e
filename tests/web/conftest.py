from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.models import Role, User, Workspace
from tests.makers import PASSWORD, make_member, make_workspace


@pytest.fixture(autouse=True)
def _no_limits_left(settings: Any) -> Iterator[None]:
    """Failed attempts are counted in the cache, which a rollback empties too."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def person(db: None) -> User:
    return make_member(make_workspace("Studio", credits=0), Role.OWNER, email="alice@example.org")


@pytest.fixture
def workspace(person: User) -> Workspace:
    return person.memberships.get().workspace


@pytest.fixture
def signed_in(person: User) -> Client:
    client = Client()
    sign_in(client)
    return client


def sign_in(client: Client, email: str = "alice@example.org", password: str = PASSWORD) -> Any:
    return client.post("/account/login/", {"login": email, "password": password})
