"""A recording as both music networks hear it: one channel at 22,050 Hz."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from separation.audio.buffer import gathered
from separation.audio.decode import AudioReader
from separation.audio.info import AudioFormat, AudioInfo
from separation.audio.resample import Resampler
from separation.errors import BrokenMedia

FloatArray = npt.NDArray[np.float32]

SAMPLE_RATE = 22_050

# A cable with two wires swapped: less than this share of the power is left of both together.
_CANCELLED = 0.01
# Decoders give a thousand samples at a time, and each array on its way has its price.
_LEAST_BLOCK_S = 1


def mono(path: Path, info: AudioInfo, on_samples: Callable[[int], None]) -> Iterator[FloatArray]:
    """Yield a recording's channels as one, (n,) at 22,050 Hz.

    Parameters
    ----------
    path : path
        Local file.
    info : AudioInfo
        What probing it said.
    on_samples : callable
        Is told how many samples, at the recording's rate, were read so far; may raise.

    Raises
    ------
    BrokenMedia
        If it is not the recording that was probed, or most of it cannot be decoded.
    """
    resampler = Resampler(info.sample_rate, SAMPLE_RATE, 1)
    n_samples = 0
    with AudioReader(path, guess=info.container) as reader:
        _check_unchanged(reader.format, info)
        for block in gathered(reader.blocks(), _LEAST_BLOCK_S * info.sample_rate):
            yield resampler.process(_mean(block))[0]
            n_samples += block.shape[1]
            on_samples(n_samples)
        reader.check_health()
    yield resampler.finish()[0]


def _check_unchanged(form: AudioFormat, info: AudioInfo) -> None:
    if (form.sample_rate, form.channels) != (info.sample_rate, info.channels):
        raise BrokenMedia("The recording is not the one that was probed.")


def _mean(block: FloatArray) -> FloatArray:
    """Return the mean of (channels, n) as (1, n); of two that cancel each other, the first."""
    mean = block.mean(axis=0, keepdims=True)
    is_cancelled = len(block) == 2 and mean.var() < _CANCELLED * block.var(axis=1).mean()
    return block[:1] if is_cancelled else mean
