"""Segments of a stream on their way to a model, and what became of them crossfaded again.

Both halves work in bounded memory and neither calls the model: the segments may be anywhere in
between, as long as they come back in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from separation.audio.buffer import SampleBuffer

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where segments lie.

    Neighbours are crossfaded linearly over `overlap` of a segment, which equals the normalised
    triangular weights of demucs. With several `shifts` there are as many grids, each a fraction
    of the stride later than the one before, and their mean is taken.

    Parameters
    ----------
    segment : int, samples
    overlap : float
        0..0.5, so that at most two segments of a grid meet at any sample.
    shifts : int
        1 or more.
    """

    segment: int
    overlap: float
    shifts: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 0.5:
            raise ValueError("The overlap must be 0 to 0.5.")
        if not 1 <= self.shifts <= self.stride:
            raise ValueError("There must be at least one shift, and no more than fit in a stride.")

    @property
    def fade(self) -> int:
        """Samples in which two neighbours of one grid meet."""
        return int(self.overlap * self.segment)

    @property
    def stride(self) -> int:
        """Samples from one segment's start to that of the next one in its grid."""
        return self.segment - self.fade

    def start(self, number: int) -> int:
        """Return where a segment starts, counted over all grids; number % shifts is its grid."""
        return number * self.stride // self.shifts


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the recording; the first and the last one belong to all grids.

    `start` is where its samples begin: before the recording, if that is shorter than a segment.
    `end` is the recording's length in samples if this is the last segment.
    """

    number: int
    start: int
    samples: FloatArray  # (channels, segment)
    end: int | None = None


class Segmenter:
    """Cuts a stream of unknown length into segments.

    The last segment is moved left to end where the recording ends, so that the model hears real
    context instead of padding; a recording shorter than a segment is centred in zeros. No segment
    is cut twice.

    Parameters
    ----------
    grid : Grid
    n_channels : int
    """

    def __init__(self, grid: Grid, *, n_channels: int) -> None:
        self._grid = grid
        self._buffer = SampleBuffer(n_channels)
        self._n_dropped = 0
        self._number = 0

    @property
    def nbytes(self) -> int:
        """Bytes that are buffered."""
        return self._buffer.nbytes

    def push(self, block: FloatArray) -> Iterator[Segment]:
        """Add (channels, n) samples; yield the segments that they complete."""
        self._buffer.append(block)
        # A segment that might be the last one waits: `finish` may have to move it.
        while self._n_pushed > (start := self._grid.start(self._number)) + self._grid.segment:
            yield Segment(self._number, start, self._cut(start))
            self._number += 1
            # The samples from here on stay, in case the next segment has to move left.
            self._buffer.drop(start - self._n_dropped)
            self._n_dropped = start

    def finish(self) -> Iterator[Segment]:
        """Yield the last segment, unless nothing was pushed."""
        end = self._n_pushed
        start = end - self._grid.segment
        if end and start < 0:
            start = -(-start // 2)
            yield Segment(self._number, start, self._padded(-start), end)
        elif end:
            yield Segment(self._number, start, self._cut(start), end)

    @property
    def _n_pushed(self) -> int:
        return self._n_dropped + len(self._buffer)

    def _cut(self, start: int) -> FloatArray:
        first = start - self._n_dropped
        return self._buffer.peek(first, first + self._grid.segment).copy()

    def _padded(self, left: int) -> FloatArray:
        samples = self._buffer.peek(0, len(self._buffer))
        padded = np.zeros((samples.shape[0], self._grid.segment), np.float32)
        padded[:, left : left + samples.shape[1]] = samples
        return padded


class Crossfade:
    """Joins what a model made of the segments, in order, to as many samples as were cut.

    Where the model returns what it was given, so does this, to the last bit.

    Parameters
    ----------
    grid : Grid
        The same as the segmenter's.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._lanes = [_Lane(grid, index) for index in range(grid.shifts)]
        self._mean: _Mean | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that are buffered."""
        return sum(lane.nbytes for lane in self._lanes) + (self._mean.nbytes if self._mean else 0)

    def add(self, segment: Segment, stems: FloatArray) -> Iterator[FloatArray]:
        """Take (stems, channels, segment) of a segment; yield (stems, channels, n) in order."""
        is_shared = segment.number == 0 or segment.end is not None
        if len(self._lanes) == 1 or (segment.number == 0 and segment.end is not None):
            yield from self._lanes[0].add(segment, stems)
            return
        if self._mean is None:
            self._mean = _Mean(len(self._lanes), stems.shape[:2])
        only = segment.number % len(self._lanes)
        for index, lane in enumerate(self._lanes):
            if is_shared or index == only:
                for block in lane.add(segment, stems):
                    self._mean.add(index, block)
        yield from self._mean.ready()


class _Lane:
    """The crossfade of one grid."""

    def __init__(self, grid: Grid, index: int) -> None:
        self._grid = grid
        self._rising = (np.arange(1, grid.fade + 1) / (grid.fade + 1)).astype(np.float32)
        self._tail: FloatArray | None = None
        # Where the next segment starts, or would start if it had not to move left.
        self._next = 0
        self._after_first = grid.start(index or grid.shifts)

    @property
    def nbytes(self) -> int:
        return 0 if self._tail is None else self._tail.nbytes

    def add(self, segment: Segment, stems: FloatArray) -> Iterator[FloatArray]:
        start, end = self._next, segment.end
        if end is None:
            self._next = self._after_first if start == 0 else start + self._grid.stride
            end = self._next
        body = start
        if self._tail is not None and self._grid.fade:
            body = start + self._grid.fade
            head = stems[..., start - segment.start : body - segment.start]
            yield self._faded(self._tail, head)
        if body < end:
            yield stems[..., body - segment.start : end - segment.start]
        # A copy, for the rest need not stay.
        first = end - segment.start
        self._tail = stems[..., first : first + self._grid.fade].copy()

    def _faded(self, tail: FloatArray, head: FloatArray) -> FloatArray:
        # Not `head * rising + tail * (1 - rising)`: where both are the same, so is this.
        faded = head - tail
        faded *= self._rising
        faded += tail
        return faded


class _Mean:
    """The mean of several streams of (stems, channels, n) blocks that come at different times."""

    def __init__(self, n_streams: int, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._buffers = [SampleBuffer(int(np.prod(shape))) for _ in range(n_streams)]

    @property
    def nbytes(self) -> int:
        return sum(buffer.nbytes for buffer in self._buffers)

    def add(self, index: int, block: FloatArray) -> None:
        self._buffers[index].append(block.reshape(-1, block.shape[-1]))

    def ready(self) -> Iterator[FloatArray]:
        """Yield what all streams have."""
        n = min(len(buffer) for buffer in self._buffers)
        if not n:
            return
        first, *others = self._buffers
        mean = first.take(n)  # (stems * channels, n)
        for count, buffer in enumerate(others, start=2):
            # Not a sum that is divided: the mean of equal values is that value to the last bit.
            mean += (buffer.peek(0, n) - mean) / np.float32(count)
            buffer.drop(n)
        yield mean.reshape(*self._shape, n)
