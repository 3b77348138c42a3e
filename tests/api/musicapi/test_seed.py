"""The page "get VOX", and what stands beside it, with real music, networks and HTTP.

Each assertion names the passage that it is about.
"""

import io
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
import soundfile
from django.db import connection

from billing.selectors import ledger_discrepancies, wallet_get
from jobs.ingesting import run_next_ingest
from jobs.runner import run_next_job
from tests.api.real import music, real_engine
from tests.fakes.http import Server, says
from tests.makers import make_key

SECONDS = 5.0
RATE = 44_100

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def http(alice: Any, live_server: Any) -> Iterator[httpx.Client]:
    # "JWT Bearer. Add the parameter Authorization to Headers".
    headers = {"Authorization": f"Bearer {make_key(alice)}"}
    with httpx.Client(
        base_url=live_server.url, headers=headers, timeout=120, trust_env=False
    ) as http:
        yield http


@pytest.fixture
def jobs_ended(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Does what waits, as long as the test lasts; released once for each job."""
    stop, ended = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        try:
            while not stop.is_set():
                if run_next_job():
                    ended.release()
                elif not run_next_ingest():
                    stop.wait(0.02)
        finally:
            connection.close()

    with real_engine(monkeypatch):
        thread = threading.Thread(target=work)
        thread.start()
        yield ended
        stop.set()
        thread.join()


def uploaded(http: httpx.Client, server: Server) -> str:
    """ "upload music": "The clip ID must be created through our service"."""
    server.answer = says("200 OK", body=music(seconds=SECONDS))
    response = http.post("/api/v1/sonic/upload", json={"url": f"{server.url}/song.wav"})
    assert response.status_code == 200
    body = response.json()
    assert (body["code"], body["message"]) == (200, "success")
    clip_id: str = body["clip_id"]
    assert str(UUID(clip_id)) == clip_id
    return clip_id


def file_at(http: httpx.Client, url: str) -> Any:
    response = httpx.get(url, trust_env=False)
    assert response.status_code == 200
    return soundfile.read(io.BytesIO(response.content), always_2d=True)


@pytest.mark.usefixtures("jobs_ended")
def test_the_page_from_top_to_bottom(http: httpx.Client, alice: Any, media_server: Server):
    clip_id = uploaded(http, media_server)
    assert http.get("/api/v1/get-credits").json() == {"credits": 100, "extra_credits": 0}

    # "POST https://api.musicapi.ai/api/v1/sonic/vox", "You can optionally specify a time range".
    asked = {"clip_id": clip_id, "vocal_start_s": 1, "vocal_end_s": 4}
    response = http.post("/api/v1/sonic/vox", json=asked)
    # "200 success, application/json".
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert list(body) == ["code", "data", "message"]
    # `"code": 200`
    assert body["code"] == 200
    # `"message": "success"`
    assert body["message"] == "success"
    data = body["data"]
    assert list(data)[:6] == [
        "vox_audio_id",
        "status",
        "source_clip_id",
        "vocal_start_s",
        "vocal_end_s",
        "wave_response",
    ]
    # `"vox_audio_id": "a1b2c3d4-…"`
    assert str(UUID(data["vox_audio_id"])) == data["vox_audio_id"]
    # `"status": "complete"`
    assert data["status"] == "complete"
    # `"source_clip_id": "26c9c592-…"`
    assert data["source_clip_id"] == clip_id
    # `"vocal_start_s": 0, "vocal_end_s": 30`: whole numbers stay such.
    assert (data["vocal_start_s"], data["vocal_end_s"]) == (1, 4)
    assert isinstance(data["vocal_start_s"], int)
    # `"wave_response": {}`: an object.
    (finest, *_) = data["wave_response"]["waveform_aggregates"]

    # "Extract vocal audio data from a song": a voice, of that range.
    voice, rate = file_at(http, data["vocal_audio_url"])
    assert (rate, voice.shape) == (RATE, (3 * RATE, 2))
    mixture, _ = soundfile.read(io.BytesIO(music(seconds=3.0, start_s=5.0)), always_2d=True)
    assert np.abs(voice).max() > 0.05
    # Not the mixture itself.
    assert np.sqrt(np.mean((mixture - voice) ** 2)) > 0.01
    levels = np.array(finest["data"])
    assert levels.max() == np.rint(voice.max() * 32768)

    # "Credits cost: 1".
    assert http.get("/api/v1/get-credits").json() == {"credits": 99, "extra_credits": 0}
    # "a time range (up to 30 seconds)".
    response = http.post("/api/v1/sonic/vox", json={"clip_id": clip_id, "vocal_end_s": 31})
    assert response.status_code == 400
    assert response.json()["code"] == 400
    assert wallet_get(workspace=alice).posted_mcr == 99_000


def test_what_stands_beside_it_in_the_list(
    http: httpx.Client, alice: Any, media_server: Server, jobs_ended: threading.Semaphore
):
    """ "get BPM", "get wav", "get midi", "stems basic", "get music", "get-credits"."""
    clip_id = uploaded(http, media_server)
    body = {"clip_id": clip_id}

    tempo = http.post("/api/v1/sonic/bpm", json=body).json()["data"]
    assert set(tempo) == {"avg_bpm", "max_bpm", "min_bpm"}
    assert tempo["min_bpm"] <= tempo["avg_bpm"] <= tempo["max_bpm"]

    data = http.post("/api/v1/sonic/wav", json=body).json()["data"]
    samples, rate = file_at(http, data["wav_url"])
    assert (rate, samples.shape) == (RATE, (SECONDS * RATE, 2))

    data = http.post("/api/v1/sonic/midi", json=body).json()["data"]
    midi = httpx.get(data["midi_url"], trust_env=False)
    assert midi.content[:4] == b"MThd"
    assert midi.headers["Content-Type"] == "audio/midi"
    (instrument, *_) = data["instruments"]
    assert isinstance(instrument["name"], str)
    assert set(instrument["notes"][0]) == {"pitch", "start", "end", "velocity"}

    ordered = http.post("/api/v1/sonic/stems/basic", json=body).json()
    assert ordered["message"] == "success"
    for _ in ("bpm", "wav", "midi", "stems"):
        assert jobs_ended.acquire(timeout=120)
    answer = http.get(f"/api/v1/sonic/task/{ordered['task_id']}").json()
    assert (answer["code"], answer["message"]) == (200, "success")
    assert {entry["state"] for entry in answer["data"]} == {"succeeded"}
    first, second = answer["data"]
    assert (first["title"], second["title"]) == ("song (Vocals)", "song (Instrumental)")
    whole = sum(file_at(http, entry["audio_url"])[0] for entry in answer["data"])
    assert np.abs(whole - samples).max() < 2 / 32768

    assert http.get("/api/v1/get-credits").json() == {
        "credits": 100 - 1 - 1 - 1 - 15,
        "extra_credits": 0,
    }
    assert ledger_discrepancies() == []
