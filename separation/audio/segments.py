"""What a player needs of a recording: FLAC files of five seconds each, and peaks to draw it by.

The segments lie one after the other in one file; each can be decoded alone, and where two meet no
sample is missing or there twice. All is made in one pass over the recording, in the memory of one
segment.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from separation.audio import formats
from separation.audio.decode import AudioReader
from separation.audio.encode import packed, quantize, usable_layout
from separation.audio.formats import OutputFormat
from separation.audio.info import AudioFormat

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.int8]

SEGMENT_S = 5
# Peaks a second; each level is made of the one before.
LEVELS = (100, 10, 1)
_PEAK_SCALE = 127


@dataclass(frozen=True, slots=True)
class Segments:
    """What was written.

    Attributes
    ----------
    offsets : list of int, bytes
        Where each segment begins in the file, and where the last one ends.
    gain : float
        What all samples were divided by, since some lie beyond full scale; a power of two, so that
        they are exact. 1 where none does.
    counts : list of int
        How many peaks each of LEVELS has.
    """

    offsets: list[int]
    gain: float
    counts: list[int]


def write_segments(
    path: str | Path,
    *,
    audio: BinaryIO,
    peaks: BinaryIO,
    start: int,
    end: int,
    guess: str | None = None,
) -> Segments:
    """Write a stretch of a recording for players, in bounded memory.

    Parameters
    ----------
    path : path
        Local file.
    audio : binary file
        For whole FLAC files of SEGMENT_S each, one after the other; seekable, and emptied first.
    peaks : binary file
        For the lowest and the highest sample of the channels' mean, as two int8 of -127..127, level
        after level; seekable, and emptied first.
    start, end : int, samples
        The stretch to write; past the end of the recording there is silence.
    guess : str, optional
        See `open_recording`.

    Returns
    -------
    Segments

    Raises
    ------
    MediaError
        If the recording cannot be decoded.
    """
    gain = 1.0
    while True:
        for file in (audio, peaks):
            file.seek(0)
            file.truncate()
        with AudioReader(path, guess=guess) as reader:
            writer = _Writer(reader.format, audio, peaks, gain)
            size = SEGMENT_S * reader.format.sample_rate
            for segment in stretches(reader, start, end, size=size):
                writer.add(segment)
            reader.check_health()
        if writer.needed_gain <= gain:
            return Segments(writer.offsets, gain, writer.finish())
        # Once more, with what it takes.
        gain = writer.needed_gain


def stretches(reader: AudioReader, start: int, end: int, *, size: int) -> Iterator[FloatArray]:
    """Yield a stretch in blocks of one length.

    Parameters
    ----------
    reader : AudioReader
        Of which nothing was read.
    start, end : int, samples
        The stretch; past the end of the recording there is silence.
    size : int, samples
        Of each block but the last, which may be shorter.

    Yields
    ------
    array of float32 (channels, size)
        Full scale at -1..1; each is another array.

    Raises
    ------
    MediaError
        If the recording cannot be decoded.
    """
    left = end - start
    segment = np.zeros((reader.format.channels, min(size, left)), np.float32)
    filled = 0
    for block in _window(reader, start, end):
        taken = 0
        while taken < block.shape[1]:
            n = min(block.shape[1] - taken, segment.shape[1] - filled)
            segment[:, filled : filled + n] = block[:, taken : taken + n]
            taken, filled = taken + n, filled + n
            if filled == segment.shape[1]:
                yield segment
                left -= filled
                segment = np.zeros((len(segment), min(size, left)), np.float32)
                filled = 0
    while left > 0:
        yield segment
        left -= segment.shape[1]
        segment = np.zeros((len(segment), min(size, left)), np.float32)


def _window(reader: AudioReader, start: int, end: int) -> Iterator[FloatArray]:
    position = 0
    for block in reader.blocks():
        first, last = max(start - position, 0), min(end - position, block.shape[1])
        if first < last:
            yield block[:, first:last]
        position += block.shape[1]
        if position >= end:
            # The rest is of no interest.
            return


class _Writer:
    def __init__(self, form: AudioFormat, audio: BinaryIO, peaks: BinaryIO, gain: float) -> None:
        self.needed_gain = gain
        self.offsets = [0]
        self._audio, self._peaks, self._gain = audio, peaks, gain
        self._rate = form.sample_rate
        self._form = formats.concrete("flac16" if form.bits_per_sample == 16 else "flac24")
        self._layout = usable_layout(form.layout, form.channels, self._form)
        self._finest: list[ByteArray] = []

    def add(self, samples: FloatArray) -> None:
        highest = float(max(samples.max(initial=0), -samples.min(initial=0)))
        if highest > self.needed_gain:
            self.needed_gain = 2.0 ** math.ceil(math.log2(highest))
        if self.needed_gain > self._gain:
            # It will all be written anew: what matters is how loud the rest is.
            return
        found = _peaks(samples.mean(axis=0), self._rate)
        self._finest.append(found)
        # At once, so that whoever waits sees by its length how far this has come.
        self._peaks.write(found.tobytes())
        self._peaks.flush()
        exact = samples if self._gain == 1 else samples / np.float32(self._gain)
        self._audio.write(_flac(exact, self._rate, self._form, self._layout))
        self.offsets.append(self._audio.tell())

    def finish(self) -> list[int]:
        """Write the coarser peaks; returns how many each level has."""
        level = np.concatenate(self._finest)  # (n, 2)
        counts = [len(level)]
        for finer, coarser in pairwise(LEVELS):
            level = _coarser(level, finer // coarser)
            self._peaks.write(level.tobytes())
            counts.append(len(level))
        for file in (self._audio, self._peaks):
            file.flush()
        return counts


def peaks_size(counts: list[int]) -> int:
    """Return how long the file of peaks is, in bytes, from the counts of its levels."""
    return 2 * sum(counts)


def peak_counts(n_samples: int, sample_rate: int) -> list[int]:
    """Return how many peaks each of LEVELS has, for so many samples at a rate in Hz."""
    whole, rest = divmod(n_samples, SEGMENT_S * sample_rate)
    finest = whole * SEGMENT_S * LEVELS[0] + len(_bounds(rest, sample_rate))
    counts = [finest]
    for finer, coarser in pairwise(LEVELS):
        counts.append(-(-counts[-1] // (finer // coarser)))
    return counts


def _bounds(n_samples: int, sample_rate: int) -> npt.NDArray[np.int64]:
    """Return where each hundredth of a second begins, in samples from the segment's beginning."""
    n = -(-n_samples * LEVELS[0] // sample_rate)
    bounds = np.arange(n, dtype=np.int64) * sample_rate // LEVELS[0]
    return bounds[bounds < n_samples]


def _peaks(samples: FloatArray, sample_rate: int) -> ByteArray:
    """Return (n, 2): the lowest and the highest sample of each hundredth of a second."""
    bounds = _bounds(len(samples), sample_rate)
    ends = np.stack([np.minimum.reduceat(samples, bounds), np.maximum.reduceat(samples, bounds)])
    steps = np.clip(np.rint(ends.T * _PEAK_SCALE), -_PEAK_SCALE, _PEAK_SCALE)
    found: ByteArray = steps.astype(np.int8)
    return found


def _coarser(level: ByteArray, factor: int) -> ByteArray:
    """Make `factor` peaks one; the last may stand for fewer."""
    bounds = np.arange(0, len(level), factor)
    lows = np.minimum.reduceat(level[:, 0], bounds)
    highs = np.maximum.reduceat(level[:, 1], bounds)
    coarser: ByteArray = np.stack([lows, highs], axis=1)
    return coarser


def _flac(samples: FloatArray, sample_rate: int, form: OutputFormat, layout: str) -> bytes:
    """Return a whole FLAC file; its header says how long it is."""
    assert form.bits is not None  # noqa: S101 - FLAC holds integers
    steps, _ = quantize(samples, form.bits)
    frame = AudioFrame.from_ndarray(packed(steps, form), format=form.sample_format, layout=layout)
    frame.sample_rate, frame.pts = sample_rate, 0
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form.container) as container:
        stream = container.add_stream(form.codec, rate=sample_rate)
        assert isinstance(stream, AudioStream)  # noqa: S101 - the codec is one of audio
        stream.codec_context.layout = layout
        stream.codec_context.format = form.sample_format
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
