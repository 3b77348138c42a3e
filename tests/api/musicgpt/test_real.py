"""The other conversions, from the order to the file, with real music and networks."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
import soundfile
from django.core.files.base import ContentFile
from django.test import Client

from jobs.models import Job
from tests.api.musicgpt.steps import by_id, job_of, send
from tests.api.real import music, real_engine
from tests.makers import run_jobs

pytestmark = pytest.mark.django_db

SECONDS = 2.0


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with real_engine(monkeypatch):
        yield


@pytest.fixture(scope="module")
def recording() -> bytes:
    return music(seconds=SECONDS)


def made(client: Client, conversion: str, recording: bytes, **fields: Any) -> dict[str, Any]:
    """The conversion, once it was worked on."""
    file = ContentFile(recording, "song.wav")
    job = job_of(send(client, conversion, audio_file=file, **fields))
    assert run_jobs() == 1
    job = Job.objects.get(pk=job.pk)
    assert (job.state, job.error_message) == ("succeeded", "")
    query = {"task_id": job.uuid, "conversionType": job.dialect_data["conversion_type"]}
    response = by_id(client, **query)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()["conversion"]
    assert body["status"] == "COMPLETED"
    assert body["conversion_cost"] == body["credit_estimate"] > 0
    return body


def fetched(client: Client, link: str) -> tuple[str, bytes]:
    response = client.get(link.removeprefix("http://testserver"))
    content = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    return response.headers["Content-Type"], content


def test_noise_is_taken_out(client: Client, recording: bytes):
    body = made(client, "denoise", recording)
    assert fetched(client, body["audio_url"])[0] == "audio/mpeg"
    kind, content = fetched(client, body["audio_url_wav"])
    samples, rate = soundfile.read(io.BytesIO(content))
    before, before_rate = soundfile.read(io.BytesIO(recording))
    assert (kind, rate, samples.shape) == ("audio/wav", before_rate, before.shape)
    assert 0.001 < abs(samples - before).max()


def test_a_part_is_cut_out(client: Client, recording: bytes):
    fields = {"start_time": "500", "end_time": "1500", "output_extension": "wav"}
    body = made(client, "audio_cutter", recording, **fields)
    samples, rate = soundfile.read(io.BytesIO(fetched(client, body["audio_url"])[1]))
    before, _ = soundfile.read(io.BytesIO(recording))
    assert (samples == before[rate // 2 : rate // 2 + rate]).all()
    assert body["conversion_duration"] == 1.0


def test_it_is_written_in_another_format(client: Client, recording: bytes):
    fields = {"target_format": "flac", "target_bit_depth": "16"}
    body = made(client, "file_convert", recording, **fields)
    kind, content = fetched(client, body["audio_url"])
    samples, _ = soundfile.read(io.BytesIO(content))
    assert (kind, content[:4]) == ("audio/flac", b"fLaC")
    assert (samples == soundfile.read(io.BytesIO(recording))[0]).all()
    assert body["audio_url_wav"] is None


def test_key_and_tempo_are_found(client: Client):
    body = made(client, "extract_key_bpm", music(seconds=12.0, start_s=0.0))
    # What the song is in, and how fast, tests of the library know.
    assert body["dominant_key"].split()[1] in ("major", "minor")
    assert 40 < body["bpm"] < 240
    assert fetched(client, body["conversion_path"])[0] == "audio/wav"


def test_notes_are_written_down(client: Client, recording: bytes):
    body = made(client, "audio_to_midi", recording)
    _, content = fetched(client, body["midi_url"])
    assert content[:4] == b"MThd"
    assert body["note_events"]
    for note in body["note_events"]:
        assert set(note) == {"pitch", "start", "end", "velocity", "instrument"}
        assert 0 <= note["start"] < note["end"]
