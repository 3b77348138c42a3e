"""Streaming sample rate conversion that keeps samples aligned."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr  # type: ignore[import-untyped]

FloatArray = npt.NDArray[np.float32]


class Resampler:
    """Converts (channels, n) blocks from one rate (Hz) to another; equal rates pass through.

    The first sample stays at time zero: the filter's delay is taken out.
    """

    def __init__(self, rate_in: int, rate_out: int, n_channels: int) -> None:
        self._n_channels = n_channels
        self._stream: soxr.ResampleStream | None = None
        if rate_in != rate_out:
            self._stream = soxr.ResampleStream(
                rate_in, rate_out, n_channels, dtype="float32", quality="VHQ"
            )

    def process(self, block: FloatArray) -> FloatArray:
        """Convert one block; its end may come out with a later one."""
        return block if self._stream is None else self._convert(block, last=False)

    def finish(self) -> FloatArray:
        """Return what the filter still held."""
        empty = np.empty((self._n_channels, 0), np.float32)
        return empty if self._stream is None else self._convert(empty, last=True)

    def _convert(self, block: FloatArray, *, last: bool) -> FloatArray:
        if self._stream is None:
            raise RuntimeError("There is nothing to convert.")
        frames = np.ascontiguousarray(block.T)  # (n, channels)
        converted = self._stream.resample_chunk(frames, last=last)
        return np.asarray(converted, np.float32).reshape(-1, self._n_channels).T  # (channels, n)
