"""A stream's spectra at its own rate, in bands that are the same for all rates, and back.

Windows of 48 ms every 16 ms: bins are 21 Hz apart whatever the rate. A gain for each band and
frame is all that is changed: with gains of one the samples come out as they went in.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from separation.enhance.steps import FloatArray

ComplexArray = npt.NDArray[np.complex64]

HOP_S = 0.016
# Windows overlap by two thirds: the square of the window, once before and once after, adds up.
OVERLAP = 3
N_BANDS = 64

_LEAST_HZ = 1 / (OVERLAP * HOP_S)
_TOP_HZ = 24000.0


@dataclass(frozen=True, slots=True)
class Layout:
    """How a sample rate is cut into frames of `hop` samples, and its bins into bands.

    `starts` are the first bins of the bands that this rate has; the last one goes to the end.
    """

    hop: int
    starts: npt.NDArray[np.intp]

    @property
    def window(self) -> int:
        return OVERLAP * self.hop

    @property
    def n_bins(self) -> int:
        return self.window // 2 + 1

    @property
    def sizes(self) -> npt.NDArray[np.intp]:
        return np.diff(np.append(self.starts, self.n_bins))

    def powers(self, spectra: ComplexArray) -> FloatArray:
        """Return (n, N_BANDS) mean powers of (channels, n, n_bins); 0 where the rate has none."""
        power = (np.abs(spectra) ** 2).mean(axis=0)
        means = np.add.reduceat(power, self.starts, axis=1) / self.sizes
        filled = np.zeros((len(power), N_BANDS), np.float32)
        filled[:, : len(self.starts)] = means
        return filled

    def spread(self, gains: FloatArray) -> FloatArray:
        """Return the gain of each bin, (n, n_bins), of (n, N_BANDS)."""
        return np.repeat(gains[:, : len(self.starts)], self.sizes, axis=1)


@functools.cache
def first_bins() -> tuple[int, ...]:
    """Return the first bin of each band: a bin wide at least, and half as wide as the ear's.

    The widths are those of equivalent rectangular bandwidths (Glasberg and Moore 1990).
    """
    low, high = 0.0, 1.0
    for _ in range(60):  # the share of such a bandwidth that makes N_BANDS of them, by bisection
        share = (low + high) / 2
        low, high = (share, high) if _bins(share)[-1] * _LEAST_HZ < _TOP_HZ else (low, share)
    return tuple(_bins(high)[:-1])


def _bins(share: float) -> list[int]:
    edges = [0]
    for _ in range(N_BANDS):
        width_hz = share * 24.7 * (1 + edges[-1] * _LEAST_HZ / 228.8)
        edges.append(edges[-1] + max(1, round(width_hz / _LEAST_HZ)))
    return edges


@functools.cache
def layout(sample_rate: int) -> Layout:
    """Return the layout for a rate in Hz; what lies above 24 kHz belongs to the last band."""
    hop = max(2, round(sample_rate * HOP_S))
    n_bins = OVERLAP * hop // 2 + 1
    return Layout(hop, np.array([start for start in first_bins() if start < n_bins]))


def _window(size: int) -> FloatArray:
    phase = np.pi * (np.arange(size) + 0.5) / size
    # The squares of three windows that overlap by two thirds add up to 3 / 2.
    return (np.sin(phase) * math.sqrt(2 / OVERLAP)).astype(np.float32)


class Analysis:
    """Samples to spectra; the first window ends with the first hop of samples."""

    def __init__(self, hop: int, channels: int) -> None:
        self._hop = hop
        self._window = _window(OVERLAP * hop)
        self._past = np.zeros((channels, (OVERLAP - 1) * hop), np.float32)

    def push(self, samples: FloatArray) -> ComplexArray:
        """Return (channels, n, bins) for (channels, n * hop) samples."""
        joined = np.concatenate([self._past, samples], axis=1)
        self._past = joined[:, samples.shape[1] :].copy()
        view = np.lib.stride_tricks.sliding_window_view(joined, len(self._window), axis=1)
        frames = view[:, :: self._hop] * self._window  # (channels, n, window)
        return np.fft.rfft(frames).astype(np.complex64, copy=False)


class Synthesis:
    """Spectra back to samples, DELAY hops later than they went into `Analysis`."""

    DELAY = OVERLAP - 1

    def __init__(self, hop: int, channels: int) -> None:
        self._hop = hop
        self._window = _window(OVERLAP * hop)
        self._tail = np.zeros((channels, (OVERLAP - 1) * hop), np.float32)

    def push(self, spectra: ComplexArray) -> FloatArray:
        """Return (channels, n * hop) samples for (channels, n, bins) spectra."""
        channels, n, _ = spectra.shape
        frames = np.fft.irfft(spectra, len(self._window)).astype(np.float32, copy=False)
        frames *= self._window
        parts = frames.reshape(channels, n, OVERLAP, self._hop)
        sums = np.zeros((channels, n + OVERLAP - 1, self._hop), np.float32)
        sums[:, : OVERLAP - 1] = self._tail.reshape(channels, OVERLAP - 1, self._hop)
        for part in range(OVERLAP):
            sums[:, part : part + n] += parts[:, :, part]
        self._tail = sums[:, n:].reshape(channels, -1).copy()
        return sums[:, :n].reshape(channels, -1)
