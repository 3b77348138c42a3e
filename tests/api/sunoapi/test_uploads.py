"""The three ways in."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client

from api.sunoapi import fetching
from jobs.ingesting import run_next_ingest
from jobs.models import Asset, Ingest, Job, JobState
from tests.api.sunoapi.steps import info, post, refused, separated, upload
from tests.fakes.http import Server, says
from tests.makers import make_wav, run_jobs

pytestmark = pytest.mark.django_db
BY_URL, BY_BASE64 = "/api/file-url-upload", "/api/file-base64-upload"


def text_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_a_form(client: Client, stored: Any):
    content = make_wav(seconds=0.2)
    response = upload(client, content, uploadPath="/music/mine/")
    asset = Asset.objects.get()
    body = response.json()
    link = body["data"].pop("downloadUrl")
    assert body == {
        "success": True,
        "code": 200,
        "msg": "File uploaded successfully",
        "data": {
            "fileName": "song.wav",
            "filePath": "music/mine/song.wav",
            "fileSize": len(content),
            "mimeType": "audio/x-wav",
            "uploadedAt": asset.created_at.isoformat().replace("+00:00", "Z"),
            "taskId": asset.uuid.hex,
            "audioId": str(asset.uuid),
        },
    }
    file: Any = Client().get(link)
    assert b"".join(file.streaming_content) == content
    file.close()
    # The same file once more is another one.
    again = upload(client, content, fileName="../other.wav").json()["data"]
    assert (again["fileName"], again["filePath"]) == ("other.wav", "other.wav")
    assert again["audioId"] != body["data"]["audioId"]
    assert len(stored()) == 2


@pytest.mark.parametrize(
    ("content", "named"), [(b"", "empty"), (b"no recording at all" * 100, "recording")]
)
def test_a_form_without_a_recording(client: Client, stored: Any, content: bytes, named: str):
    response = upload(client, content)
    assert response.json()["success"] is False
    code, text = refused(response)
    assert (code, named in text) == (400, True)
    assert refused(client.post("/api/file-stream-upload", {"uploadPath": "a"}))[0] == 400
    response = post(client, "/api/file-stream-upload", {})
    assert refused(response) == (
        400,
        "Send application/json; an upload as multipart/form-data.",
    )
    assert stored() == []


@pytest.mark.parametrize("path", ["/api/file-stream-upload", BY_BASE64])
def test_it_refuses_what_is_too_large(client: Client, stored: Any, settings: Any, path: str):
    settings.UPLOAD_MAX_BYTES = 20_000
    content = make_wav(seconds=1.0)
    if path == BY_BASE64:
        response = post(client, path, {"base64Data": text_of(content)})
    else:
        response = upload(client, content)
    assert refused(response) == (413, "The file is larger than 20000 bytes.")
    assert (stored(), Asset.objects.count()) == ([], 0)


@pytest.mark.parametrize("head", ["", "data:audio/wav;base64,"])
@pytest.mark.parametrize("seconds", [0.01, 2.0])
def test_base64(client: Client, stored: Any, media_dir: Path, head: str, seconds: float):
    content = make_wav(seconds=seconds)
    body = {"base64Data": head + text_of(content), "uploadPath": "p", "fileName": "é.wav"}
    data = post(client, BY_BASE64, body).json()["data"]
    assert (data["fileName"], data["filePath"]) == ("é.wav", "p/é.wav")
    assert data["fileSize"] == len(content)
    (key,) = stored()
    assert (media_dir / key).read_bytes() == content


def test_base64_as_other_encoders_write_it(client: Client, stored: Any, media_dir: Path):
    content = make_wav(seconds=1.0) + b"\xfb\xff\xfe" * 2000
    text = text_of(content)
    assert "+" in text
    assert "/" in text
    lines = "\\r\\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    escaped = lines.replace("/", "\\/").replace("+", "\\u002B").rstrip("=")
    raw = f'{{"fileName": "a.wav", "base64Data": "{escaped}", "other": [1, "\\"{{"]}}'
    assert post(client, BY_BASE64, raw).json()["code"] == 200
    (key,) = stored()
    assert (media_dir / key).read_bytes() == content


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "base64Data"),
        ({"base64Data": 7}, "base64Data"),
        ({"base64Data": "?" * 20}, "not base64"),
        ({"base64Data": "é" * 20_000}, "not base64"),
        ({"base64Data": "A" * 20_001}, "not base64"),
        ({"base64Data": "QQ==" + "A" * 20_000}, "not base64"),
        ({"base64Data": "A" * 300_000 + "QQ==" + "A" * 300_000}, "not base64"),
        ({"base64Data": "A" * 20_000, "fileName": "a" * 20_000}, "so long"),
        ({"fileName": "a" * 20_000}, "base64Data"),
        ({"a": ["b" * 8_000] * 20}, "too much"),
        ({"base64Data": "QUJD", "fileName": "a\0"}, "fileName"),
        ({"base64Data": "QUJD", "fileName": ["a"]}, "fileName"),
        ({"base64Data": "QUJD"}, "recording"),
        ([], "object"),
    ],
    ids=range(14),
)
def test_base64_that_is_no_file(client: Client, stored: Any, body: Any, named: str):
    raw = json.dumps(body, ensure_ascii=False)
    code, text = refused(post(client, BY_BASE64, raw))
    assert (code, named in text) == (400, True), text
    assert (stored(), Asset.objects.count()) == ([], 0)


@pytest.mark.parametrize(
    "raw", ["", "{", '{"base64Data": "' + "A" * 20_000, "[" * 60_000, '"\\ud800"', "{'a': 1}", "\\"]
)
def test_base64_that_is_no_json(client: Client, raw: str):
    assert refused(post(client, BY_BASE64, raw))[0] == 400


def test_base64_must_be_json(client: Client):
    response = client.post(BY_BASE64, {"base64Data": ContentFile(b"QUJD", "a")})
    assert refused(response) == (400, "Send application/json.")


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a pause, a worker's turn."""
    monkeypatch.setattr(fetching, "_pause", run_next_ingest)


@pytest.mark.usefixtures("worker")
def test_an_address(client: Client, media_server: Server):
    body = {"fileUrl": f"{media_server.url}/a.wav?key=1", "uploadPath": "p"}
    response = post(client, BY_URL, body).json()
    asset = Asset.objects.get()
    assert (response["success"], response["code"]) == (True, 200)
    data = response["data"]
    assert (data["fileName"], data["filePath"], data["fileSize"]) == (
        "a.wav",
        "p/a.wav",
        asset.size_bytes,
    )
    assert (data["taskId"], data["audioId"]) == (asset.uuid.hex, str(asset.uuid))


@pytest.mark.usefixtures("worker")
def test_an_address_without_a_file(client: Client, media_server: Server):
    media_server.answer = says("404 Not Found")
    code, text = refused(post(client, BY_URL, {"fileUrl": media_server.url}))
    assert (code, "404" in text) == (400, True)
    assert Asset.objects.count() == 0


def test_an_address_that_may_not_be_fetched(client: Client):
    for url in ("http://127.0.0.1/a.wav", "file:///etc/passwd", "x"):
        assert refused(post(client, BY_URL, {"fileUrl": url}))[0] == 400
    assert refused(post(client, BY_URL, {}))[0] == 400
    assert Ingest.objects.count() == 0


def test_an_address_that_takes_long(
    client: Client,
    media_server: Server,
    settings: Any,
    fake_separation: list[Any],
):
    settings.SYNC_WAIT_SECONDS = 0
    response = post(client, BY_URL, {"fileUrl": f"{media_server.url}/a.wav"}).json()
    assert response["msg"] == "File is being fetched"
    data = response["data"]
    assert [data[name] for name in ("fileSize", "mimeType", "downloadUrl")] == [None] * 3
    assert data["fileName"] == "a.wav"
    pair = {name: data[name] for name in ("taskId", "audioId")}
    # An order waits for it.
    task = separated(client, pair)
    assert Job.objects.get().state == JobState.WAITING
    assert run_next_ingest()
    assert run_jobs() == 1
    assert info(client, "vocal-removal", task)["successFlag"] == "SUCCESS"
    # Its names stay good afterwards.
    assert separated(client, pair) != task
    Ingest.objects.update(state="failed", asset=None, error_message="It was broken.")
    assert refused(
        post(client, "/api/v1/vocal-removal/generate", {**pair, "callBackUrl": "https://a.org"})
    ) == (400, "It was broken.")


def test_nobody_waits_when_too_many_do(client: Client, media_server: Server, settings: Any):
    settings.SYNC_WAITS_PER_PROCESS = 0
    body = {"fileUrl": f"{media_server.url}/a.wav"}
    assert post(client, BY_URL, body).json()["msg"] == "File is being fetched"


def test_an_upload_is_its_owners(client: Client, stranger: Client):
    data = upload(client).json()["data"]
    pair = {"taskId": data["taskId"], "audioId": data["audioId"]}
    body = {**pair, "callBackUrl": "https://hooks.example.org"}
    for path in ("vocal-removal", "wav", "midi"):
        assert refused(post(stranger, f"/api/v1/{path}/generate", body))[0] == 400
    assert Job.objects.count() == 0
