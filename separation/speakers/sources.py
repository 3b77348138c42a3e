"""The samples that tracks are cut out of: a recording's own, or those of its denoised copy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from separation.audio.buffer import SampleBuffer
from separation.audio.decode import AudioReader
from separation.audio.info import AudioInfo
from separation.errors import BrokenMedia
from separation.progress import OnProgress
from separation.speakers.cutting import FloatArray

# Enough that what each block costs by itself does not count for twenty tracks.
BLOCK_SAMPLES = 1 << 15


class Source(Protocol):
    """What can be read from its start as often as needed."""

    def blocks(self) -> Iterator[FloatArray]:
        """Yield (channels, n) float32 blocks of BLOCK_SAMPLES; the last one may be shorter."""
        ...


class RecordedSource:
    """A recording, as long as it was when probed.

    Parameters
    ----------
    path : path
    info : AudioInfo
        What probing the recording said.
    """

    def __init__(self, path: Path, info: AudioInfo) -> None:
        self._path = path
        self._info = info

    def blocks(self) -> Iterator[FloatArray]:
        """See `Source`.

        Raises
        ------
        BrokenMedia
            If it is not the recording that was probed.
        """
        with AudioReader(self._path, guess=self._info.container) as reader:
            form = reader.format
            if (form.sample_rate, form.channels) != (self._info.sample_rate, self._info.channels):
                raise BrokenMedia("The recording is not the one that was probed.")
            yield from _exactly(reader.blocks(), self._info.channels, self._info.n_samples)


def _exactly(blocks: Iterator[FloatArray], n_channels: int, n_samples: int) -> Iterator[FloatArray]:
    """Yield `n_samples` in blocks of one size."""
    buffer = SampleBuffer(n_channels)
    left = n_samples
    for block in blocks:
        buffer.append(block)
        while left and len(buffer) >= min(BLOCK_SAMPLES, left):
            n = min(BLOCK_SAMPLES, left)
            yield buffer.take(n)
            left -= n
    if left:
        raise BrokenMedia("The recording is shorter than it was when probed.")


class Denoising(Protocol):
    """Takes noise out of (channels, n) blocks, as `separation.enhance.denoise.Denoiser` does."""

    def push(self, block: FloatArray) -> FloatArray: ...

    def flush(self) -> FloatArray: ...


class DenoisedSource:
    """A copy of a recording without its noise, made at once, kept on disk without a name.

    Parameters
    ----------
    source : Source
    info : AudioInfo
    folder : path
        Where the copy lies, whose size is that of 32-bit samples.
    denoiser : Denoising
        Its own, from the start.
    on_progress : callable
        The step is `denoise`.
    """

    def __init__(
        self,
        source: Source,
        info: AudioInfo,
        folder: Path,
        denoiser: Denoising,
        on_progress: OnProgress,
    ) -> None:
        self._info = info
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)
        try:
            self._fill(source, denoiser, on_progress)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Remove the copy."""
        self._file.close()

    def blocks(self) -> Iterator[FloatArray]:
        """See `Source`."""
        self._file.seek(0)
        n_channels, left = self._info.channels, self._info.n_samples
        while left:
            n = min(BLOCK_SAMPLES, left)
            values = np.frombuffer(self._file.read(4 * n * n_channels), np.float32)
            yield values.reshape(n, n_channels).T.copy()  # (channels, n)
            left -= n

    def _fill(self, source: Source, denoiser: Denoising, on_progress: OnProgress) -> None:
        total = self._info.n_samples
        on_progress(step="denoise", completed=0, total=total)
        done = 0
        for block in source.blocks():
            done += self._keep(denoiser.push(block))
            on_progress(step="denoise", completed=done, total=total)
        done += self._keep(denoiser.flush())
        if done != total:
            raise RuntimeError("Denoising changed the recording's length.")
        on_progress(step="denoise", completed=done, total=total)
        self._file.flush()

    def _keep(self, samples: FloatArray) -> int:
        self._file.write(np.ascontiguousarray(samples.T, np.float32).data)  # (n, channels)
        return int(samples.shape[1])
