"""What DeepFilterNet 3 hears of a spectrum: its shape in bands, and its lowest bins.

Both are normalised by what came before, over about a second.

References
----------
Schröter et al., DeepFilterNet: Perceptually Motivated Real-Time Speech Enhancement, 2023.
https://arxiv.org/abs/2305.08227
"""

from __future__ import annotations

import functools
import math

import numpy as np

from separation.enhance.spectra import HOP, N_BINS, SAMPLE_RATE, WINDOW, ComplexArray
from separation.enhance.steps import FloatArray

N_BANDS = 32
# Bins that are filtered one by one, up to 4.8 kHz.
N_FILTERED = 96

_MIN_BINS = 2
# exp(-0.01), in as many digits as it had in training.
_DECAY = np.float32(round(math.exp(-HOP / SAMPLE_RATE), 3))
_FLOOR = np.float32(1e-10)
_RANGE_DB = np.float32(40)
# Digital silence takes the running magnitude to zero after a minute and a half.
_LEAST_MAGNITUDE = np.float32(1e-12)

# Loudness is the mean power over a third of a second, above 100 Hz; what was loudest fades by
# 1 dB a second; all of it is brought to -26 dB, with at most 40 dB more.
_LOWEST = 2
_SMOOTHING = np.float32(0.97)
_FADING: float = 10**-0.001
_TARGET = np.float32(10**-2.6)
_MOST_GAIN = np.float32(100)


@functools.cache
def band_sizes() -> tuple[int, ...]:
    """Return how many bins each of the bands has: as wide as the ear's, but two bins at least."""
    width_hz = SAMPLE_RATE / WINDOW
    top = _erb(SAMPLE_RATE / 2)
    edges = [round(_hz(top * n / N_BANDS) / width_hz) for n in range(N_BANDS + 1)]
    sizes, debt = [], 0
    for low, high in zip(edges, edges[1:], strict=False):
        size = max(high - low - debt, _MIN_BINS)
        debt = size - (high - low - debt)
        sizes.append(size)
    sizes[-1] += N_BINS - sum(sizes)  # the bin at half the sample rate
    return tuple(sizes)


def _erb(frequency_hz: float) -> float:
    """Return a frequency on the scale of equivalent rectangular bandwidths (Glasberg, Moore)."""
    return 9.265 * math.log1p(frequency_hz / (24.7 * 9.265))


def _hz(erb: float) -> float:
    return 24.7 * 9.265 * math.expm1(erb / 9.265)


class Features:
    """Features of one channel's spectra, in order."""

    def __init__(self) -> None:
        self._loudness = Loudness()
        # What the running means were started from in training.
        self._level_db = np.linspace(-60, -90, N_BANDS, dtype=np.float32)
        self._magnitude = np.linspace(1e-3, 1e-4, N_FILTERED, dtype=np.float32)
        self._is_first = True
        self._sizes = np.array(band_sizes())
        self._starts = np.cumsum(self._sizes) - self._sizes

    def push(self, spectra: ComplexArray) -> tuple[FloatArray, FloatArray]:
        """Return bands (n, N_BANDS) and bins (2, n, N_FILTERED), real and imaginary.

        They are those of the spectra times what `Loudness` says, had all that came before been
        multiplied by the same: a step of the gain is not heard as a step of the sound.
        """
        gains = self._loudness.gains(spectra)[:, None]
        if self._is_first:
            self._is_first = False
            self._level_db -= 20 * np.log10(gains[0])
            self._magnitude /= gains[0]
        power = np.add.reduceat(np.abs(spectra) ** 2, self._starts, axis=1) / self._sizes
        levels_db = 10 * np.log10(power.astype(np.float32) + _FLOOR / gains**2)
        bands = (levels_db - _running_mean(levels_db, self._level_db, _DECAY)) / _RANGE_DB
        low = spectra[:, :N_FILTERED]
        magnitudes = _running_mean(np.abs(low), self._magnitude, _DECAY)
        bins = low * np.sqrt(gains / np.maximum(magnitudes, _LEAST_MAGNITUDE))
        return bands, np.stack([bins.real, bins.imag])


class Loudness:
    """Follows how loud speech is, so that the network hears it always about as loud.

    It was trained on speech of ordinary loudness and takes much softer speech for noise.
    """

    def __init__(self) -> None:
        self._mean = np.zeros(1, np.float32)
        self._loudest: float | None = None

    def gains(self, spectra: ComplexArray) -> FloatArray:
        """Return what to multiply each of (n, N_BINS) spectra by."""
        power = 4 * np.sum(np.abs(spectra[:, _LOWEST:]) ** 2, axis=1, keepdims=True)
        means = _running_mean(power.astype(np.float32), self._mean, _SMOOTHING)[:, 0]
        # At the start nothing is known: the second that is about to go through is looked at.
        loudest = float(means.max()) if self._loudest is None else self._loudest
        for place, mean in enumerate(means):
            loudest = max(float(mean), loudest * _FADING)
            means[place] = loudest
        self._loudest = loudest
        gains: FloatArray = np.sqrt(_TARGET / np.maximum(means, _TARGET / _MOST_GAIN**2))
        return gains


def _running_mean(values: FloatArray, mean: FloatArray, decay: np.float32) -> FloatArray:
    """Return the mean up to each of (n, …) values; `mean`, what came before, is carried on."""
    means = np.empty_like(values)
    for value, place in zip(values * (1 - decay), means, strict=True):
        mean *= decay
        mean += value
        place[:] = mean
    return means
