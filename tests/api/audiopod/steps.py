"""Orders, and a conversation to order with."""

import io
from pathlib import Path
from typing import Any

import soundfile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.makers import make_wav

TALK = Path(__file__).resolve().parents[2] / "separation" / "speech" / "three.flac"
EXTRACT = "/api/v1/speaker/extract"
STEMS = "/api/v1/stem-extraction"


def talk(*, seconds: float | None = None) -> bytes:
    """Three people, who interrupt each other; or the beginning of it, as a WAV file."""
    samples, rate = soundfile.read(TALK, dtype="int16")
    buffer = io.BytesIO()
    end = None if seconds is None else round(seconds * rate)
    soundfile.write(buffer, samples[:end], rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def wav(
    name: str = "song.wav", *, seconds: float = 0.2, content: bytes | None = None
) -> SimpleUploadedFile:
    data = make_wav(seconds=seconds) if content is None else content
    return SimpleUploadedFile(name, data, content_type="audio/wav")


def ordered(client: Client, path: str = EXTRACT, **fields: Any) -> dict[str, Any]:
    """The job of an upload."""
    response = client.post(path, {"file": wav(), **fields})
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body
