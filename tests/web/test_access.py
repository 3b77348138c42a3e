"""Every page of the app: who may see it, who may act on it, and that it knows no strangers' ids."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import Role, User, Workspace
from accounts.scopes import ROLE_SCOPES
from tests.api.routes import Route, routes
from tests.makers import make_member, make_workspace

pytestmark = pytest.mark.django_db

PAGES = {route.name: route for route in routes() if route.view.__module__.startswith("web.app")}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def studio(db: None) -> Workspace:
    return make_workspace("Studio", credits=5)


def _client(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def _path(route: Route) -> str:
    """With ids that nobody has."""
    return route.path(dict.fromkeys(route.parameters, UNKNOWN) | _NUMBERS)


# What is no UUID in an address.
_NUMBERS: dict[str, Any] = {}


def _methods(route: Route) -> tuple[str, ...]:
    methods: tuple[str, ...] = route.view.methods
    return methods


def test_every_page_of_the_app_says_who_may_see_it():
    without = [name for name, route in PAGES.items() if not hasattr(route.view, "methods")]
    assert without == []


@pytest.mark.parametrize("name", PAGES)
def test_nobody_else_gets_in(client: Client, name: str):
    for method in _methods(PAGES[name]):
        response = client.generic(method, _path(PAGES[name]))
        assert response.status_code == 302, method
        assert response["Location"].startswith("/account/login/")


@pytest.mark.parametrize("role", Role)
def test_each_role_gets_what_is_its_own(studio: Workspace, role: Role):
    client = _client(make_member(studio, role, email=f"{uuid4()}@example.org"))
    wrong = []
    for name, route in PAGES.items():
        scope = route.view.scope
        is_allowed = scope is None or scope in ROLE_SCOPES[role]
        for method in _methods(route):
            status = client.generic(method, _path(route)).status_code
            # A page may ask for more from those who act on it.
            is_refused_wrongly = is_allowed and method in ("GET", "HEAD") and status == 403
            if is_refused_wrongly or (not is_allowed and status != 403) or status >= 500:
                wrong.append(f"{name} {method}: {status}, needs {scope}")
            if is_allowed and route.parameters and status < 400:
                wrong.append(f"{name} {method}: {status} for an id that nobody has")
    assert wrong == []
