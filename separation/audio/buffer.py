"""Samples put together: a first-in, first-out buffer, and larger blocks out of small ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


class SampleBuffer:
    """Samples of several channels, appended at the end and dropped from the start.

    The array grows to what is buffered at most, never with what passes through.
    """

    def __init__(self, n_channels: int) -> None:
        self._array = np.empty((n_channels, 4096), np.float32)
        self._start = 0
        self._end = 0

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def nbytes(self) -> int:
        """Size of the array in bytes, used or not."""
        return self._array.nbytes

    def append(self, block: FloatArray) -> None:
        """Add (channels, n) samples at the end."""
        n = block.shape[1]
        if self._end + n > self._array.shape[1]:
            self._make_room(n)
        self._array[:, self._end : self._end + n] = block
        self._end += n

    def peek(self, start: int, stop: int) -> FloatArray:
        """Return a view of samples, counted from the oldest; valid until the next append."""
        if not 0 <= start <= stop <= len(self):
            raise IndexError("The samples are not in the buffer.")
        return self._array[:, self._start + start : self._start + stop]

    def drop(self, n: int) -> None:
        """Forget the `n` oldest samples."""
        if not 0 <= n <= len(self):
            raise IndexError("The samples are not in the buffer.")
        self._start += n

    def take(self, n: int) -> FloatArray:
        """Return a copy of the `n` oldest samples and forget them."""
        block = self.peek(0, n).copy()
        self.drop(n)
        return block

    def _make_room(self, n: int) -> None:
        kept = self.peek(0, len(self))
        needed = kept.shape[1] + n
        # Half of the array free after moving: each sample is moved a bounded number of times.
        if 2 * needed <= self._array.shape[1]:
            self._array[:, : kept.shape[1]] = kept.copy()
        else:
            grown = np.empty((self._array.shape[0], 2 * needed), np.float32)
            grown[:, : kept.shape[1]] = kept
            self._array = grown
        self._start, self._end = 0, kept.shape[1]


def gathered(blocks: Iterable[FloatArray], n_least: int) -> Iterator[FloatArray]:
    """Join (channels, n) blocks to larger ones, of `n_least` samples or more but for the last."""
    waiting: list[FloatArray] = []
    n = 0
    for block in blocks:
        waiting.append(block)
        n += block.shape[1]
        if n >= n_least:
            yield np.concatenate(waiting, axis=1)
            waiting, n = [], 0
    if waiting:
        yield np.concatenate(waiting, axis=1)
