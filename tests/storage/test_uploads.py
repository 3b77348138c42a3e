"""Uploads in pieces, with their parts in a bucket of a real S3 server."""

import os
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.test import Client

from jobs.cleaning import storage_clean
from jobs.models import Ingest, IngestPart, IngestState
from jobs.outbox import ingest_ended
from jobs.receiving import ingest_collect, multipart
from tests.servers.s3 import RealBucket

# One server for all files with such tests, where the processes of pytest-xdist heed it.
pytestmark = pytest.mark.django_db

MB = 1024**2
JSON = "application/json"
# S3 takes no smaller part but the last.
PART = 5 * MB
CONTENT = os.urandom(2 * PART + 7)


@pytest.fixture(autouse=True)
def _smallest_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", PART)


def announce(client: Client) -> dict[str, Any]:
    body = {"filename": "song.wav", "size_bytes": len(CONTENT)}
    response = client.post("/v1/uploads/multipart", body, content_type=JSON)
    assert response.status_code == 201
    found: dict[str, Any] = response.json()
    assert (found["part_size"], found["n_parts"]) == (PART, 3)
    return found


def content_of(number: int) -> bytes:
    return CONTENT[(number - 1) * PART : number * PART]


def put(url: str, content: bytes) -> httpx.Response:
    return httpx.put(url, content=content, trust_env=False, timeout=60)


def send_all(upload: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts as the completion lists them."""
    parts = []
    for link in reversed(upload["parts"]):
        response = put(link["url"], content_of(link["number"]))
        assert response.status_code == 200
        parts.append({"number": link["number"], "etag": response.headers["ETag"]})
    return parts


def complete(client: Client, upload: dict[str, Any], parts: list[dict[str, Any]]) -> Any:
    path = f"/v1/uploads/{upload['id']}/complete"
    return client.post(path, {"parts": parts}, content_type=JSON)


def sweep() -> None:
    Ingest.objects.update(finished_at="2026-01-01T00:00:00Z")
    assert storage_clean() == 1


def assert_collected(folder: Path) -> None:
    ingest_collect(Ingest.objects.get(), path=folder / "recording")
    assert (folder / "recording").read_bytes() == CONTENT


def test_parts_go_straight_into_the_bucket(
    alice_client: Client, bucket: RealBucket, tmp_path: Path
):
    upload = announce(alice_client)
    key = f"ingests/{upload['id']}/recording"
    for link in upload["parts"]:
        assert link["url"].startswith(f"{bucket.server.url}/{bucket.name}/{key}?")
        query = parse_qs(urlsplit(link["url"]).query)
        assert query["X-Amz-Expires"] == ["3600"]
        assert query["X-Amz-SignedHeaders"] == ["content-length;host"]
    parts = send_all(upload)
    assert bucket.keys() == [f"{key} (unfinished)"]

    for _ in range(2):
        response = complete(alice_client, upload, parts)
        assert (response.status_code, response.json()["state"]) == (202, "waiting")
        assert response.json()["received_bytes"] == len(CONTENT)
    assert bucket.keys() == [key]
    assert IngestPart.objects.get().storage_key == key
    assert_collected(tmp_path)


def test_a_link_takes_its_part_and_nothing_else(alice_client: Client, bucket: RealBucket):
    if not bucket.server.is_strict:
        pytest.skip("moto checks no signatures")
    links = announce(alice_client)["parts"]
    small, large = links[2]["url"], links[0]["url"]
    for url, content in (
        (small, bytes(8)),
        (small, bytes(6)),
        (large, bytes(PART + 1)),
        (small.replace("partNumber=3", "partNumber=2"), bytes(7)),
        (small.replace("/recording?", "/another?"), bytes(7)),
    ):
        assert put(url, content).status_code == 403
    assert bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert put(small, bytes(7)).status_code == 200


def test_the_sizes_are_looked_at_again(
    alice_client: Client, bucket: RealBucket, monkeypatch: pytest.MonkeyPatch
):
    told = create_autospec(ingest_ended)
    monkeypatch.setattr(multipart, "ingest_ended", told)
    upload = announce(alice_client)
    parts = send_all(upload)
    ingest = Ingest.objects.get()
    # As on a server that does not check what was signed.
    answer = bucket.client.upload_part(
        Bucket=bucket.name,
        Key=f"ingests/{ingest.uuid}/recording",
        UploadId=ingest.s3_upload_id,
        PartNumber=3,
        Body=bytes(8),
    )
    parts = [part for part in parts if part["number"] != 3]
    parts.append({"number": 3, "etag": answer["ETag"]})
    for _ in range(2):
        response = complete(alice_client, upload, parts)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (422, "upload_size_mismatch")
    body = alice_client.get(f"/v1/uploads/{upload['id']}").json()
    assert (body["state"], body["error"]["code"]) == ("failed", "upload_size_mismatch")
    assert [call.args[0].pk for call in told.call_args_list] == [ingest.pk]
    sweep()
    assert bucket.keys() == []


def test_parts_that_are_missing_or_others_are_named(alice_client: Client, bucket: RealBucket):
    upload = announce(alice_client)
    etag = put(upload["parts"][1]["url"], content_of(2)).headers["ETag"]
    parts = [{"number": n, "etag": etag if n == 2 else "a"} for n in (1, 2, 3)]
    response = complete(alice_client, upload, parts)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "wrong_parts")
    assert response.json()["error"]["data"] == {"numbers": [1, 3]}
    assert Ingest.objects.get().state == IngestState.RECEIVING
    assert complete(alice_client, upload, send_all(upload)).status_code == 202


def test_a_completion_that_was_killed_half_way_goes_on(
    alice_client: Client, bucket: RealBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    upload = announce(alice_client)
    parts = send_all(upload)

    def die(upload: Ingest) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(multipart, "_finish_receiving", die)
        with pytest.raises(KeyboardInterrupt):
            complete(alice_client, upload, parts)
    assert Ingest.objects.get().state == IngestState.RECEIVING
    assert complete(alice_client, upload, parts).json()["state"] == "waiting"
    assert_collected(tmp_path)


def test_a_cancelled_upload_leaves_nothing(alice_client: Client, bucket: RealBucket):
    upload = announce(alice_client)
    parts = send_all(upload)
    assert alice_client.delete(f"/v1/uploads/{upload['id']}").status_code == 204
    assert complete(alice_client, upload, parts).status_code == 410
    sweep()
    assert put(upload["parts"][0]["url"], content_of(1)).is_error
    assert bucket.keys() == []


def test_parts_that_storage_gave_up_end_the_upload(alice_client: Client, bucket: RealBucket):
    upload = announce(alice_client)
    parts = send_all(upload)
    bucket.client.abort_multipart_upload(
        Bucket=bucket.name,
        Key=f"ingests/{upload['id']}/recording",
        UploadId=Ingest.objects.get().s3_upload_id,
    )
    for _ in range(2):
        body = complete(alice_client, upload, parts).json()
        assert (body["state"], body["error"]["code"]) == ("failed", "upload_gone")


def test_storage_that_is_away_is_said(alice_client: Client, bucket: RealBucket):
    upload = announce(alice_client)
    parts = send_all(upload)
    bucket.client.abort_multipart_upload(
        Bucket=bucket.name,
        Key=f"ingests/{upload['id']}/recording",
        UploadId=Ingest.objects.get().s3_upload_id,
    )
    bucket.client.delete_bucket(Bucket=bucket.name)
    response = complete(alice_client, upload, parts)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
    body = {"filename": "song.wav", "size_bytes": 5}
    response = alice_client.post("/v1/uploads/multipart", body, content_type=JSON)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
    states = Ingest.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == [IngestState.RECEIVING, IngestState.FAILED]


def test_tus_keeps_its_pieces_in_the_bucket(
    alice_client: Client, bucket: RealBucket, tmp_path: Path
):
    tus = {"Tus-Resumable": "1.0.0"}
    headers = {**tus, "Upload-Length": str(len(CONTENT))}
    url = alice_client.generic("POST", "/v1/uploads", headers=headers)["Location"]
    for offset, content in ((0, CONTENT[:PART]), (PART, CONTENT[PART:])):
        response = alice_client.generic(
            "PATCH",
            url,
            content,
            "application/offset+octet-stream",
            headers={**tus, "Upload-Offset": str(offset)},
        )
        assert response.status_code == 204
    assert len(bucket.keys()) == 2
    assert_collected(tmp_path)
