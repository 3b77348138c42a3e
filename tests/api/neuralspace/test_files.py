import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from jobs.models import Asset, AssetState
from tests.api.answers import content
from tests.makers import make_asset, make_job, make_key, make_member, make_token, make_wav

pytestmark = pytest.mark.django_db

GONE = {"success": False, "message": "There is no such file.", "data": None}


def upload(client: Client, *files: bytes, name: str = "My song.WAV") -> Any:
    parts = []
    for one in files:
        part = io.BytesIO(one)
        part.name = name
        parts.append(part)
    return client.post("/api/file/upload", {"files": parts})


def test_an_uploaded_file_is_described_downloaded_and_deleted(client: Client):
    wav = make_wav(seconds=0.5)
    response = upload(client, wav)
    assert response.status_code == 200
    file_id = response.json()["data"]["fileId"]
    assert response.json() == {
        "success": True,
        "message": "File uploaded successfully",
        "data": {"fileId": file_id},
    }
    path = f"/api/file?fileId={file_id}"
    body = client.get(path).json()
    assert (body["success"], body["message"]) == (True, "Data fetched succssfully")
    data = body["data"]
    assert data["fileId"] == file_id
    assert (data["fileName"], data["fileExt"], data["fileSize"]) == ("My song.WAV", "wav", len(wav))
    assert data["metadata"] == {"audioDuration": 0.5}
    assert data["reference"] == f"uploads/{file_id}"
    assert content(Client().get(data["downloadUrl"])) == wav

    download = client.get(f"/api/file/download?fileId={file_id}")
    assert content(download) == wav
    assert download.headers["Content-Type"] == "audio/wav"
    part = client.get(f"/api/file/download?fileId={file_id}", headers={"Range": "bytes=4-7"})
    assert part.status_code == 206
    assert content(part) == wav[4:8]

    assert client.delete(path).json() == {
        "success": True,
        "message": "File deleted successfully",
        "data": {"fileId": file_id},
    }
    assert Asset.objects.get().state == AssetState.DELETED
    for response in (
        client.get(path),
        client.delete(path),
        client.get(f"/api/file/download?fileId={file_id}"),
    ):
        assert (response.status_code, response.json()) == (404, GONE)


def test_a_person_who_signed_in_has_no_key_to_show(alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    token = make_token(make_member(alice, "viewer"), alice)
    response = Client(headers={"Authorization": token}).get(f"/api/file?fileId={asset.uuid}")
    assert response.json()["data"]["apikey"] == ""


def test_files_of_others_look_unknown(client: Client, stranger: Client, alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    for file_id in (asset.uuid, uuid4()):
        for path in ("/api/file", "/api/file/download"):
            response = stranger.get(path, {"fileId": str(file_id)})
            assert (response.status_code, response.json()) == (404, GONE)
        response = stranger.delete(f"/api/file?fileId={file_id}")
        assert (response.status_code, response.json()) == (404, GONE)
    assert client.get(f"/api/file?fileId={asset.uuid}").status_code == 200


@pytest.mark.parametrize("file_id", ["nothing", "%00", "1" * 5000, "..", "ä"])
@pytest.mark.parametrize("path", ["/api/file", "/api/file/download"])
def test_what_cannot_be_an_id_is_of_nothing(client: Client, path: str, file_id: str):
    response = client.get(f"{path}?fileId={file_id}")
    assert (response.status_code, response.json()["success"]) == (404, False)


@pytest.mark.parametrize("query", ["", "?fileId=", "?fileid=x"])
def test_the_id_is_needed(client: Client, query: str):
    response = client.get(f"/api/file{query}")
    assert response.status_code == 400
    assert response.json() == {
        "success": False,
        "message": "fileId: This field is required.",
        "data": None,
    }


def test_one_file_at_a_time(client: Client):
    wav = make_wav(seconds=0.1)
    response = upload(client, wav, wav)
    assert response.status_code == 400
    assert response.json()["message"] == "files: Send one file at a time."
    assert client.post("/api/file/upload", {"file": "x"}).status_code == 400
    assert Asset.objects.count() == 0


def test_what_is_no_recording_is_refused(client: Client, settings: Any):
    response = upload(client, b"<html>", name="page.html")
    assert (response.status_code, response.json()["data"]) == (400, None)
    assert upload(client, b"").status_code == 400
    settings.UPLOAD_MAX_BYTES = 1000
    assert upload(client, make_wav(seconds=1.0)).status_code == 413
    assert Asset.objects.filter(state=AssetState.READY).count() == 0


def test_a_file_that_is_worked_on_stays(client: Client, alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    make_job(alice, asset)
    response = client.delete(f"/api/file?fileId={asset.uuid}")
    assert response.status_code == 409
    assert response.json() == {
        "success": False,
        "message": "A job still works on this recording; cancel that job first.",
        "data": None,
    }


def test_a_key_does_what_its_scopes_say(alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    client = Client(headers={"Authorization": make_key(alice, scopes=["assets:read"])})
    assert client.get(f"/api/file?fileId={asset.uuid}").status_code == 200
    for response in (
        client.delete(f"/api/file?fileId={asset.uuid}"),
        upload(client, make_wav(seconds=0.1)),
        client.get(f"/api/voice-extractor/v1/task?taskId={uuid4()}"),
    ):
        assert (response.status_code, response.json()["success"]) == (403, False)
