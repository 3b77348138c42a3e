"""Spectrograms as measures and bars use them: frames of 2048 samples, 512 apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from benchmarks.songs import FloatArray

FRAME, HOP = 2048, 512
BINS = FRAME // 2 + 1

# All stems of a longer stretch would not fit.
_BLOCK_SAMPLES = 1 << 17

_TRANSFORM = ShortTimeFFT(hann(FRAME, sym=False), HOP, fs=1, scale_to=None)


def spectrogram(samples: FloatArray) -> npt.NDArray[np.complex64]:
    """Return the spectra of (channels, n) samples, (channels, bins, frames)."""
    found: npt.NDArray[np.complex64] = _TRANSFORM.stft(_fitting(samples)).astype(np.complex64)
    return found


def samples_of(spectra: npt.NDArray[np.complex64], n_samples: int) -> FloatArray:
    """Return the samples of spectra, (channels, n_samples)."""
    found = _TRANSFORM.istft(spectra, k1=max(n_samples, FRAME))[:, :n_samples]
    return np.ascontiguousarray(found, np.float32)


def frames(samples: FloatArray) -> npt.NDArray[np.complex128]:
    """Return the spectra of (channels, n) samples, (bins, channels * frames).

    All but the first and the last bin stand for a negative frequency too: scaled for it, so that
    energies may be added up over bins.
    """
    found = _TRANSFORM.stft(_fitting(samples))
    found[:, 1:-1] *= np.sqrt(2)
    return np.ascontiguousarray(found.swapaxes(0, 1).reshape(BINS, -1))


def blocks(n_samples: int) -> Iterator[slice]:
    """Yield the stretches of a song that are looked at together; none is shorter than a frame."""
    starts = list(range(0, max(n_samples - FRAME, 1), _BLOCK_SAMPLES))
    for start, end in zip(starts, [*starts[1:], n_samples], strict=True):
        yield slice(start, end)


def _fitting(samples: FloatArray) -> FloatArray:
    missing = FRAME - samples.shape[1]
    return np.pad(samples, ((0, 0), (0, missing))) if missing > 0 else samples
