"""A stretch of a recording, counted in decoded samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from separation.audio.buffer import gathered
from separation.audio.decode import AudioReader
from separation.audio.info import AudioInfo
from separation.errors import BrokenMedia, InvalidRequest

FloatArray = npt.NDArray[np.float32]

# Decoders give a thousand samples at a time, and each array on its way has its price.
_BLOCK_SAMPLES = 1 << 15


def bounds(start: int | None, end: int | None, n_samples: int) -> tuple[int, int]:
    """Return the first sample of a stretch and the one behind it, within the recording.

    Parameters
    ----------
    start, end : int, optional
        As asked for; the recording's own where left out. An end beyond the recording is its end.
    n_samples : int
        Length of the recording.

    Raises
    ------
    InvalidRequest
        If nothing of the recording is between them.
    """
    first = 0 if start is None else start
    last = n_samples if end is None else min(end, n_samples)
    if first < 0:
        raise InvalidRequest("A range starts at 0 or later.")
    if end is not None and end <= first:
        raise InvalidRequest("A range ends after its start.")
    if first >= n_samples:
        raise InvalidRequest("The range starts behind the end of the recording.")
    return first, last


def stretch(
    path: Path, info: AudioInfo, start: int, end: int, on_samples: Callable[[int], None]
) -> Iterator[FloatArray]:
    """Yield a stretch of a recording as (channels, n) float32 blocks.

    All before it is decoded too: only so its place is exact in every kind of file.

    Parameters
    ----------
    path : path
    info : AudioInfo
        What probing the recording said.
    start, end : int
        First sample, and the one behind the last.
    on_samples : callable
        Told how many samples were read so far, those before the stretch too; may raise to stop.

    Raises
    ------
    BrokenMedia
        If it is not the recording that was probed.
    """
    at = 0
    with AudioReader(path, guess=info.container) as reader:
        form = reader.format
        if (form.sample_rate, form.channels) != (info.sample_rate, info.channels):
            raise BrokenMedia("The recording is not the one that was probed.")
        for block in gathered(reader.blocks(), _BLOCK_SAMPLES):
            inside = block[:, max(start - at, 0) : max(end - at, 0)]
            at += block.shape[1]
            on_samples(min(at, end))
            if inside.shape[1]:
                yield inside
            if at >= end:
                return
    raise BrokenMedia("The recording is shorter than it was when probed.")
