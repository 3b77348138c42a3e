"""Real music and the real engine, for tests that walk through what an outside API promises."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import soundfile

from jobs.engine import EngineProcess

_CLIP = Path(__file__).resolve().parents[2] / "demo" / "clip.flac"


def music(*, seconds: float = 3.0, start_s: float = 4.0, subtype: str = "PCM_16") -> bytes:
    """A piece of the demo's song, in which somebody sings from second 4 on, as a WAV file."""
    with soundfile.SoundFile(_CLIP) as clip:
        rate = clip.samplerate
        clip.seek(round(start_s * rate))
        samples = clip.read(round(seconds * rate), dtype="float32")
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


@contextmanager
def real_engine(monkeypatch: Any) -> Iterator[EngineProcess]:
    """A process of this test's own, which ends with it."""
    process = EngineProcess()
    monkeypatch.setattr("jobs.engine._resident", process)
    try:
        yield process
    finally:
        process.close()
