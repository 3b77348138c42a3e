import errno
from collections.abc import Callable
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import av
import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from config.errors import TooLarge
from jobs.models import Asset
from jobs.storage import StorageFailed
from jobs.uploads import LimitedTemporaryFileUploadHandler
from tests.makers import make_wav

pytestmark = pytest.mark.django_db

Stored = Callable[[], list[str]]


def upload(client: Client, content: bytes, *, name: str = "song.wav") -> Any:
    return client.post("/v1/assets", {"file": SimpleUploadedFile(name, content)})


def make_silent_video(path: Path) -> bytes:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def test_it_works(alice_client: Client, stored: Stored):
    content = make_wav(seconds=1.5, sample_rate=48_000, channels=1)
    response = upload(alice_client, content, name="Lied für Elise.wav")
    assert response.status_code == 201
    body = response.json()
    asset = Asset.objects.get()
    created_at = body.pop("created_at")
    assert created_at.startswith("20")
    kept_for = datetime.fromisoformat(body.pop("expires_at")) - datetime.fromisoformat(created_at)
    assert timedelta(days=3) <= kept_for < timedelta(days=3, minutes=1)
    assert body == {
        "id": str(asset.uuid),
        "filename": "Lied für Elise.wav",
        "size_bytes": len(content),
        "sha256": asset.sha256,
        "codec": "pcm_s16le",
        "container": "wav",
        "sample_rate": 48_000,
        "channels": 1,
        "n_samples": 72_000,
        "duration_s": 1.5,
    }
    assert stored() == [f"uploads/{asset.uuid}"]
    assert alice_client.get(f"/v1/assets/{asset.uuid}").json()["id"] == body["id"]
    assert [row["id"] for row in alice_client.get("/v1/assets").json()["results"]] == [body["id"]]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("song.wav", b"", "empty_file"),
        ("song.wav", b"not a recording at all " * 100, "unsupported_media"),
        ("song.wav", b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n", "unsupported_media"),
        ("song.wav", make_wav()[:30], "broken_media"),
    ],
)
def test_it_refuses_what_is_no_recording(
    alice_client: Client, stored: Stored, name: str, content: bytes, code: str
):
    response = upload(alice_client, content, name=name)
    assert response.status_code == 422
    assert response.json()["error"]["code"] == code
    assert stored() == []
    assert Asset.objects.count() == 0


def test_it_refuses_a_video_without_sound(alice_client: Client, stored: Stored, tmp_path: Path):
    response = upload(alice_client, make_silent_video(tmp_path / "film.mp4"), name="film.mp4")
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "no_audio_stream"
    assert stored() == []


def test_it_refuses_what_is_too_long(alice_client: Client, stored: Stored, settings: Any):
    settings.RECORDING_MAX_SECONDS = 1
    response = upload(alice_client, make_wav(seconds=1.1))
    assert response.status_code == 422
    error = response.json()["error"]
    assert (error["code"], error["data"]) == ("too_long", {"max_duration_s": 1})
    assert stored() == []


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(1.1, id="announced"),
        # The announced length allows for 64 KiB of framing: here only counting finds it out.
        pytest.param(0.1, id="counted"),
    ],
)
def test_it_refuses_what_is_too_large(
    alice_client: Client, stored: Stored, settings: Any, tmp_path: Path, seconds: float
):
    settings.UPLOAD_MAX_BYTES = 1000
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "arriving"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    response = upload(alice_client, make_wav(seconds=seconds))
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []
    assert response.status_code == 413
    error = response.json()["error"]
    assert (error["code"], error["data"]) == ("too_large", {"max_bytes": 1000})
    assert stored() == []
    assert Asset.objects.count() == 0


def test_the_count_does_not_trust_what_was_announced(settings: Any, tmp_path: Path):
    settings.UPLOAD_MAX_BYTES = 1000
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "arriving"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    handler = LimitedTemporaryFileUploadHandler()
    handler.handle_raw_input(None, {}, 1, b"", None)
    handler.new_file("file", "song.wav", "audio/wav", 1, None, {})
    handler.receive_data_chunk(b"x" * 1000, 0)
    assert len(list(settings.FILE_UPLOAD_TEMP_DIR.iterdir())) == 1
    with pytest.raises(TooLarge):
        handler.receive_data_chunk(b"x", 1000)
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []


def test_it_refuses_a_request_without_a_file(alice_client: Client):
    response = alice_client.post("/v1/assets", {})
    assert response.status_code == 400
    assert response.json()["error"]["fields"] == {"file": ["No file was submitted."]}


def test_a_connection_that_breaks_is_no_fault_of_ours(alice_client: Client, stored: Stored):
    class Broken(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if block := super().read(size):
                return block
            raise ConnectionResetError

    whole = encode_multipart(BOUNDARY, {"file": SimpleUploadedFile("a.wav", make_wav())})
    body: dict[str, Any] = {
        "wsgi.input": Broken(whole[:1000]),
        "CONTENT_LENGTH": str(len(whole)),
        "CONTENT_TYPE": MULTIPART_CONTENT,
    }
    response = alice_client.generic("POST", "/v1/assets", **body)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "upload_interrupted")
    assert (stored(), Asset.objects.count()) == ([], 0)


def test_it_refuses_json(alice_client: Client):
    response = alice_client.post("/v1/assets", "{}", content_type="application/json")
    assert response.status_code == 415
    assert response.json()["error"]["code"] == "unsupported_media_type"


def test_it_deletes(alice_client: Client, stored: Stored):
    asset_id = upload(alice_client, make_wav()).json()["id"]
    assert alice_client.delete(f"/v1/assets/{asset_id}").status_code == 204
    assert alice_client.get(f"/v1/assets/{asset_id}").status_code == 404
    assert alice_client.delete(f"/v1/assets/{asset_id}").status_code == 404
    assert alice_client.get("/v1/assets").json()["results"] == []


def test_a_stranger_finds_nothing(alice_client: Client, charlie_client: Client):
    asset_id = upload(alice_client, make_wav()).json()["id"]
    for response in (
        charlie_client.get(f"/v1/assets/{asset_id}"),
        charlie_client.delete(f"/v1/assets/{asset_id}"),
        charlie_client.get(f"/v1/assets/{uuid4()}"),
        charlie_client.get("/v1/assets/not-an-id"),
    ):
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"
    assert charlie_client.get("/v1/assets").json()["results"] == []
    assert alice_client.get(f"/v1/assets/{asset_id}").status_code == 200


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (StorageFailed("storage refused PutObject: SlowDown"), "unavailable"),
        (OSError(errno.ENOSPC, "No space left on device"), "no_room"),
    ],
)
def test_storage_that_fails_is_said_and_leaves_no_asset(
    alice_client: Client, fault: OSError, code: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("jobs.services.storage_save", Mock(side_effect=fault))
    response = alice_client.post("/v1/assets", {"file": SimpleUploadedFile("a.wav", make_wav())})
    assert (response.status_code, response.json()["error"]["code"]) == (503, code)
    assert Asset.objects.get().state == "deleted"


def test_a_full_disk_takes_nothing(alice_client: Client, stored: Stored, settings: Any):
    settings.UPLOAD_SPARE_BYTES = 2**60
    response = upload(alice_client, make_wav(seconds=1))
    assert (response.status_code, response.json()["error"]["code"]) == (503, "no_room")
    assert stored() == []


def test_few_are_received_at_a_time(alice_client: Client, settings: Any):
    settings.UPLOAD_BODIES_PER_OWNER = 0
    response = upload(alice_client, make_wav(seconds=1))
    assert (response.status_code, response.json()["error"]["code"]) == (503, "no_room")
