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
    spectra = bands.spectrum(torch.from_numpy(stems))
    mixture = spectra.sum(dim=0)
    features, power = bands.features(mixture)
    mean = power.mean() + 1e-20
    # As they lie in memory, frames before bins: copies of these arrays would take half the time.
    parts = torch.view_as_real(spectra.transpose(-1, -2))  # (classes, 2, frames, bins, 2)
    whole = torch.view_as_real(mixture.transpose(-1, -2))
    shared = bands.pooled(_products(parts, whole).transpose(-1, -2))
    weights = power + 1e-12 * mean
    best = shared / weights
    flat = parts.reshape(len(parts), -1)
    products = flat @ flat.T  # of which the energy of any sum of classes can be made
    names = recipe.shape.classes
    sums = [[n] for n in range(len(names))]
    sums += [[names.index(name) for name in group] for group in recipe.groups]
    energy = torch.stack([products[group][:, group].sum() for group in sums])
    explained = torch.stack([(shared[group].sum(dim=0).square() / weights).sum() for group in sums])
    left = (energy - explained).clamp(min=0)
    return Example(
        features.numpy().astype(np.float16),
        best.clamp(-1, 2).numpy().astype(np.float16),
        (left / mean).numpy(),
        (energy / mean).numpy(),
    )


def _products(parts: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Return the real part of each times the whole's conjugate, (classes, 2, frames, bins)."""
    products = torch.empty(parts.shape[:-1])
    both = torch.empty_like(whole)
    for part, product in zip(parts, products, strict=True):
        torch.mul(part, whole, out=both)
        torch.add(both[..., 0], both[..., 1], out=product)
    return products


def is_silent(stems: FloatArray) -> bool:
    """Say whether there is nothing to learn from."""
    return float(np.abs(stems.sum(axis=0)).max()) < 1e-4
