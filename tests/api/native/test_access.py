from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver

from api.native.urls import urlpatterns
from tests.makers import make_key

pytestmark = pytest.mark.django_db

OPEN = {"native-download", "native-catalog", "native-openapi", "native-docs"}
ANY_ID = "00000000-0000-4000-8000-000000000000"


def paths_that_need_a_key() -> list[str]:
    return [
        "/v1/"
        + str(route.pattern).replace("<uuid:asset_uuid>", ANY_ID).replace("<uuid:job_uuid>", ANY_ID)
        for route in urlpatterns
        if route.name not in OPEN
    ]


@pytest.mark.parametrize("path", paths_that_need_a_key())
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_it_needs_a_key(client: Client, path: str, method: str):
    response = getattr(client, method)(path)
    assert response.status_code in {401, 405}
    if method in response.headers.get("Allow", method.upper()).lower():
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "not_authenticated"


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
    assert response.json()["error"]["code"] == "invalid_key"


def test_every_answer_names_its_request(alice_client: Client):
    response = alice_client.get("/v1/nothing")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"
    response = alice_client.put("/v1/credits")
    assert response.status_code == 405
    error = response.json()["error"]
    assert error["code"] == "method_not_allowed"
    assert error["request_id"] == response.headers["X-Request-ID"] != ""


def test_a_broken_body_is_the_callers_fault(alice_client: Client):
    response = alice_client.post("/v1/jobs", "{", content_type="application/json")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "validation_failed")


def test_nothing_is_answered_under_api():
    assert not [name for name in get_resolver().reverse_dict if str(name).startswith("api/")]
    assert Client().get("/api/v1/jobs").status_code == 404
