"""Every error has this API's own body, also where no view of it was asked."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.test import Client

from accounts.models import ApiKey
from config import errors
from jobs.models import Asset, Ingest, Job
from tests.api.musicgpt.steps import JSON, ROOT, URL, by_id, extract, refused, wav
from tests.makers import make_key, make_workspace

pytestmark = pytest.mark.django_db


def test_a_key_is_needed(alice: Any):
    says = refused(by_id(Client(), task_id=uuid4()), 401)
    assert says == "Send your API key as the header Authorization."
    response = by_id(Client(headers={"Authorization": "ap_wrong"}), task_id=uuid4())
    assert refused(response, 401) == "This API key is not valid."
    assert response.headers["WWW-Authenticate"] == "Bearer"
    key = make_key(alice)
    ApiKey.objects.update(expires_at=Now() - timedelta(days=1))
    expired = Client(headers={"Authorization": key})
    assert refused(by_id(expired, task_id=uuid4()), 401) == "This API key has expired."


@pytest.mark.parametrize("header", ["{key}", "Bearer {key}", "bearer {key}"])
def test_the_key_is_taken_bare_and_as_bearer(alice: Any, header: str):
    client = Client(headers={"Authorization": header.format(key=make_key(alice))})
    refused(by_id(client, task_id=uuid4()), 404)


def test_two_different_keys_are_refused(alice: Any, charlie: Any):
    headers = {"Authorization": make_key(alice), "X-API-Key": make_key(charlie)}
    refused(by_id(Client(headers=headers), task_id=uuid4()), 400)


def test_a_key_that_may_only_read_cannot_order(alice: Any):
    key = make_key(alice, scopes=["jobs:read"])
    client = Client(headers={"Authorization": key})
    says = refused(extract(client, audio_file=wav(), stems="vocals"), 403)
    assert says == "This needs the right jobs:write."
    assert not Asset.objects.exists()


def test_addresses_that_do_not_exist(client: Client):
    says = refused(client.get(f"{ROOT}/a/b"), 404)
    assert says == "There is no such address."
    refused(client.get(f"{ROOT}/"), 404)
    assert refused(client.get(f"{ROOT}/TextToSpeech"), 404).startswith("TextToSpeech is not")


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options"])
def test_methods_that_are_not_offered(client: Client, method: str):
    refused(getattr(client, method)(f"{ROOT}/Extraction"), 405)


def test_bodies_that_are_not_what_their_type_says(client: Client):
    def post(body: Any, content_type: str) -> Any:
        return client.post(f"{ROOT}/Extraction", body, content_type=content_type)

    says = "The body is not what its content type says."
    assert refused(post(b"{", JSON), 400) == says
    assert refused(post(b'{"audio_url": "\\ud800"}', JSON), 400) == says
    assert refused(post(b"x", "multipart/form-data"), 400) == says
    assert refused(post(b'["a"]', JSON), 400) == "The body must be an object."
    refused(post(b"<a/>", "application/xml"), 415)
    # No body at all is an empty form.
    assert refused(post(b"", JSON), 422) == "Both audio_url and audio_file cannot be None."


def test_a_file_that_is_too_large(client: Client, settings: Any):
    settings.UPLOAD_MAX_BYTES = 1000
    refused(extract(client, audio_file=wav(), stems="vocals"), 413)
    assert not Asset.objects.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "The file is empty."), (b"not a recording", None)],
)
def test_a_file_that_is_no_recording(client: Client, content: bytes, says: str | None):
    file = wav()
    file.seek(0)
    file.truncate()
    file.write(content)
    file.seek(0)
    found = refused(extract(client, audio_file=file, stems="vocals"), 422)
    assert says is None or found == says
    assert not Job.objects.exists()


def test_too_many_open_downloads(client: Client, settings: Any):
    settings.IMPORTS_OPEN = 1
    assert extract(client, audio_url=URL, stems="vocals").status_code == 200
    refused(extract(client, audio_url=URL, stems="vocals"), 409)
    assert Job.objects.count() == 1


def test_without_any_credit_nothing_is_fetched():
    client = Client(headers={"Authorization": make_key(make_workspace("Poor", credits=0))})
    assert refused(extract(client, audio_url=URL, stems="vocals"), 402) == "Not enough credits."
    assert not Job.objects.exists()
    assert not Ingest.objects.exists()


def test_sixty_orders_a_minute_and_two_hundred_questions(client: Client):
    response = client.post(f"{ROOT}/Extraction", {})
    assert response.headers["X-RateLimit-Limit"] == "60"
    for _ in range(59):
        refused(client.post(f"{ROOT}/Extraction", {}), 422)
    response = client.post(f"{ROOT}/Extraction", {})
    refused(response, 429)
    assert 0 < int(response.headers["Retry-After"]) <= 60
    # Each address counts by itself.
    refused(client.post(f"{ROOT}/denoise", {}), 422)
    response = by_id(client, task_id=uuid4())
    refused(response, 404)
    assert response.headers["X-RateLimit-Limit"] == "200"


def test_a_fault_of_ours_tells_nothing(client: Client, monkeypatch: pytest.MonkeyPatch):
    def fail(**_: Any) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr("api.musicgpt.reading_views.conversion_get", fail)
    says = refused(by_id(client, task_id=uuid4()), 500)
    assert says == "Something went wrong on our side."


def test_so_does_one_outside_of_the_views(client: Client, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr("api.musicgpt.reading_views.ByIdApi.dispatch", fail)
    client.raise_request_exception = False
    says = refused(by_id(client, task_id=uuid4()), 500)
    assert says == "Something went wrong on our side."


def test_where_there_is_no_room_the_time_to_wait_is_told(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    def full(**_: Any) -> None:
        raise errors.NoRoom(headers={"Retry-After": "2"})

    monkeypatch.setattr("api.musicgpt.ordering_views.conversion_create", full)
    response = extract(client, audio_file=wav(), stems="vocals")
    refused(response, 503)
    assert response.headers["Retry-After"] == "2"


def test_a_key_of_repetition_must_be_readable(client: Client):
    headers = {"Idempotency-Key": "x" * 201}
    says = refused(extract(client, headers=headers, audio_url=URL, stems="vocals"), 422)
    assert says.startswith("Idempotency-Key: ")


def test_a_lower_limit_of_the_key_itself_holds(alice: Any):
    slow = Client(headers={"Authorization": make_key(alice, rate_limit_per_minute=2)})
    for path in (f"{ROOT}/byUser", f"{ROOT}/byId"):
        assert [slow.get(path).status_code == 429 for _ in range(3)] == [False, False, True]
    orders = [slow.post(f"{ROOT}/Extraction", {}, JSON).status_code == 429 for _ in range(3)]
    assert orders == [False, False, True]
