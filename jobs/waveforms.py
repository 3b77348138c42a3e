"""The shape of a recording, as players draw it: the peaks of each stretch, coarse and fine."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jobs.models import Asset
from jobs.separating import translated_errors
from jobs.storage import local_copy
from separation.audio.decode import AudioReader

# (channels, stretches, 2) int16: the lowest and the highest sample.
Peaks = npt.NDArray[np.int16]


def waveform_peaks(asset: Asset, *, levels: Sequence[int]) -> dict[int, Peaks]:
    """The peaks of stretches of 2 ** level samples each, by level.

    Reads the file once, by the stretch: only for what a job of ours made, since a recording of
    somebody else's is never decoded in this process.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        local_copy(key=asset.storage_key, folder=Path(folder)) as path,
        translated_errors(),
        AudioReader(path) as reader,
    ):
        peaks = _finest(reader.blocks(), 2 ** min(levels))
    found = {}
    for level in range(min(levels), max(levels) + 1):
        if level in levels:
            found[level] = peaks
        peaks = _coarser(peaks)
    return found


def _finest(blocks: Iterable[npt.NDArray[np.float32]], size: int) -> Peaks:
    """Peaks of `size` samples each; the last stretch may be shorter."""
    found: list[Peaks] = []
    rest: npt.NDArray[np.float32] | None = None
    for block in blocks:
        samples = block if rest is None else np.concatenate([rest, block], axis=1)
        whole = samples.shape[1] // size * size
        if whole:
            found.append(_peaks(samples[:, :whole].reshape(len(samples), -1, size)))
        rest = samples[:, whole:]
    if rest is not None and rest.shape[1]:
        found.append(_peaks(rest[:, np.newaxis, :]))
    return np.concatenate(found, axis=1)


def _peaks(stretches: npt.NDArray[np.float32]) -> Peaks:
    """(channels, stretches, samples) to (channels, stretches, 2)."""
    ends = np.stack([stretches.min(axis=2), stretches.max(axis=2)], axis=2)
    peaks: Peaks = np.clip(np.rint(ends * 32768), -32768, 32767).astype(np.int16)
    return peaks


def _coarser(peaks: Peaks) -> Peaks:
    """Two stretches become one; the last may stay alone."""
    if peaks.shape[1] % 2:
        peaks = np.concatenate([peaks, peaks[:, -1:]], axis=1)
    pairs = peaks.reshape(len(peaks), -1, 2, 2)
    return np.stack([pairs[..., 0].min(axis=2), pairs[..., 1].max(axis=2)], axis=2)
