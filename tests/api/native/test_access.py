from typing import Any

import pytest
from django.test import Client

from tests.api.routes import OPEN, native_routes, routes
from tests.makers import make_key

pytestmark = pytest.mark.django_db

ANY_ID = "00000000-0000-4000-8000-000000000000"


def paths_that_need_a_key() -> list[str]:
    return [
        route.path({"asset_uuid": ANY_ID, "job_uuid": ANY_ID})
        for route in native_routes()
        if route.name not in OPEN
    ]


@pytest.mark.parametrize("path", paths_that_need_a_key())
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_it_needs_a_key(client: Client, path: str, method: str):
    response = getattr(client, method)(path)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "not_authenticated"
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "{}"},
        {"Authorization": "Bearer {}"},
        {"Authorization": "bearer  {}"},
        {"Authorization": "{}"},
    ],
)
def test_it_takes_the_key_in_each_usual_way(alice: Any, headers: dict[str, str]):
    key = make_key(alice)
    client = Client(headers={name: value.format(key) for name, value in headers.items()})
    assert client.get("/v1/credits").status_code == 200


@pytest.mark.parametrize(
    "headers", [{"X-API-Key": "ap_wrong"}, {"Authorization": "Basic YTpi"}, {"Authorization": "x"}]
)
def test_it_refuses_a_wrong_key(headers: dict[str, str]):
    response = Client(headers=headers).get("/v1/credits")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "invalid_key"


def test_every_answer_names_its_request(alice_client: Client):
    response = alice_client.get("/v1/nothing")
    assert response.status_code == 404
    error = response.json()["error"]
    assert error["code"] == "not_found"
    assert error["request_id"] == response.headers["X-Request-ID"] != ""
    response = alice_client.put("/v1/credits")
    assert response.status_code == 405
    error = response.json()["error"]
    assert error["code"] == "method_not_allowed"
    assert error["request_id"] == response.headers["X-Request-ID"] != ""


@pytest.mark.parametrize("path", ["/v1/credits", "/nothing"])
def test_a_foreign_host_is_refused_in_the_same_form(alice_client: Client, path: str):
    response = alice_client.get(path, headers={"Host": "elsewhere.example"})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "validation_failed"
    assert error["request_id"] == response.headers["X-Request-ID"] != ""


def test_our_own_failure_is_answered_in_the_same_form(monkeypatch: pytest.MonkeyPatch):
    client = Client(raise_request_exception=False)
    monkeypatch.setattr("config.health._database_is_migrated", lambda: 1 / 0)
    response = client.get("/readyz")
    assert response.status_code == 500
    error = response.json()["error"]
    assert (error["code"], "zero" in response.text) == ("internal", False)
    assert error["request_id"] == response.headers["X-Request-ID"] != ""


def test_nothing_is_answered_under_api():
    every = [route.pattern for route in routes()]
    assert "v1/jobs" in every
    assert not [pattern for pattern in every if pattern.startswith("api")]
    assert Client().get("/api/v1/jobs").status_code == 404
