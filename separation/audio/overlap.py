"""Streaming overlap-add: segments of a stream through a model, crossfaded, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from separation.audio.buffer import SampleBuffer

FloatArray = npt.NDArray[np.float32]
ProcessSegment = Callable[[FloatArray], FloatArray]


class OverlapAdd:
    """Take a stream of unknown length apart, segment by segment.

    Neighbouring segments are crossfaded linearly over `overlap` of a segment, which equals the
    normalised triangular weights of demucs. The last segment is moved left to end where the
    recording ends, so that the model hears real context instead of padding; a recording shorter
    than a segment is centred in zeros.

    Parameters
    ----------
    process : callable
        (channels, segment_samples) float32 -> (stems, channels, segment_samples) float32.
    n_channels : int
    segment_samples : int
    overlap : float
        0..0.5, so that at most two segments meet at any sample.
    """

    def __init__(
        self, process: ProcessSegment, *, n_channels: int, segment_samples: int, overlap: float
    ) -> None:
        if not 0 <= overlap <= 0.5:
            raise ValueError("The overlap must be 0 to 0.5.")
        self._process = process
        self._segment = segment_samples
        self._fade = int(overlap * segment_samples)
        self.stride = segment_samples - self._fade  # from one segment's start to the next one's
        self._rising = (np.arange(1, self._fade + 1) / (self._fade + 1)).astype(np.float32)
        self._buffer = SampleBuffer(n_channels)
        self._behind = 0  # buffered samples before the next segment's start
        self._tail: FloatArray | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that are buffered."""
        return self._buffer.nbytes + (0 if self._tail is None else self._tail.nbytes)

    def push(self, block: FloatArray) -> Iterator[FloatArray]:
        """Add (channels, n) samples; yield finished (stems, channels, n) blocks in order."""
        self._buffer.append(block)
        # A segment that might be the last one waits: `finish` may have to move it.
        while len(self._buffer) > self._behind + self._segment:
            start = self._behind
            stems = self._process(self._buffer.peek(start, start + self._segment).copy())
            yield from self._faded(stems[..., : self.stride])
            self._tail = stems[..., self.stride :]
            # The samples of the last stride stay, in case the next segment has to move left.
            self._buffer.drop(self._behind)
            self._behind = self.stride

    def finish(self) -> Iterator[FloatArray]:
        """Yield what is left, up to exactly as many samples as were pushed."""
        available = len(self._buffer)
        if available == 0:
            return
        if available < self._segment:
            yield self._padded(self._buffer.peek(0, available))
            return
        start = available - self._segment
        stems = self._process(self._buffer.peek(start, available).copy())
        yield from self._faded(stems[..., self._behind - start :])

    def _padded(self, samples: FloatArray) -> FloatArray:
        n = samples.shape[1]
        left = (self._segment - n) // 2
        padded = np.zeros((samples.shape[0], self._segment), np.float32)
        padded[:, left : left + n] = samples
        return self._process(padded)[..., left : left + n]

    def _faded(self, stems: FloatArray) -> Iterator[FloatArray]:
        """Yield a segment whose start is crossfaded with the tail of the one before."""
        if self._tail is None or not self._fade:
            yield stems
            return
        head = stems[..., : self._fade]
        yield head * self._rising + self._tail * (1 - self._rising)
        yield stems[..., self._fade :]
