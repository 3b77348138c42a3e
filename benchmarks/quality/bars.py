"""What a separated stem must be better than, and what nothing of its kind can be better than."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.quality.spectra import samples_of, spectrogram
from benchmarks.songs import FloatArray, sdr_of

_EPSILON = 1e-20


@dataclass(frozen=True, slots=True)
class Bars:
    """SDR in dB of what needs no separation (`parent_db`, `static_eq_db`), and of a ceiling."""

    parent_db: float
    static_eq_db: float
    oracle_mask_db: float


def bars(true: FloatArray, parent: FloatArray, mixture: FloatArray) -> Bars:
    """Return the bars of one stem.

    Parameters
    ----------
    true : (2, n) float32
    parent : (2, n) float32
        What a customer would have without this separation: the stem that it is cut from, as it
        is known in the same place of the chain.
    mixture : (2, n) float32
        What the whole chain begins with.
    """
    return Bars(
        parent_db=parent_at_best_gain_db(true, parent),
        static_eq_db=static_eq_db(true, parent),
        oracle_mask_db=oracle_mask_db(true, mixture),
    )


def parent_at_best_gain_db(true: FloatArray, parent: FloatArray) -> float:
    """Return the SDR in dB of the parent, turned to the one level that makes it the nearest.

    By least squares, as the target of SI-SDR but with the two swapped: it is not below 0 dB,
    since silence is one of the levels.

    References
    ----------
    Le Roux et al.: SDR - half-baked or well done?, 2019, https://arxiv.org/abs/1811.02508
    """
    energy = _product(parent, parent)
    gain = _product(true, parent) / energy if energy else 0.0
    return sdr_of(true, np.float32(gain) * parent)


def static_eq_db(true: FloatArray, parent: FloatArray) -> float:
    """Return the SDR in dB of the parent through the best equalizer that stays the same.

    Each bin of a spectrogram has one real gain for the whole song, by least squares with the true
    stem known: an oracle, and finer than any equalizer on a desk. It is the zero-phase Wiener
    filter of a stationary signal.

    References
    ----------
    Wiener: Extrapolation, Interpolation, and Smoothing of Stationary Time Series, 1949
    """
    wanted, heard = spectrogram(true), spectrogram(parent)
    energy = np.sum(np.abs(heard) ** 2, axis=(0, 2), dtype=np.float64)  # (bins,)
    product = np.sum((wanted * heard.conj()).real, axis=(0, 2), dtype=np.float64)
    gains = np.where(energy > 0, product / np.maximum(energy, _EPSILON), 0).astype(np.float32)
    return sdr_of(true, samples_of(heard * gains[:, np.newaxis], true.shape[1]))


def oracle_mask_db(true: FloatArray, mixture: FloatArray) -> float:
    """Return the SDR in dB of the mixture under the ideal ratio mask: a ceiling.

    The mask is the share that the true stem has of the energy of stem and rest, with the phases
    of the mixture: what no method that multiplies spectrograms by real numbers gets past by much.

    References
    ----------
    Liutkus, Badeau: Generalized Wiener filtering with fractional power spectrograms, ICASSP 2015,
    https://doi.org/10.1109/ICASSP.2015.7177973
    """
    wanted = np.abs(spectrogram(true)) ** 2
    rest = np.abs(spectrogram(mixture - true)) ** 2
    mask = wanted / np.maximum(wanted + rest, _EPSILON)
    return sdr_of(true, samples_of(spectrogram(mixture) * mask, true.shape[1]))


def _product(one: FloatArray, other: FloatArray) -> float:
    return float(np.einsum("cn,cn->", one, other, dtype=np.float64))
