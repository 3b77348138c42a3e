"""Which bins of a spectrum belong to which band of a band-split network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

# Of BS-RoFormer's paper, section 4.1: from 2 bins a band at the bottom to 129 at the top, of 1025.
SPLIT = (2,) * 24 + (4,) * 12 + (12,) * 8 + (24,) * 8 + (48,) * 8 + (128, 129)

# Slaney's mel scale: linear up to 1 kHz, logarithmic above.
_LINEAR_HZ = 200 / 3
_FIRST_LOG_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27


def split_bands(widths: Sequence[int]) -> list[Indices]:
    """Return the bins of bands that lie side by side, given how many each has."""
    edges = np.concatenate([[0], np.cumsum(widths)])
    return [np.arange(*pair) for pair in zip(edges[:-1], edges[1:], strict=True)]


def mel_bands(n_bands: int, n_fft: int, sample_rate: int) -> list[Indices]:
    """Return the bins of overlapping bands, evenly spaced on the mel scale.

    A band has the bins where its triangular filter is above zero; the first also has bin 0, the
    last the highest one.

    Parameters
    ----------
    n_bands, n_fft : int
    sample_rate : int
        In Hz.

    References
    ----------
    Wang, Lu, Won: Mel-Band RoFormer for Music Source Separation, 2023,
    https://arxiv.org/abs/2310.01809
    Slaney: Auditory Toolbox, technical report 1998-010, Interval Research Corporation, 1998
    """
    edges_hz = _hz(np.linspace(0, _mel(sample_rate / 2), n_bands + 2))
    bins_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    rising = (bins_hz - edges_hz[:-2, None]) / np.diff(edges_hz)[:-1, None]
    falling = (edges_hz[2:, None] - bins_hz) / np.diff(edges_hz)[1:, None]
    is_inside = np.minimum(rising, falling) > 0  # (bands, bins)
    is_inside[0, 0] = is_inside[-1, -1] = True
    return [np.flatnonzero(row) for row in is_inside]


def _mel(hz: float) -> float:
    if hz < _FIRST_LOG_HZ:
        return hz / _LINEAR_HZ
    return float(_FIRST_LOG_HZ / _LINEAR_HZ + np.log(hz / _FIRST_LOG_HZ) / _LOG_STEP)


def _hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    first_log = _FIRST_LOG_HZ / _LINEAR_HZ
    return np.where(
        mel < first_log,
        mel * _LINEAR_HZ,
        _FIRST_LOG_HZ * np.exp(_LOG_STEP * (np.maximum(mel, first_log) - first_log)),
    )
