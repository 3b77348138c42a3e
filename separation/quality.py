"""How well a stem was recovered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_EPSILON = 1e-20


def sdr_db(reference: npt.ArrayLike, estimate: npt.ArrayLike) -> float:
    """Return the signal-to-distortion ratio over all samples and channels.

    Parameters
    ----------
    reference : (channels, samples)
        The true stem.
    estimate : (channels, samples)
        The stem as it was separated.

    Returns
    -------
    float
        `10 log10(sum(reference²) / sum((reference - estimate)²))` in dB; finite for silence too.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Mitsufuji et al.: Music Demixing Challenge 2021, Frontiers in Signal Processing 1, 2022,
    https://doi.org/10.3389/frsip.2021.808395
    """
    true, estimated = np.asarray(reference, np.float64), np.asarray(estimate, np.float64)
    if true.shape != estimated.shape:
        raise ValueError("The reference and the estimate must have the same shape.")
    energy, error_energy = np.sum(true**2), np.sum((true - estimated) ** 2)
    return float(10 * np.log10((energy + _EPSILON) / (error_energy + _EPSILON)))
