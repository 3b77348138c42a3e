"""Every code of the table, wherever it comes from."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from api.sunoapi.errors import CODES, code_of, failure_code, render
from billing.selectors import wallet_get
from config import errors
from jobs.models import Job
from tests.api.sunoapi.steps import NOWHERE, pair_of, post, refused, separated
from tests.makers import make_key, make_member, make_token, make_workspace

pytestmark = pytest.mark.django_db
GENERATE = "/api/v1/vocal-removal/generate"
RECORD = "/api/v1/vocal-removal/record-info"
CREDIT = "/api/v1/generate/credit"


def bearer(key: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {key}"})


@pytest.mark.parametrize(
    "path", [GENERATE, "/api/file-url-upload", "/api/file-base64-upload", "/api/file-stream-upload"]
)
def test_without_a_good_key(alice: Any, path: str):
    for headers in ({}, {"Authorization": "Bearer ap_no"}, {"Authorization": "Basic a"}):
        assert refused(post(Client(), path, {}, **headers))[0] == 401
    assert refused(Client().get(CREDIT))[0] == 401


def test_a_key_without_the_right(alice: Any, tmp_path: Path):
    reader = bearer(make_key(alice, scopes=["jobs:read"]))
    body = {**pair_of(alice, tmp_path), "callBackUrl": NOWHERE}
    assert refused(post(reader, GENERATE, body)) == (401, "This needs the right jobs:write.")
    assert refused(reader.get(CREDIT))[0] == 401
    assert Job.objects.count() == 0


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/vocal-removal",
        "/api/v1/vocal-removal/",
        "/api/v1/vocal-removal/generate/",
        "/api/v1/wav/no",
        "/api/v1/midi/no",
        # Over there, of music that is made up.
        "/api/v1/generate",
        "/api/v1/generate/no",
        "/api/v1/account/no",
        "/api/file-no-upload",
        "/api/v1/vocal-removal/\x00",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_addresses_that_there_are_not(client: Client, path: str, method: str):
    assert refused(client.generic(method, path)) == (404, "There is no such address.")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", GENERATE), ("POST", RECORD), ("PUT", CREDIT), ("OPTIONS", "/api/file-url-upload")],
)
def test_methods_that_there_are_not(client: Client, method: str, path: str):
    assert refused(client.generic(method, path)) == (404, "This method is not offered here.")


def test_too_few_credits(tmp_path: Path):
    workspace = make_workspace("Poor", credits=49)
    client = bearer(make_key(workspace))
    pair = pair_of(workspace, tmp_path)
    body = {**pair, "callBackUrl": NOWHERE, "type": "split_stem"}
    text = "This costs 50 credits; 49 are available."
    assert refused(post(client, GENERATE, body)) == (429, text)
    assert Job.objects.count() == 0
    separated(client, pair)
    assert client.get(CREDIT).json() == {"code": 200, "msg": "success", "data": 39}


def test_too_few_credits_for_a_file_by_address(settings: Any):
    client = bearer(make_key(make_workspace("Poor", credits=9)))
    body = {"audioUrl": "https://media.example.org/a.wav", "callBackUrl": NOWHERE}
    assert refused(post(client, GENERATE, body))[0] == 429
    assert Job.objects.count() == 0


def test_the_cap_of_a_key(alice: Any, tmp_path: Path):
    client = bearer(make_key(alice, monthly_cap_mcr=9_999))
    body = {**pair_of(alice, tmp_path), "callBackUrl": NOWHERE}
    assert refused(post(client, GENERATE, body))[0] == 429
    assert wallet_get(workspace=alice).held_mcr == 0


def test_more_than_twenty_orders_in_ten_seconds(client: Client, alice: Any):
    codes = [refused(post(client, GENERATE, {}))[0] for _ in range(21)]
    assert codes == [400] * 20 + [430]
    response = post(client, GENERATE, {})
    assert refused(response)[1] == "Your call frequency is too high. Please try again later."
    assert 1 <= int(response.headers["Retry-After"]) <= 10
    assert response.headers["RateLimit-Policy"] == '"default";q=20;w=10'
    # Others, and other calls, are not held up by it.
    assert refused(post(bearer(make_key(alice)), GENERATE, {}))[0] == 400
    assert client.get(CREDIT).json()["code"] == 200


def test_other_limits_are_theirs_too(client: Client, alice: Any, settings: Any):
    settings.RATE_LIMIT_PER_MINUTE = 1
    assert client.get(CREDIT).json()["code"] == 200
    response = client.get(CREDIT)
    assert refused(response)[0] == 405
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    # The limit of a key holds for its orders.
    slow = bearer(make_key(alice, rate_limit_per_minute=2))
    assert [refused(post(slow, GENERATE, {}))[0] for _ in range(3)] == [400, 400, 405]


def test_a_person_is_no_key(alice: Any, tmp_path: Path):
    client = bearer(make_token(make_member(alice, "developer"), alice))
    separated(client, pair_of(alice, tmp_path))


def test_maintenance_and_faults(client: Client, monkeypatch: pytest.MonkeyPatch):
    def fail(error: Exception) -> Any:
        def view(**_: Any) -> None:
            raise error

        return view

    cases = [
        (errors.Unavailable(), 455),
        (errors.NoRoom(headers={"Retry-After": "2"}), 455),
        (ValueError("a secret"), 500),
    ]
    for error, code in cases:
        monkeypatch.setattr("api.sunoapi.credit.wallet_get", fail(error))
        response = client.get(CREDIT)
        found, text = refused(response)
        assert found == code
        assert "secret" not in text
        assert response.headers["X-Request-ID"]


def test_a_fault_outside_of_any_view(client: Client, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("a secret")

    client.raise_request_exception = False
    monkeypatch.setattr("django.middleware.common.CommonMiddleware.process_request", fail)
    assert refused(client.get(CREDIT)) == (500, "Something went wrong on our side.")


def test_every_error_has_a_code_of_theirs():
    def kinds(kind: type[errors.AppError]) -> list[type[errors.AppError]]:
        return [kind, *(one for sub in kind.__subclasses__() for one in kinds(sub))]

    for kind in kinds(errors.AppError):
        rendered = render(kind())
        assert rendered.body["code"] in CODES[1:]
        assert rendered.status == (401 if rendered.body["code"] == 401 else 200)
    assert code_of(errors.ModelUnavailable()) == 400
    assert code_of(errors.IdempotencyConflict()) == 400
    assert code_of(errors.LimitReached()) == 405
    assert code_of(errors.TooLarge()) == 413


@pytest.mark.parametrize(
    ("error_code", "code"),
    [
        ("insufficient_credits", 429),
        ("key_cap_reached", 429),
        ("broken_media", 400),
        ("no_audio_stream", 400),
        ("bad_answer", 400),
        ("unknown_stem", 400),
        ("", 400),
        ("internal", 500),
        ("engine_lost", 500),
        ("time_limit", 500),
        ("something_new", 500),
    ],
)
def test_codes_of_tasks_that_failed(error_code: str, code: int):
    assert failure_code(error_code) == code
