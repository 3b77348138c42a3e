"""What librosa makes of the same pieces, where it is installed: it is no dependency."""

from typing import Any

import numpy as np

from benchmarks.music.sounds import SAMPLE_RATE, FloatArray
from separation.music import key as keys

try:
    import librosa
except ImportError:
    librosa = None

is_there = librosa is not None


def tempo(samples: FloatArray) -> tuple[float | None, tuple[float, ...]]:
    """Its beat tracker (Ellis 2007): the tempo and the beats."""
    library: Any = librosa
    bpm, frames = library.beat.beat_track(y=samples, sr=SAMPLE_RATE)
    times = library.frames_to_time(frames, sr=SAMPLE_RATE)
    return float(np.squeeze(bpm)) or None, tuple(times)


def key(samples: FloatArray) -> tuple[str, str]:
    """Its chroma of constant Q, by the same profiles."""
    library: Any = librosa
    levels = library.feature.chroma_cqt(y=samples, sr=SAMPLE_RATE).mean(axis=1)
    scale, tonic, *_ = keys.best_key(levels)
    return keys.NOTES[tonic], scale
