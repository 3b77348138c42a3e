"""How well a sound was recovered."""

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


def si_sdr_db(reference: npt.ArrayLike, estimate: npt.ArrayLike) -> float:
    """Return the signal-to-distortion ratio whatever the estimate's level.

    Parameters
    ----------
    reference, estimate : (samples,) or (channels, samples)
        The true sound and the one that was found; one level is fitted for all channels, after
        each channel's mean was taken out.

    Returns
    -------
    float
        In dB; finite for silence too.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Le Roux et al.: SDR - half-baked or well done?, 2019, https://arxiv.org/abs/1811.02508
    """
    true, estimated = _without_mean(reference), _without_mean(estimate)
    if true.shape != estimated.shape:
        raise ValueError("The reference and the estimate must have the same shape.")
    target = true * (np.sum(estimated * true) / (np.sum(true**2) + _EPSILON))
    energy, error_energy = np.sum(target**2), np.sum((target - estimated) ** 2)
    return float(10 * np.log10((energy + _EPSILON) / (error_energy + _EPSILON)))


def _without_mean(samples: npt.ArrayLike) -> npt.NDArray[np.float64]:
    listed = np.asarray(samples, np.float64)
    centred: npt.NDArray[np.float64] = listed - listed.mean(axis=-1, keepdims=True)
    return centred
