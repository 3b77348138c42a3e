import hashlib
import io
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from accounts.models import Workspace
from jobs.models import Ingest, IngestKind, IngestPart, IngestState
from jobs.receiving import ingest_collect, ingests_expire, spool
from tests.api.routes import native_routes
from tests.makers import make_asset, make_key
from tests.upload_makers import make_upload

pytestmark = pytest.mark.django_db

Stored = Callable[[], list[str]]
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
TUS = {"Tus-Resumable": "1.0.0"}


def announce(client: Client, size_bytes: int, content: bytes = b"", **changes: Any) -> Any:
    content_type = "application/offset+octet-stream" if content else ""
    headers = {**TUS, "Upload-Length": str(size_bytes), **changes.pop("headers", {})}
    return client.generic("POST", "/v1/uploads", content, content_type, headers=headers)


def append(client: Client, url: str, offset: int, content: bytes, **changes: Any) -> Any:
    headers = {**TUS, "Upload-Offset": str(offset), **changes.pop("headers", {})}
    content_type = changes.pop("content_type", "application/offset+octet-stream")
    method = changes.pop("method", "PATCH")
    # Django's client leaves it out where there is no content.
    changes = {"CONTENT_TYPE": content_type, **changes}
    return client.generic(method, url, content, content_type, headers=headers, **changes)


def head(client: Client, url: str) -> Any:
    return client.head(url, headers=TUS)


def url_of(upload: Ingest) -> str:
    return reverse("native-upload-detail", args=[upload.uuid])


def collected(folder: Path) -> bytes:
    ingest_collect(Ingest.objects.get(), path=folder / "recording")
    return (folder / "recording").read_bytes()


class Broken(io.BytesIO):
    """A body that ends with a reset connection."""

    def read(self, size: int | None = -1, /) -> bytes:
        if block := super().read(size):
            return block
        raise ConnectionResetError


def test_everybody_may_ask_what_is_offered(settings: Any):
    settings.UPLOAD_MAX_BYTES = 1000
    for url in ("/v1/uploads", "/v1/uploads/5fcd8d1e-6ad5-4d28-8a31-2c9c0a2f33aa"):
        response = Client().options(url)
        assert (response.status_code, response.content) == (204, b"")
        assert response["Tus-Resumable"] == "1.0.0"
        assert response["Tus-Version"] == "1.0.0"
        assert response["Tus-Max-Size"] == "1000"
        assert response["Tus-Extension"] == (
            "creation,creation-with-upload,expiration,checksum,termination"
        )
        assert response["Tus-Checksum-Algorithm"] == "sha256,sha1"


def test_it_works(
    alice: Workspace,
    alice_client: Client,
    stored: Stored,
    tmp_path: Path,
    django_capture_on_commit_callbacks: Any,
):
    name = b64encode("Lied für Elise.wav".encode()).decode()
    response = announce(alice_client, 10, headers={"Upload-Metadata": f"filename {name},is_mine"})
    assert response.status_code == 201
    assert response["Tus-Resumable"] == "1.0.0"
    ingest = Ingest.objects.get()
    url = response["Location"]
    assert url == f"/v1/uploads/{ingest.uuid}"
    hours = (ingest.expires_at - ingest.created_at).total_seconds() / 3600
    assert hours == 24
    assert response["Upload-Expires"].endswith("GMT")
    body = response.json()
    del body["created_at"], body["expires_at"]
    assert body == {
        "id": str(ingest.uuid),
        "kind": "tus",
        "state": "receiving",
        "filename": "Lied für Elise.wav",
        "size_bytes": 10,
        "received_bytes": 0,
        "asset": None,
        "error": None,
    }

    for offset, content in ((0, b"abc"), (3, b""), (3, b"defg"), (7, b"hij")):
        response = head(alice_client, url)
        assert (response.status_code, response.content) == (200, b"")
        assert (response["Upload-Offset"], response["Upload-Length"]) == (str(offset), "10")
        assert response["Cache-Control"] == "no-store"
        assert response["Upload-Metadata"] == f"filename {name}"
        with django_capture_on_commit_callbacks(execute=True):
            response = append(alice_client, url, offset, content)
        assert (response.status_code, response.content) == (204, b"")
        assert response["Upload-Offset"] == str(offset + len(content))
        assert response["Upload-Expires"]
    assert head(alice_client, url)["Upload-Offset"] == "10"
    body = alice_client.get(url).json()
    assert (body["state"], body["received_bytes"]) == ("waiting", 10)
    assert [task.key for task in OrmQ.objects.all()] == ["imports"]
    assert [(part.position, part.size_bytes) for part in IngestPart.objects.order_by("pk")] == [
        (0, 3),
        (3, 4),
        (7, 3),
    ]
    assert sorted(IngestPart.objects.values_list("storage_key", flat=True)) == stored()
    assert all(key.startswith(f"ingests/{ingest.uuid}/") for key in stored())
    assert collected(tmp_path) == b"abcdefghij"
    assert append(alice_client, url, 10, b"k").json()["error"]["code"] == "wrong_state"


def test_the_first_bytes_may_come_with_the_announcement(
    alice_client: Client, stored: Stored, tmp_path: Path
):
    response = announce(alice_client, 5, b"abc")
    assert (response.status_code, response["Upload-Offset"]) == (201, "3")
    assert response.json()["received_bytes"] == 3
    append(alice_client, response["Location"], 3, b"de")
    assert collected(tmp_path) == b"abcde"
    response = announce(alice_client, 5, b"abcde")
    assert (response["Upload-Offset"], response.json()["state"]) == ("5", "waiting")
    assert len(stored()) == 3


def test_a_long_body_goes_to_storage_in_slices(alice_client: Client, tmp_path: Path, settings: Any):
    settings.UPLOAD_SLICE_BYTES = 4
    url = announce(alice_client, 10)["Location"]
    assert append(alice_client, url, 0, b"abcdefghij")["Upload-Offset"] == "10"
    assert list(IngestPart.objects.order_by("pk").values_list("position", flat=True)) == [0, 4, 8]
    assert collected(tmp_path) == b"abcdefghij"


@pytest.mark.parametrize("source", [io.BytesIO, Broken])
def test_what_came_before_the_connection_broke_is_kept(
    alice_client: Client, tmp_path: Path, settings: Any, source: Any
):
    settings.UPLOAD_SLICE_BYTES = 4
    url = announce(alice_client, 10)["Location"]
    body = {"wsgi.input": source(b"abcdef"), "CONTENT_LENGTH": "10"}
    response = append(alice_client, url, 0, b"", **body)
    assert (response.status_code, response["Upload-Offset"]) == (503, "6")
    assert response.json()["error"]["code"] == "upload_interrupted"
    assert head(alice_client, url)["Upload-Offset"] == "6"
    assert append(alice_client, url, 6, b"ghij").status_code == 204
    assert collected(tmp_path) == b"abcdefghij"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_checksum_is_checked_before_anything_is_kept(
    alice_client: Client, stored: Stored, algorithm: str, settings: Any
):
    # What a checksum is of is looked at as a whole.
    settings.UPLOAD_SLICE_BYTES = 2
    digest = b64encode(hashlib.new(algorithm, b"abcde").digest()).decode()
    headers = {"Upload-Checksum": f"{algorithm} {digest}"}
    url = announce(alice_client, 10)["Location"]
    response = append(alice_client, url, 0, b"abcdX", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (460, "checksum_mismatch")
    body = {"wsgi.input": io.BytesIO(b"abc"), "CONTENT_LENGTH": "5"}
    response = append(alice_client, url, 0, b"", headers=headers, **body)
    assert (response.status_code, response["Upload-Offset"]) == (503, "0")
    assert (head(alice_client, url)["Upload-Offset"], stored()) == ("0", [])
    assert append(alice_client, url, 0, b"abcde", headers=headers)["Upload-Offset"] == "5"
    assert len(stored()) == 1


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412, "unsupported_tus_version"),
        ({"Upload-Length": ""}, 400, "validation_failed"),
        ({"Upload-Length": "-1"}, 400, "validation_failed"),
        ({"Upload-Length": "9" * 19}, 400, "validation_failed"),
        ({"Upload-Length": "0"}, 422, "empty_file"),
        ({"Upload-Length": "1001"}, 413, "too_large"),
        ({"Upload-Defer-Length": "1"}, 400, "length_deferred"),
        ({"Upload-Metadata": "filename c29uZw==,filename c29uZw=="}, 400, "validation_failed"),
        ({"Upload-Metadata": "filename song"}, 400, "validation_failed"),
        ({"Upload-Metadata": "filename /w=="}, 400, "validation_failed"),
        ({"Upload-Metadata": ",filename c29uZw=="}, 400, "validation_failed"),
        ({"Upload-Checksum": "md5 AAAA"}, 400, "unsupported_checksum"),
    ],
)
def test_it_refuses_to_announce(
    alice_client: Client, settings: Any, headers: dict[str, str], status: int, code: str
):
    settings.UPLOAD_MAX_BYTES = 1000
    response = announce(alice_client, 5, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response["Tus-Resumable"] == "1.0.0"
    assert not Ingest.objects.exists()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"headers": {"Tus-Resumable": ""}}, 412, "unsupported_tus_version"),
        ({"content_type": "application/octet-stream"}, 415, "unsupported_media_type"),
        ({"content_type": "application/json"}, 415, "unsupported_media_type"),
        ({"headers": {"Upload-Offset": "2"}}, 409, "offset_conflict"),
        ({"headers": {"Upload-Offset": "4"}}, 409, "offset_conflict"),
        ({"headers": {"Upload-Offset": "three"}}, 400, "validation_failed"),
        ({"headers": {"Upload-Checksum": "crc32 AAAA"}}, 400, "unsupported_checksum"),
        ({"headers": {"Upload-Checksum": "sha1 ?"}}, 400, "validation_failed"),
        ({"CONTENT_LENGTH": "8"}, 413, "too_large"),
        ({"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}, 411, "length_required"),
        ({"method": "POST"}, 405, "method_not_allowed"),
    ],
)
def test_it_refuses_to_append(
    alice_client: Client, stored: Stored, changes: dict[str, Any], status: int, code: str
):
    url = announce(alice_client, 10, b"abc")["Location"]
    before = stored()
    response = append(alice_client, url, 3, b"def", **changes)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert (head(alice_client, url)["Upload-Offset"], stored()) == ("3", before)


def test_a_version_is_named_where_it_is_refused(alice_client: Client):
    response = announce(alice_client, 5, headers={"Tus-Resumable": "2.0.0"})
    assert (response.status_code, response["Tus-Version"]) == (412, "1.0.0")


def test_methods_may_come_in_disguise(alice_client: Client):
    url = announce(alice_client, 5)["Location"]
    headers = {"X-HTTP-Method-Override": "PATCH"}
    response = append(alice_client, url, 0, b"abc", method="POST", headers=headers)
    assert (response.status_code, response["Upload-Offset"]) == (204, "3")
    headers = {**TUS, "X-HTTP-Method-Override": "DELETE"}
    assert alice_client.post(url, headers=headers).status_code == 204
    assert Ingest.objects.get().state == IngestState.CANCELLED


def test_the_right_counts_that_the_disguise_hides(alice: Workspace):
    upload = make_upload(alice)
    reader = Client(headers={"X-API-Key": make_key(alice, scopes=["assets:read"])})
    headers = {**TUS, "X-HTTP-Method-Override": "DELETE"}
    assert reader.post(url_of(upload), headers=headers).status_code == 403
    assert Ingest.objects.get().state == IngestState.RECEIVING


def test_a_cancelled_upload_is_gone(alice_client: Client):
    url = announce(alice_client, 5, b"abc")["Location"]
    assert alice_client.delete(url, headers=TUS).status_code == 204
    assert head(alice_client, url).status_code == 410
    for response in (append(alice_client, url, 3, b"de"), alice_client.delete(url)):
        assert (response.status_code, response.json()["error"]["code"]) == (410, "upload_gone")
    body = alice_client.get(url).json()
    assert (body["state"], body["received_bytes"], body["error"]) == ("cancelled", 3, None)


def test_a_worker_does_not_keep_an_upload_from_being_cancelled(
    alice: Workspace, alice_client: Client
):
    upload = make_upload(alice, state=IngestState.RUNNING, lease_until=Now())
    assert alice_client.delete(url_of(upload)).status_code == 204
    upload.refresh_from_db()
    assert (upload.state, upload.lease_until) == (IngestState.CANCELLED, None)
    assert upload.finished_at is not None


def test_what_has_ended_cannot_be_cancelled(alice: Workspace, alice_client: Client):
    upload = make_upload(alice, state=IngestState.FAILED, finished_at=LONG_AGO)
    response = alice_client.delete(url_of(upload))
    assert (response.status_code, response.json()["error"]["code"]) == (409, "wrong_state")
    upload.refresh_from_db()
    assert (upload.state, upload.finished_at) == (IngestState.FAILED, LONG_AGO)


def test_an_upload_expires(alice: Workspace, alice_client: Client):
    url = announce(alice_client, 5, b"abc")["Location"]
    assert ingests_expire() == 0
    Ingest.objects.update(expires_at=LONG_AGO)
    complete = make_upload(alice, state=IngestState.WAITING, expires_at=LONG_AGO)
    for _ in range(2):
        # Before the janitor has been there as well as after.
        assert head(alice_client, url).status_code == 410
        assert append(alice_client, url, 3, b"de").status_code == 410
        ingests_expire()
    assert ingests_expire() == 0
    body = alice_client.get(url).json()
    assert (body["state"], body["received_bytes"]) == ("cancelled", 3)
    assert body["error"] == {
        "code": "upload_expired",
        "message": "Not all of the file arrived in time.",
    }
    # All its bytes are here: it waits for us, not for its owner.
    complete.refresh_from_db()
    assert complete.state == IngestState.WAITING


def test_it_shows_what_became_of_an_upload(alice: Workspace, alice_client: Client, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    ready = make_upload(alice, state=IngestState.READY, asset=asset, finished_at=Now())
    failed = make_upload(
        alice,
        state=IngestState.FAILED,
        error_code="no_audio_stream",
        error_message="The file has no audio.",
        finished_at=Now(),
    )
    Ingest.objects.create(
        workspace=alice, kind=IngestKind.URL, state=IngestState.WAITING, expires_at=Now()
    )
    results = alice_client.get("/v1/uploads").json()["results"]
    assert [row["id"] for row in results] == [str(failed.uuid), str(ready.uuid)]
    assert results[0]["error"] == {
        "code": "no_audio_stream",
        "message": "The file has no audio.",
    }
    assert results[1] == alice_client.get(url_of(ready)).json()
    assert results[1]["asset"] == alice_client.get(f"/v1/assets/{asset.uuid}").json()
    # Deleted afterwards, it is an asset no more.
    assert alice_client.delete(f"/v1/assets/{asset.uuid}").status_code == 204
    assert alice_client.get(url_of(ready)).json()["asset"] is None


def test_the_number_and_the_size_of_open_uploads_are_limited(
    alice: Workspace, alice_client: Client, charlie_client: Client, settings: Any
):
    settings.UPLOADS_OPEN, settings.UPLOADS_OPEN_BYTES = 2, 100
    # None of these is open.
    make_upload(alice, size_bytes=100, state=IngestState.FAILED, finished_at=Now())
    make_upload(alice, size_bytes=100, expires_at=LONG_AGO)
    assert announce(alice_client, 50).status_code == 201
    response = announce(alice_client, 51)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "limit_reached")
    assert response.json()["error"]["data"] == {"max_bytes": 100, "open_bytes": 50}
    url = announce(alice_client, 1)["Location"]
    response = announce(alice_client, 1)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "limit_reached")
    assert response.json()["error"]["data"] == {"max_uploads": 2}
    body = {"filename": "a.wav", "size_bytes": 1}
    response = alice_client.post("/v1/uploads/multipart", body, content_type="application/json")
    assert response.json()["error"]["code"] == "limit_reached"
    assert announce(charlie_client, 100).status_code == 201
    alice_client.delete(url)
    assert announce(alice_client, 1).status_code == 201


def test_an_upload_comes_in_a_limited_number_of_pieces(
    alice_client: Client, stored: Stored, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("jobs.receiving.appending.MAX_PIECES", 3)
    url = announce(alice_client, 10, b"a")["Location"]
    assert append(alice_client, url, 1, b"b").status_code == 204
    response = append(alice_client, url, 2, b"c")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "limit_reached")
    assert (head(alice_client, url)["Upload-Offset"], len(stored())) == ("2", 2)
    # The last one is let through, be it the one too many.
    assert append(alice_client, url, 2, b"cdefghij")["Upload-Offset"] == "10"


def test_a_full_disk_takes_nothing(alice_client: Client, stored: Stored, settings: Any):
    url = announce(alice_client, 5)["Location"]
    settings.UPLOAD_SPARE_BYTES = 10**18
    response = append(alice_client, url, 0, b"abcde")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "no_room")
    assert (head(alice_client, url)["Upload-Offset"], stored()) == ("0", [])


@pytest.mark.parametrize("setting", ["UPLOAD_BODIES_PER_PROCESS", "UPLOAD_BODIES_PER_OWNER"])
def test_few_bodies_are_received_at_a_time(
    alice: Workspace, alice_client: Client, settings: Any, setting: str
):
    url = announce(alice_client, 10)["Location"]
    seen = []

    class Meanwhile(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if not self.tell():
                seen.append(append(alice_client, url, 0, b"abc"))
                # Nobody has to wait who sends nothing.
                seen.append(append(alice_client, url, 0, b""))
            return super().read(size)

    setattr(settings, setting, 1)
    body = {"wsgi.input": Meanwhile(b"abcde"), "CONTENT_LENGTH": "10"}
    assert append(alice_client, url, 0, b"", **body).status_code == 503
    assert [response.status_code for response in seen] == [503, 204]
    assert (seen[0].json()["error"]["code"], seen[0]["Retry-After"]) == ("no_room", "2")
    # The place is free again, also after a body that broke.
    assert append(alice_client, url, 5, b"fghij").status_code == 204


def test_storage_that_fails_takes_nothing(
    alice_client: Client, stored: Stored, monkeypatch: pytest.MonkeyPatch
):
    url = announce(alice_client, 5)["Location"]
    with monkeypatch.context() as patch:

        def fail(**_: Any) -> None:
            raise OSError("storage is down")

        patch.setattr(spool, "storage_save", fail)
        response = append(alice_client, url, 0, b"abcde")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
    assert (head(alice_client, url)["Upload-Offset"], stored()) == ("0", [])
    assert append(alice_client, url, 0, b"abcde").status_code == 204


def test_a_stranger_finds_nothing(alice: Workspace, charlie_client: Client):
    upload = make_upload(alice)
    bodies = {
        "native-multipart-parts": '{"numbers": [1]}',
        "native-multipart-complete": '{"parts": [{"number": 1, "etag": "a"}]}',
    }
    asked = []
    for route in native_routes():
        for method in route.methods if "upload_uuid" in route.ids else []:
            body = bodies.get(route.name)
            response = charlie_client.generic(
                method.upper(),
                route.path({"upload_uuid": upload.uuid}),
                body or "abcde",
                "application/json" if body else "application/offset+octet-stream",
                headers={**TUS, "Upload-Offset": "0"},
            )
            assert response.status_code == 404, (route.name, method)
            asked.append(method)
    assert sorted(asked) == ["delete", "get", "head", "patch", "post", "post"]
    upload.refresh_from_db()
    assert (upload.state, upload.received_bytes) == (IngestState.RECEIVING, 0)
    assert charlie_client.get("/v1/uploads").json()["results"] == []
