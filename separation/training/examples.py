"""Mixtures as a network of masks learns from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from separation.engines.masknet.bands import Bands
from separation.training.recipes import FloatArray, Recipe

HalfArray = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Example:
    """What is kept of a mixture: enough to know the error of any masks exactly.

    The error's energy of a mask that holds for a band is a parabola: with `best` the mask at its
    lowest point, and `left` what is left there, it is sum(power * (mask - best)²) + left. So no
    spectrogram of a stem is needed after this.

    `features` are (3, bands, frames), `best` (classes, 2, bands, frames). `left` and `energy` are
    for each class and then each group, in units of the mixture's mean power of a band.
    """

    features: HalfArray
    best: HalfArray
    left: FloatArray
    energy: FloatArray


def example_of(stems: FloatArray, recipe: Recipe, bands: Bands) -> Example:
    """Return what is to be learned from the stems of one mixture, (classes, 2, n)."""
    spectra = bands.spectrum(torch.from_numpy(stems))[..., : recipe.n_frames]
    mixture = spectra.sum(dim=0)
    features, power = bands.features(mixture)
    mean = power.mean() + 1e-20
    best = bands.pooled((mixture.conj() * spectra).real) / (power + 1e-12 * mean)
    index = [recipe.shape.classes.index(name) for group in recipe.groups for name in group]
    sizes = [len(group) for group in recipe.groups]
    grouped = [spectra[part].sum(dim=0) for part in np.split(index, np.cumsum(sizes)[:-1])]
    left, energy = [], []
    for spectrum in [*spectra, *(grouped if recipe.groups else [])]:
        own = spectrum.abs().square().sum()
        shared = bands.pooled((mixture.conj() * spectrum).real)
        explained = (shared.square() / (power + 1e-12 * mean)).sum()
        left.append(float((own - explained).clamp(min=0) / mean))
        energy.append(float(own / mean))
    return Example(
        features.numpy().astype(np.float16),
        best.clamp(-1, 2).numpy().astype(np.float16),
        np.array(left, np.float32),
        np.array(energy, np.float32),
    )


def is_silent(stems: FloatArray) -> bool:
    """Say whether there is nothing to learn from."""
    return float(np.abs(stems.sum(axis=0)).max()) < 1e-4
