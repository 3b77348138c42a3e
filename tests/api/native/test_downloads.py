from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client

from jobs.heartbeat import Heartbeat
from jobs.models import Asset
from tests.makers import make_asset, make_job, run_jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def stem(alice: Any, tmp_path: Path, fake_separation: list[Any], monkeypatch: Any) -> Asset:
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)
    make_job(alice, make_asset(alice, tmp_path, name='A "b" ü.mp3'))
    run_jobs()
    return Asset.objects.get(stem="vocals")


@pytest.fixture
def link(stem: Asset, alice_client: Client) -> str:
    job = alice_client.get("/v1/jobs").json()["results"][0]
    url: str = job["outputs"][0]["download_url"]
    assert url.startswith("http://testserver/v1/downloads/")
    return url.removeprefix("http://testserver")


def content(response: Any) -> bytes:
    return b"".join(response.streaming_content)


@pytest.fixture
def whole(stem: Asset, media_dir: Path) -> bytes:
    return (media_dir / stem.storage_key).read_bytes()


def test_it_needs_no_key(client: Client, link: str, stem: Asset, whole: bytes):
    response = client.get(link)
    assert response.status_code == 200
    assert content(response) == whole
    assert response.headers["Content-Type"] == "audio/wav"
    assert response.headers["Content-Length"] == str(len(whole))
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["ETag"] == f'"{stem.sha256}"'
    disposition = response.headers["Content-Disposition"]
    assert disposition == "attachment; filename*=utf-8''A%20%22b%22%20%C3%BC%20%28vocals%29.wav"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=44-1043", 44, 1044),
        ("bytes=100-", 100, None),
        ("bytes=-10", -10, None),
        ("bytes=-100000000", 0, None),
        ("bytes=10-100000000", 10, None),
    ],
)
def test_it_sends_the_part_asked_for(
    client: Client, link: str, whole: bytes, asked: str, start: int, stop: int | None
):
    response = client.get(link, headers={"Range": asked})
    first, last, _ = slice(start, stop).indices(len(whole))
    assert response.status_code == 206
    assert content(response) == whole[first:last]
    assert response.headers["Content-Range"] == f"bytes {first}-{last - 1}/{len(whole)}"
    assert response.headers["Content-Length"] == str(last - first)


@pytest.mark.parametrize("asked", ["bytes=100000000-", "bytes=-0"])
def test_it_refuses_a_part_that_is_not_there(client: Client, link: str, whole: bytes, asked: str):
    response = client.get(link, headers={"Range": asked})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{len(whole)}"
    assert response.content == b""


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=5-2",
        "bytes=0-1,5-6",
        "lines=1-2",
        "bytes=-",
        "bytes=a-",
        "bytes=" + "9" * 5000 + "-",
        "bytes=-" + "9" * 5000,
    ],
)
def test_it_ignores_ranges_that_it_may_ignore(client: Client, link: str, whole: bytes, asked: str):
    response = client.get(link, headers={"Range": asked})
    assert (response.status_code, content(response)) == (200, whole)


def test_a_part_of_another_version_becomes_the_whole(client: Client, link: str, whole: bytes):
    response = client.get(link, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (response.status_code, len(content(response))) == (200, len(whole))
    etag = response.headers["ETag"]
    response = client.get(link, headers={"Range": "bytes=0-9", "If-Range": etag})
    assert (response.status_code, content(response)) == (206, whole[:10])


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}, {"Range": "bytes=100000000-"}])
def test_head_answers_as_get_without_opening_the_file(
    client: Client, link: str, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
):
    response = client.get(link)
    response.close()
    expected = dict(response.headers)

    def refuse(*, key: str) -> Any:
        raise AssertionError("opened")

    monkeypatch.setattr("jobs.stored_files.storage_open", refuse)
    response = client.head(link, headers=headers)
    assert response.status_code == 200
    found = dict(response.headers)
    assert found.pop("X-Request-ID") != expected.pop("X-Request-ID")
    assert found == expected


@pytest.mark.parametrize("known", ["{}", 'W/{}, "other"', '"other", {}', "*"])
@pytest.mark.parametrize("method", ["get", "head"])
def test_a_known_file_is_not_sent_again(
    client: Client, link: str, stem: Asset, method: str, known: str
):
    headers = {"If-None-Match": known.format(f'"{stem.sha256}"'), "Range": "bytes=0-9"}
    response = getattr(client, method)(link, headers=headers)
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["ETag"] == f'"{stem.sha256}"'


def test_another_version_is_sent(client: Client, link: str, whole: bytes):
    response = client.get(link, headers={"If-None-Match": '"other"'})
    assert (response.status_code, content(response)) == (200, whole)


def test_a_file_that_is_gone_from_storage_is_not_found(
    client: Client, link: str, stem: Asset, media_dir: Path
):
    (media_dir / stem.storage_key).unlink()
    response = client.get(link)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_a_link_expires(client: Client, link: str):
    with time_machine.travel("2100-01-01"):
        response = client.get(link)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_a_forged_link_is_refused(client: Client, link: str):
    for forged in (link[:-1] + ("A" if link[-1] != "A" else "B"), "/v1/downloads/x"):
        assert client.get(forged).status_code == 404


def test_a_deleted_stem_is_gone_at_once(client: Client, link: str, alice_client: Client):
    job = alice_client.get("/v1/jobs").json()["results"][0]
    assert alice_client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert client.get(link).status_code == 404
