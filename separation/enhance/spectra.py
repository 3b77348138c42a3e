"""A stream's spectra and back, as DeepFilterNet 3 takes them: 20 ms of 48 kHz, half overlapping.

The window is that of Vorbis, once before and once after the network, so that untouched spectra
give the samples again, a hop later.

References
----------
Schröter et al., DeepFilterNet: A Low Complexity Speech Enhancement Framework, 2022.
https://arxiv.org/abs/2110.05588
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from separation.enhance.steps import FloatArray

ComplexArray = npt.NDArray[np.complex64]

SAMPLE_RATE = 48000
HOP = 480
WINDOW = 2 * HOP
N_BINS = WINDOW // 2 + 1

# The scale at which the network was trained to see spectra.
_SCALE = np.float32(1 / WINDOW)


def _window() -> FloatArray:
    phase = np.pi * (np.arange(WINDOW) + 0.5) / WINDOW
    return np.sin(0.5 * np.pi * np.sin(phase) ** 2).astype(np.float32)


_WINDOW = _window()


class Analysis:
    """One channel's samples to spectra; the first one's window is half before the first sample."""

    def __init__(self) -> None:
        self._previous = np.zeros(HOP, np.float32)

    def push(self, samples: FloatArray) -> ComplexArray:
        """Return one spectrum, (n, N_BINS), for each HOP of (n * HOP,) samples."""
        joined = np.concatenate([self._previous, samples])
        self._previous = joined[-HOP:].copy()
        frames = np.lib.stride_tricks.sliding_window_view(joined, WINDOW)[::HOP]  # (n, WINDOW)
        spectra = np.fft.rfft(frames * _WINDOW) * _SCALE
        return spectra.astype(np.complex64, copy=False)


class Synthesis:
    """Spectra back to one channel's samples, a hop later than they went into `Analysis`."""

    def __init__(self) -> None:
        self._tail = np.zeros(HOP, np.float32)

    def push(self, spectra: ComplexArray) -> FloatArray:
        """Return HOP samples for each of (n, N_BINS) spectra."""
        frames = np.fft.irfft(spectra, WINDOW).astype(np.float32, copy=False)
        frames *= _WINDOW / _SCALE  # (n, WINDOW)
        samples = frames[:, :HOP].copy()
        samples[0] += self._tail
        samples[1:] += frames[:-1, HOP:]
        self._tail = frames[-1, HOP:].copy()
        return samples.reshape(-1)
