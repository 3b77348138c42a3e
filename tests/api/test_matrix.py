"""Every address x every method x every kind of caller: the exact status of each.

`matrix.txt` lists what is offered: a route, its methods, the status for each caller. Whatever it
does not list must be refused: with 405, or 401 for a key that is not valid any more. A new route
fails until it is listed; so does a method that a listed route has gained. To whom a method that is
not there is refused makes no difference in the code, so three kinds of callers ask for all.
"""

from copy import deepcopy
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from api.views import ApiView
from tests.api.routes import Route, routes
from tests.api.world import CALLERS, World, make_world

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LINES = [
    line.split()
    for line in Path(__file__).with_name("matrix.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
ASK_FOR_ALL = {"owner", "expired_key", "anonymous"}
OFFERED = {
    (route, method, caller): int(status)
    for route, methods, *statuses in LINES
    for method in methods.split(",")
    for caller, status in zip(CALLERS, statuses, strict=True)
}


@pytest.fixture
def world(db: None, tmp_path: Path, settings: Any) -> World:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.SYNC_WAIT_SECONDS = 0
    return make_world(tmp_path)


# tests/web sees to the pages of the app and of the console.
ROUTES = [
    route
    for route in routes()
    if not route.view.__module__.startswith("web.") and not route.pattern.startswith("console/")
]


def test_every_route_is_listed():
    listed = {name for name, *_ in LINES}
    assert {route.name for route in ROUTES} <= listed <= {route.name for route in routes()}


@pytest.mark.parametrize("caller", CALLERS)
def test_everybody_gets_exactly_what_is_theirs(world: World, caller: str):
    client = world.client(caller)
    wrong = []
    for route in ROUTES:
        for method in METHODS:
            offered = OFFERED.get((route.name, method, caller))
            if offered is None and caller not in ASK_FOR_ALL:
                continue
            expected = offered or refusal(route, caller)
            found = ask(world, client, route, method)
            if found != expected:
                wrong.append(f"{route.name} {method}: {found} instead of {expected}")
    assert not wrong, "\n".join(wrong)


def refusal(route: Route, caller: str) -> int:
    takes_keys = is_api(route) and route.view.view_class.authentication_classes
    if takes_keys and caller == "expired_key":
        # AudioPod tells keys that are no longer valid from those that never were.
        return 403 if route.name.startswith("audiopod-") else 401
    return 404 if says_in_body(route) else 405


def says_in_body(route: Route) -> bool:
    """Whether the status of an answer is the `code` of its body."""
    return route.name.startswith("sunoapi-")


def is_api(route: Route) -> bool:
    return issubclass(getattr(route.view, "view_class", object), ApiView)


def ask(world: World, client: Client, route: Route, method: str) -> int:
    """Ask, and take back whatever the answer changed."""
    session = client.cookies
    client.cookies = SimpleCookie() if is_api(route) else deepcopy(session)
    # Not `atomic`: some services insist on being the outermost transaction.
    savepoint = transaction.savepoint()
    response: Any = client.generic(
        method,
        route.path({**world.ids, **world.ids_of_route.get(route.name, {})})
        + world.queries.get(route.name, ""),
        **world.body(route.name, method),
    )
    response.close()
    transaction.savepoint_rollback(savepoint)
    client.cookies = session
    return int(response.data["code"] if says_in_body(route) else response.status_code)
