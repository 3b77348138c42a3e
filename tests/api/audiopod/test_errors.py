"""Each error in the words of this API, also those that no view raises."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiKey
from billing.selectors import wallet_get
from jobs.models import Asset, AssetState, Ingest, Job
from tests.api.audiopod.steps import EXTRACT, STEMS, TALK, ordered, wav
from tests.makers import make_key

pytestmark = pytest.mark.django_db

JOBS = "/api/v1/speaker/jobs"


def test_a_call_without_a_key_is_refused(client: Client):
    response = Client().get(JOBS)
    assert response.status_code == 401
    assert response.json() == {
        "detail": "Send an API key (X-API-Key: ap_…) or an access token (Authorization: Bearer …).",
        "error_code": "not_authenticated",
    }
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_that_is_not_known_is_refused():
    response = Client(headers={"X-API-Key": "ap_wrong"}).get(JOBS)
    assert (response.status_code, response.json()["error_code"]) == (401, "invalid_key")


def test_a_key_may_be_sent_as_a_bearer_and_twice(alice: Any):
    key = make_key(alice)
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"Bearer {key}", "X-API-Key": key},
    ):
        assert Client(headers=headers).get(JOBS).status_code == 200


def test_a_key_that_was_revoked_is_forbidden(client: Client):
    ApiKey.objects.update(revoked_at="2026-01-01T00:00:00Z")
    response = client.get(JOBS)
    assert (response.status_code, response.json()) == (
        403,
        {"detail": "This API key was revoked."},
    )


def test_a_right_that_a_key_lacks_is_named(alice: Any):
    client = Client(headers={"X-API-Key": make_key(alice, scopes=["jobs:read"])})
    response = client.post(EXTRACT, {"file": wav()})
    assert response.status_code == 403
    assert response.json() == {"detail": "This needs the right jobs:write."}
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/speaker", 404),
        ("GET", "/api/v1/speaker/nothing", 404),
        ("GET", "/api/v1/jobs/x", 404),
        ("GET", "/api/v1/jobs/0", 404),
        ("GET", f"/api/v1/jobs/{2**63}", 404),
        ("GET", f"/api/v1/jobs/{10**60}", 404),
        ("DELETE", f"/api/v1/stem-extraction/jobs/{2**64}", 404),
        ("PUT", EXTRACT, 405),
        ("PATCH", JOBS, 405),
        ("OPTIONS", EXTRACT, 405),
    ],
)
def test_what_is_not_there_has_a_detail_only(client: Client, method: str, path: str, status: int):
    response = client.generic(method, path)
    assert response.status_code == status
    assert list(response.json()) == ["detail"]
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "file"),
        ({"url": "https://example.org/a.wav", "file": wav()}, "file"),
        ({"file": "text"}, "file"),
        ({"url": "ftp://example.org/a.wav"}, None),
        ({"url": "http://127.0.0.1/a.wav"}, None),
        ({"url": "https://example.org/\x00.wav"}, "url"),
        ({"url": "https://example.org/a.wav", "num_speakers": "many"}, "num_speakers"),
        ({"url": "https://example.org/a.wav", "num_speakers": 10**30}, "num_speakers"),
        ({"url": "https://example.org/a.wav", "num_speakers": 0}, "num_speakers"),
    ],
)
def test_what_is_wrong_with_an_order_is_named(client: Client, fields: Any, named: str | None):
    response = client.post(EXTRACT, fields)
    assert response.status_code == 400, response.content
    body = response.json()
    assert list(body) == ["error_code", "message", "details"]
    assert body["error_code"] == "INVALID_PARAMETER"
    assert body["message"]
    assert named is None or list(body["details"]["fields"]) == [named]
    assert not Job.objects.exists()
    assert not Ingest.objects.exists()


@pytest.mark.parametrize("count", ["many", "0", "99", "\x00"])
def test_the_count_of_the_query_is_checked_too(client: Client, count: str):
    response = client.post(f"{EXTRACT}?num_speakers=" + count.replace("\x00", "%00"))
    assert response.status_code == 400
    assert list(response.json()["details"]["fields"]) == ["num_speakers"]


def test_the_count_of_the_form_goes_before_that_of_the_query(client: Client):
    ordered(client, f"{EXTRACT}?num_speakers=2")
    ordered(client, f"{EXTRACT}?num_speakers=2", num_speakers=3)
    counts = [job.options["num_speakers"] for job in Job.objects.order_by("pk")]
    assert counts == [2, 3]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "skip=-1", "skip=x", "status=DONE"])
def test_a_list_refuses_what_it_cannot_mean(client: Client, query: str):
    assert client.get(f"{JOBS}?{query}").status_code == 400


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"x"', b"\xff"])
def test_a_body_that_is_not_what_it_says_is_refused(client: Client, body: bytes):
    response = client.post(EXTRACT, body, content_type="application/json")
    assert (response.status_code, response.json()["error_code"]) == (400, "INVALID_PARAMETER")


def test_a_kind_of_body_that_is_not_known_is_refused(client: Client):
    response = client.post(EXTRACT, b"<a/>", content_type="application/xml")
    assert (response.status_code, list(response.json())) == (415, ["detail"])


def test_a_body_that_is_too_large_is_refused(client: Client, settings: Any):
    settings.UPLOAD_MAX_BYTES = 1000
    response = client.post(EXTRACT, {"file": wav()})
    assert (response.status_code, list(response.json())) == (413, ["detail"])


def test_a_file_that_is_no_recording_is_refused_with_what_would_do(client: Client):
    response = client.post(EXTRACT, {"file": wav("notes.TXT", content=b"no audio")})
    assert response.status_code == 400
    body = response.json()
    assert (body["error_code"], body["message"]) == (
        "INVALID_AUDIO_FORMAT",
        "Invalid file type. Must be audio or video file.",
    )
    details = body["details"]
    assert (details["content_type"], details["extension"]) == ("audio/wav", ".txt")
    assert {"supported_formats", "supported_extensions"} <= {*details}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (EXTRACT, "Failed to extract speakers from audio"),
        ("/api/v1/speaker/diarize", "Failed to diarize audio"),
        (f"{STEMS}/api/extract", "Failed to extract stems from audio"),
        ("/api/v1/denoiser/denoise", "Failed to denoise audio"),
    ],
)
def test_a_damaged_recording_says_what_failed(client: Client, path: str, message: str):
    response = client.post(path, {"file": wav("a.flac", content=TALK.read_bytes()[:100])})
    assert response.status_code == 422
    assert response.json()["error_code"] == "PROCESSING_FAILED"
    assert response.json()["message"] == message
    assert response.json()["details"]["reason"]


def test_what_cannot_be_paid_leaves_nothing_behind(client: Client, alice: Any):
    response = client.post(EXTRACT, {"file": wav(seconds=4.001)})
    assert response.status_code == 402
    # 110.0275 credits are needed: whole ones, so that nobody who has 110 is told that it is enough.
    assert response.json() == {
        "detail": "Insufficient credits for processing. Required: 111, Available: 100"
    }
    assert not Job.objects.exists()
    assert not Asset.objects.filter(state=AssetState.READY).exists()
    assert wallet_get(workspace=alice).held_mcr == 0


def test_a_fault_of_ours_tells_nothing(client: Client, monkeypatch: pytest.MonkeyPatch):
    def fail(**_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("api.audiopod.speaker.job_get", fail)
    response = client.get(f"{JOBS}/1")
    assert (response.status_code, response.json()) == (500, {"detail": "Internal server error"})


def test_storage_that_is_away_is_a_503(client: Client, monkeypatch: pytest.MonkeyPatch):
    from jobs.storage import StorageFailed

    def fail(**_: Any) -> None:
        raise StorageFailed("gone")

    monkeypatch.setattr("jobs.services.storage_save", fail)
    response = client.post(EXTRACT, {"file": wav()})
    assert response.status_code == 503
    assert response.json() == {"detail": "Storage does not answer; try again a little later."}
