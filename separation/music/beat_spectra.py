"""What the beat network hears: 50 logarithmic spectra a second, and what rose in each.

As madmom makes them (Böck et al., madmom: a new Python audio and music signal processing library,
2016, https://doi.org/10.1145/2964284.2973795), which the network was trained with: a filter for
each quarter tone, the logarithm of one plus the magnitude, and the rise since the spectrum before.
"""

from __future__ import annotations

import functools

import numpy as np

from separation.audio.buffer import SampleBuffer
from separation.music.sound import SAMPLE_RATE, FloatArray

HOP = 441
FRAMES_PER_S = SAMPLE_RATE // HOP

_WINDOW = 1411  # 64 ms
_N_BINS = _WINDOW // 2
_BANDS_PER_OCTAVE = 24
_REFERENCE_HZ = 440.0
_LOWEST_HZ, _HIGHEST_HZ = 30.0, 17_000.0
# Spectra that are computed at once.
_BATCH = 512


class BeatSpectra:
    """A stream of one channel into spectra; the middle of spectrum n is at sample 441 n."""

    def __init__(self) -> None:
        self._waiting = SampleBuffer(1)
        self._waiting.append(np.zeros((1, _WINDOW // 2), np.float32))
        self._last: FloatArray | None = None
        self._n_samples = 0
        self._n_spectra = 0

    def push(self, samples: FloatArray) -> FloatArray:
        """Take (n,) samples at 22,050 Hz; return the spectra that are ready, (n, 272)."""
        self._n_samples += len(samples)
        self._waiting.append(samples[None])
        n_ready = (len(self._waiting) - _WINDOW) // HOP + 1
        return self._take(max(0, n_ready))

    def finish(self) -> FloatArray:
        """Return the rest: there is one spectrum for each 441 samples, or part of them, then."""
        n_left = -(-self._n_samples // HOP) - self._n_spectra
        n_wanted = (n_left - 1) * HOP + _WINDOW - len(self._waiting)
        self._waiting.append(np.zeros((1, max(0, n_wanted)), np.float32))
        return self._take(n_left)

    def _take(self, n: int) -> FloatArray:
        parts = [np.empty((0, 2 * filters().shape[1]), np.float32)]
        for start in range(0, n, _BATCH):
            parts.append(self._batch(min(_BATCH, n - start)))
        self._n_spectra += n
        return np.concatenate(parts)

    def _batch(self, n: int) -> FloatArray:
        samples = self._waiting.peek(0, (n - 1) * HOP + _WINDOW)[0]
        frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::HOP]  # (n, window)
        magnitudes = np.abs(np.fft.rfft(frames * _hann(), axis=1))[:, :_N_BINS]
        self._waiting.drop(n * HOP)
        levels = np.log10(1 + magnitudes.astype(np.float32) @ filters())  # (n, 136)
        before = levels[:1] if self._last is None else self._last
        rises = np.maximum(0, np.diff(levels, axis=0, prepend=before))
        self._last = levels[-1:]
        return np.concatenate([levels, rises], axis=1)


@functools.cache
def _hann() -> FloatArray:
    return np.hanning(_WINDOW).astype(np.float32)


@functools.cache
def filters() -> FloatArray:
    """Return the triangular filters, each of sum one: (705 bins, 136 bands)."""
    frequencies = np.fft.fftfreq(2 * _N_BINS, 1 / SAMPLE_RATE)[:_N_BINS]
    bins = _nearest_bins(_quarter_tones(), frequencies)
    bands = np.zeros((_N_BINS, len(bins) - 2), np.float32)
    for number, (start, middle, stop) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
        if stop - start < 2:
            middle, stop = start, start + 1
        rise = np.linspace(0, 1, middle - start, endpoint=False)
        fall = np.linspace(1, 0, stop - middle, endpoint=False)
        triangle = np.concatenate([rise, fall])
        bands[start:stop, number] = triangle / triangle.sum()
    return bands


def _quarter_tones() -> FloatArray:
    """Return frequencies between the lowest and the highest, in Hz."""
    lowest = np.floor(np.log2(_LOWEST_HZ / _REFERENCE_HZ) * _BANDS_PER_OCTAVE)
    highest = np.ceil(np.log2(_HIGHEST_HZ / _REFERENCE_HZ) * _BANDS_PER_OCTAVE)
    tones = _REFERENCE_HZ * 2 ** (np.arange(lowest, highest) / _BANDS_PER_OCTAVE)
    return np.asarray(tones[(tones >= _LOWEST_HZ) & (tones <= _HIGHEST_HZ)])


def _nearest_bins(wanted: FloatArray, frequencies: FloatArray) -> list[int]:
    """Return the bin nearest to each frequency, each bin once."""
    above = np.clip(np.searchsorted(frequencies, wanted), 1, len(frequencies) - 1)
    is_below = wanted - frequencies[above - 1] < frequencies[above] - wanted
    return [int(number) for number in np.unique(above - is_below)]
