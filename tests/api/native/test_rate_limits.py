"""The limits as a caller meets them."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from accounts.models import ApiKey, RateWindow
from tests.makers import make_key, make_member, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _low_limits(settings: Any) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 2
    settings.FAILED_AUTHENTICATIONS_PER_MINUTE = 2


def statuses(client: Client, path: str = "/v1/credits", *, count: int = 3) -> list[int]:
    return [client.get(path).status_code for _ in range(count)]


def test_every_answer_says_what_is_left(alice_client: Client):
    response = alice_client.get("/v1/credits")
    reset = response.headers["X-RateLimit-Reset"]
    assert reset in {"59", "60"}
    assert response.headers["RateLimit-Policy"] == '"default";q=2;w=60'
    assert response.headers["RateLimit"] == f'"default";r=1;t={reset}'
    assert response.headers["X-RateLimit-Limit"] == "2"
    assert response.headers["X-RateLimit-Remaining"] == "1"
    assert "Retry-After" not in response.headers


def test_above_the_limit_it_says_when_to_come_back(alice_client: Client):
    assert statuses(alice_client, count=2) == [200, 200]
    response = alice_client.get("/v1/credits")
    assert (response.status_code, response.json()["error"]["code"]) == (429, "too_many_requests")
    assert response.headers["Retry-After"] == response.headers["X-RateLimit-Reset"]
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["RateLimit"].startswith('"default";r=0;t=')


def test_endpoints_keys_and_people_are_counted_apart(alice: Any, alice_client: Client):
    person = make_member(alice, "viewer")
    assert statuses(alice_client) == [200, 200, 429]
    assert alice_client.get("/v1/credits/ledger").status_code == 200
    assert statuses(Client(headers={"X-API-Key": make_key(alice)})) == [200, 200, 429]
    # Two sign-ins are one person.
    first, second = (
        Client(headers={"Authorization": f"Bearer {make_token(person, alice)}"}) for _ in range(2)
    )
    assert [*statuses(first, count=2), *statuses(second, count=1)] == [200, 200, 429]


def test_head_and_get_share_a_count(alice_client: Client):
    assert alice_client.head("/v1/credits").status_code == 200
    assert statuses(alice_client, count=2) == [200, 429]
    assert alice_client.head("/v1/credits").status_code == 429


def test_refused_and_failed_calls_count(alice: Any):
    client = Client(headers={"X-API-Key": make_key(alice, scopes=["jobs:read"])})
    assert statuses(client) == [403, 403, 429]
    client = Client(headers={"X-API-Key": make_key(alice)})
    path = "/v1/jobs/00000000-0000-4000-8000-000000000000"
    assert statuses(client, path) == [404, 404, 429]


def test_a_key_can_have_a_limit_of_its_own(alice: Any):
    client = Client(headers={"X-API-Key": make_key(alice, rate_limit_per_minute=3)})
    assert statuses(client, count=4) == [200, 200, 200, 429]


def test_the_anonymous_are_counted_by_address(client: Client):
    assert statuses(client, "/v1/catalog") == [200, 200, 429]
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")
    assert elsewhere.get("/v1/catalog").status_code == 200
    assert statuses(client, "/v1/credits") == [401, 401, 429]


@pytest.mark.parametrize("path", ["/v1/openapi.json", "/v1/docs"])
def test_the_description_is_counted_too(client: Client, path: str):
    assert statuses(client, path) == [200, 200, 429]
    response = client.get(path)
    assert response.json()["error"]["code"] == "too_many_requests"
    assert int(response.headers["Retry-After"]) >= 1


def test_an_address_that_is_only_claimed_counts_for_nothing():
    answers = [
        Client().get("/v1/catalog", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
        for number in range(3)
    ]
    assert answers == [200, 200, 429]


def test_who_sends_wrong_keys_is_put_off(alice_client: Client):
    wrong = Client(headers={"X-API-Key": "ap_wrong"})
    # By address, whatever the endpoint.
    paths = ("/v1/credits", "/v1/jobs", "/v1/catalog")
    responses = [wrong.get(path) for path in paths]
    assert [response.status_code for response in responses] == [401, 401, 429]
    assert responses[2].json()["error"]["code"] == "too_many_attempts"
    assert int(responses[2].headers["Retry-After"]) >= 1
    # Others behind the same address are served.
    assert alice_client.get("/v1/credits").status_code == 200
    elsewhere = Client(headers={"X-API-Key": "ap_wrong"}, REMOTE_ADDR="192.0.2.7")
    assert elsewhere.get("/v1/credits").status_code == 401


def test_downloads_and_probes_are_not_limited(client: Client):
    assert statuses(client, "/v1/downloads/forged") == [404, 404, 404]
    assert statuses(client, "/livez") == statuses(client, "/readyz") == [200, 200, 200]
    assert not RateWindow.objects.exists()


def test_an_expired_key_counts_as_a_wrong_one(alice: Any):
    client = Client(headers={"X-API-Key": make_key(alice)})
    ApiKey.objects.filter(workspace=alice).update(expires_at=Now() - timedelta(days=1))
    responses = [client.get("/v1/credits") for _ in range(3)]
    assert [response.status_code for response in responses] == [401, 401, 429]
    assert responses[0].json()["error"]["code"] == "key_expired"
