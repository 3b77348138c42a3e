from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from accounts.api_keys import api_key_create
from accounts.audit import OPERATOR
from accounts.models import ApiKey, Membership
from tests.api.routes import OPEN, native_routes, routes
from tests.makers import make_key, make_member, make_token

pytestmark = pytest.mark.django_db

ANY_ID = "00000000-0000-4000-8000-000000000000"


def methods_that_need_a_key() -> list[tuple[str, str]]:
    return [
        (method, route.path(dict.fromkeys(route.ids, ANY_ID)))
        for route in native_routes()
        if route.name not in OPEN
        for method in route.methods
    ]


def refusal(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize(("method", "path"), methods_that_need_a_key())
def test_it_needs_a_key(client: Client, path: str, method: str):
    response = getattr(client, method)(path)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert method == "head" or refusal(response) == (401, "not_authenticated")


WAYS = [
    {"X-API-Key": "{}"},
    {"Authorization": "Bearer {}"},
    {"Authorization": "bearer  {}"},
    {"Authorization": "{}"},
    # Real clients send the same twice.
    {"X-API-Key": "{}", "Authorization": "Bearer {}"},
    {"X-API-Key": " {} ", "Authorization": "{}"},
    # An empty header is none.
    {"X-API-Key": "", "Authorization": "Bearer {}"},
    {"X-API-Key": "{}", "Authorization": ""},
]


@pytest.mark.parametrize("headers", WAYS)
@pytest.mark.parametrize("kind", ["key", "token"])
def test_it_takes_keys_and_tokens_in_each_usual_way(alice: Any, kind: str, headers: dict[str, str]):
    text = make_key(alice) if kind == "key" else make_token(make_member(alice, "viewer"), alice)
    client = Client(headers={name: value.format(text) for name, value in headers.items()})
    assert client.get("/v1/credits").status_code == 200


def test_two_different_credentials_are_refused(alice: Any, charlie: Any):
    key, other = make_key(alice), make_key(charlie)
    token = make_token(make_member(alice, "viewer"), alice)
    for first, second in ((key, other), (key, token), (key, "ap_wrong")):
        client = Client(headers={"X-API-Key": first, "Authorization": f"Bearer {second}"})
        for path in ("/v1/credits", "/v1/catalog"):
            assert refusal(client.get(path)) == (400, "two_credentials")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "ap_wrong"},
        {"X-API-Key": "ap_" + "A" * 46},
        {"X-API-Key": "é" * 49},
        {"X-API-Key": "a\0b"},
        {"X-API-Key": "a\nb"},
        {"X-API-Key": "x" * 100_000},
        {"X-API-Key": "ap_wrong", "Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Basic"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a b"},
        {"Authorization": "Bearer bearer"},
        {"Authorization": "Token x"},
        {"Authorization": "x"},
        {"Authorization": "Bearer rt_refresh"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/credits", "/v1/catalog"])
def test_it_refuses_a_wrong_key(headers: dict[str, str], path: str):
    """Where none is needed, too: its sender believes it to be good."""
    response = Client(headers=headers).get(path)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert refusal(response) == (401, "invalid_key")


@pytest.mark.parametrize("text", ["a.b.c", "..", "é.é.é", "e30.e30.", "." * 2, "\0.\0.\0"])
def test_it_refuses_a_wrong_token(text: str):
    response = Client(headers={"Authorization": f"Bearer {text}"}).get("/v1/credits")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert refusal(response) == (401, "invalid_token")


def test_it_says_why_a_key_no_longer_opens(alice: Any):
    key, text = api_key_create(workspace=alice, name="k", actor=OPERATOR)
    client = Client(headers={"X-API-Key": text})
    ApiKey.objects.update(expires_at=Now())
    assert refusal(client.get("/v1/credits")) == (401, "key_expired")
    ApiKey.objects.update(revoked_at=Now())
    assert refusal(client.get("/v1/credits")) == (401, "key_revoked")


def test_a_change_of_role_counts_on_the_very_next_call(alice: Any):
    person = make_member(alice, "admin")
    client = Client(headers={"Authorization": f"Bearer {make_token(person, alice)}"})
    assert client.get("/v1/audit").status_code == 200
    Membership.objects.filter(user=person).update(role="viewer")
    response = client.get("/v1/audit")
    assert refusal(response) == (403, "not_allowed")
    assert response.json()["error"]["data"] == {"scope": "audit:read"}
    Membership.objects.filter(user=person).delete()
    assert refusal(client.get("/v1/credits")) == (403, "not_a_member")


def test_a_key_does_what_its_scopes_say(alice: Any):
    client = Client(headers={"X-API-Key": make_key(alice, scopes=["credits:read"])})
    assert client.get("/v1/credits").status_code == 200
    for path in ("/v1/jobs", "/v1/keys", "/v1/audit", "/v1/auth/me"):
        assert refusal(client.get(path)) == (403, "not_allowed")


def test_a_browsers_session_neither_helps_nor_hinders(alice: Any):
    person = make_member(alice, "owner")
    client = Client()
    client.force_login(person)
    assert client.get("/v1/credits").status_code == 401
    key = make_key(alice)
    assert client.get("/v1/credits", headers={"X-API-Key": key}).status_code == 200


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


def test_a_foreign_host_is_refused_in_the_same_form(alice_client: Client):
    response = alice_client.get("/v1/credits", headers={"Host": "elsewhere.example"})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "validation_failed"
    assert error["request_id"] == response.headers["X-Request-ID"] != ""


def test_our_own_failure_is_answered_in_the_same_form(monkeypatch: pytest.MonkeyPatch):
    client = Client(raise_request_exception=False)
    monkeypatch.setattr("config.health.JsonResponse", lambda *args, **values: 1 / 0)
    response = client.get("/readyz")
    assert response.status_code == 500
    error = response.json()["error"]
    assert (error["code"], "zero" in response.text) == ("internal", False)
    assert error["request_id"] == response.headers["X-Request-ID"] != ""


def test_the_native_api_is_under_v1_alone():
    native = [route.pattern for route in routes() if route.name.startswith("native-")]
    assert "v1/jobs" in native
    assert not [pattern for pattern in native if not pattern.startswith("v1/")]
