import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.test import Client
from django_q.models import OrmQ

from accounts.models import Workspace
from jobs.models import Ingest, IngestPart, IngestState
from jobs.receiving import ingest_collect, multipart
from jobs.receiving.multipart import PartPlan
from tests.upload_makers import make_upload

pytestmark = pytest.mark.django_db

Stored = Callable[[], list[str]]
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
JSON = "application/json"


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 4)


def announce(client: Client, size_bytes: int) -> Any:
    body = {"filename": "song.wav", "size_bytes": size_bytes}
    return client.post("/v1/uploads/multipart", body, content_type=JSON)


def put(link: dict[str, Any], content: bytes, **changes: Any) -> Any:
    # Nobody's client: the link is all that it takes.
    path = urlsplit(link["url"]).path
    return Client().generic("PUT", path, content, "application/octet-stream", **changes)


def complete(client: Client, uuid: str, etags: dict[int, str]) -> Any:
    parts = [{"number": number, "etag": etag} for number, etag in etags.items()]
    return client.post(f"/v1/uploads/{uuid}/complete", {"parts": parts}, content_type=JSON)


def sent(client: Client) -> tuple[str, list[dict[str, Any]], dict[int, str]]:
    """An upload of which all three parts have arrived."""
    body = announce(client, 10).json()
    contents = {1: b"abcd", 2: b"efgh", 3: b"ij"}
    etags = {
        link["number"]: put(link, contents[link["number"]])["ETag"]
        for link in reversed(body["parts"])
    }
    return body["id"], body["parts"], etags


def test_it_works(
    alice_client: Client,
    stored: Stored,
    tmp_path: Path,
    django_capture_on_commit_callbacks: Any,
):
    response = announce(alice_client, 10)
    assert response.status_code == 201
    body = response.json()
    ingest = Ingest.objects.get()
    assert (body["id"], body["kind"], body["state"]) == (str(ingest.uuid), "multipart", "receiving")
    assert (body["part_size"], body["n_parts"]) == (4, 3)
    assert [(link["number"], link["size_bytes"]) for link in body["parts"]] == [
        (1, 4),
        (2, 4),
        (3, 2),
    ]
    for number, content in ((3, b"ij"), (1, b"abcd"), (2, b"efgh")):
        response = put(body["parts"][number - 1], content)
        assert (response.status_code, response.content) == (200, b"")
        assert response["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    ingest.refresh_from_db()
    assert (ingest.state, ingest.received_bytes) == (IngestState.RECEIVING, 10)

    etags = {n: hashlib.md5(part).hexdigest() for n, part in ((2, b"efgh"), (1, b"abcd"))}
    # With the quotes of the header or without.
    etags[3] = f'"{hashlib.md5(b"ij").hexdigest()}"'
    with django_capture_on_commit_callbacks(execute=True):
        first = complete(alice_client, body["id"], etags)
        again = complete(alice_client, body["id"], etags)
    assert (first.status_code, first.json()["state"]) == (202, "waiting")
    assert (again.status_code, again.json()) == (202, first.json())
    assert [task.key for task in OrmQ.objects.all()] == ["imports"]
    ingest_collect(Ingest.objects.get(), path=tmp_path / "recording")
    assert (tmp_path / "recording").read_bytes() == b"abcdefghij"
    assert sorted(IngestPart.objects.values_list("storage_key", flat=True)) == stored()

    # It is closed now.
    response = put(body["parts"][0], b"abcd")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "wrong_state")
    assert len(stored()) == 3


def test_a_part_that_is_sent_again_replaces_the_first(
    alice_client: Client, stored: Stored, tmp_path: Path
):
    uuid, links, etags = sent(alice_client)
    old = etags[2]
    etags[2] = put(links[1], b"EFGH")["ETag"]
    assert len(stored()) == 3
    assert Ingest.objects.get().received_bytes == 10
    response = complete(alice_client, uuid, {**etags, 2: old})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "wrong_parts")
    assert response.json()["error"]["data"] == {"numbers": [2]}
    assert complete(alice_client, uuid, etags).status_code == 202
    ingest_collect(Ingest.objects.get(), path=tmp_path / "recording")
    assert (tmp_path / "recording").read_bytes() == b"abcdEFGHij"


@pytest.mark.parametrize("change", ["missing", "twice", "unknown", "another", "empty"])
def test_all_parts_must_be_listed(alice_client: Client, change: str):
    uuid, _, etags = sent(alice_client)
    parts = [{"number": number, "etag": etag} for number, etag in etags.items()]
    match change:
        case "missing":
            del parts[0]
        case "twice":
            parts.append(parts[0])
        case "unknown":
            parts.append({"number": 4, "etag": "a"})
        case "another":
            parts[0]["etag"] = "a"
        case "empty":
            parts = []
    response = alice_client.post(
        f"/v1/uploads/{uuid}/complete", {"parts": parts}, content_type=JSON
    )
    assert (response.status_code, response.json()["error"]["code"]) == (400, "wrong_parts")
    assert Ingest.objects.get().state == IngestState.RECEIVING
    assert complete(alice_client, uuid, etags).status_code == 202


def test_parts_that_did_not_arrive_are_named(alice_client: Client):
    body = announce(alice_client, 10).json()
    etag = put(body["parts"][1], b"efgh")["ETag"]
    response = complete(alice_client, body["id"], {1: "a", 2: etag, 3: "c"})
    assert (response.status_code, response.json()["error"]["data"]) == (400, {"numbers": [1, 3]})


def test_a_part_has_the_size_that_it_has(alice_client: Client, stored: Stored):
    link = announce(alice_client, 10).json()["parts"][0]
    for content in (b"abc", b"abcde", b""):
        response = put(link, content, CONTENT_LENGTH=str(len(content)))
        assert (response.status_code, response.json()["error"]["code"]) == (400, "wrong_part_size")
    for changes in ({}, {"HTTP_TRANSFER_ENCODING": "chunked"}):
        response = put(link, b"", **changes)
        assert (response.status_code, response.json()["error"]["code"]) == (411, "length_required")
    body = {"wsgi.input": BytesIO(b"abc"), "CONTENT_LENGTH": "4"}
    response = put(link, b"", **body)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "upload_interrupted")
    assert (stored(), IngestPart.objects.count()) == ([], 0)


def test_further_links_come_by_number(alice_client: Client):
    body = announce(alice_client, 1000).json()
    assert (body["n_parts"], len(body["parts"])) == (250, 100)
    url = f"/v1/uploads/{body['id']}/parts"
    response = alice_client.post(url, {"numbers": [101, 250]}, content_type=JSON)
    assert response.status_code == 200
    assert [link["number"] for link in response.json()["parts"]] == [101, 250]
    assert put(response.json()["parts"][1], b"last").status_code == 200
    for numbers in ([251], [0], [], list(range(1, 102)), ["a"], None):
        response = alice_client.post(url, {"numbers": numbers}, content_type=JSON)
        assert (response.status_code, response.json()["error"]["code"]) == (
            400,
            "validation_failed",
        )


def test_a_link_is_good_for_an_hour_and_for_one_part(alice_client: Client, stored: Stored):
    links = announce(alice_client, 10).json()["parts"]
    token = links[0]["url"].rpartition("/")[2]
    # Of the second part, with the signature of the first.
    other = links[1]["url"].rpartition("/")[2].partition(":")[0] + ":" + token.partition(":")[2]
    for forged in (f"{token}x", other, "a"):
        response = put({"url": f"/v1/upload-parts/{forged}"}, b"efgh")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    with time_machine.travel(datetime.now(UTC).timestamp() + 3601):
        assert put(links[0], b"abcd").status_code == 404
    assert stored() == []


def test_a_cancelled_or_expired_upload_takes_nothing(
    alice: Workspace, alice_client: Client, stored: Stored
):
    for end in ("cancel", "expire"):
        uuid, links, etags = sent(alice_client)
        before = stored()
        if end == "cancel":
            assert alice_client.delete(f"/v1/uploads/{uuid}").status_code == 204
        else:
            Ingest.objects.filter(uuid=uuid).update(expires_at=LONG_AGO)
        for response in (
            put(links[0], b"abcd"),
            complete(alice_client, uuid, etags),
            alice_client.post(f"/v1/uploads/{uuid}/parts", {"numbers": [1]}, content_type=JSON),
        ):
            assert (response.status_code, response.json()["error"]["code"]) == (410, "upload_gone")
        assert stored() == before


def test_the_ways_do_not_mix(alice: Workspace, alice_client: Client):
    tus = make_upload(alice)
    for path, body in (
        ("parts", {"numbers": [1]}),
        ("complete", {"parts": [{"number": 1, "etag": "a"}]}),
    ):
        response = alice_client.post(f"/v1/uploads/{tus.uuid}/{path}", body, content_type=JSON)
        assert (response.status_code, response.json()["error"]["code"]) == (409, "wrong_state")
    uuid = announce(alice_client, 10).json()["id"]
    response = alice_client.generic(
        "PATCH",
        f"/v1/uploads/{uuid}",
        b"abc",
        "application/offset+octet-stream",
        headers={"Tus-Resumable": "1.0.0", "Upload-Offset": "0"},
    )
    assert (response.status_code, response.json()["error"]["code"]) == (409, "wrong_state")


@pytest.mark.parametrize(
    ("size_bytes", "status", "code"),
    [(0, 422, "empty_file"), (1001, 413, "too_large"), (-1, 400, "validation_failed")],
)
def test_it_refuses_to_announce(
    alice_client: Client, settings: Any, size_bytes: int, status: int, code: str
):
    settings.UPLOAD_MAX_BYTES = 1000
    response = announce(alice_client, size_bytes)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert not Ingest.objects.exists()


def test_any_recording_is_cut_as_s3_allows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    mebibyte = 1024**2
    for size_bytes in (1, 8 * mebibyte, 8 * mebibyte + 1, 2**31, 2**33, 10**12, 10**12 + 7):
        plan = PartPlan(size_bytes)
        sizes = [plan.size_of(number) for number in range(1, plan.n_parts + 1)]
        assert sum(sizes) == size_bytes
        assert 1 <= len(sizes) <= 1000
        assert all(size == plan.part_size >= 5 * mebibyte for size in sizes[:-1])
        assert 0 < sizes[-1] <= plan.part_size
