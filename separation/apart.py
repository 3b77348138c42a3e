"""Segments of any channel count for engines that know stereo only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from separation.catalog import Model
from separation.engines import FloatArray
from separation.residual import Residual, spread


@dataclass(frozen=True, slots=True)
class Pair:
    """Two channels for one pass of the model; `channel` is the first, `is_single` if alone.

    `offset` is what was taken out of the mixture before.
    """

    channel: int
    is_single: bool
    mixture: FloatArray  # (2, segment)
    offset: FloatArray | None = None  # (2, 1)


class Apart:
    """Makes stereo pairs of a segment's channels, and stems of what a model made of those.

    An odd last channel, as in a mono recording, goes into both inputs and comes back as their
    mean. Silent pairs do not go through the model.

    Parameters
    ----------
    model : Model
    native : sequence of str
        The stems that are wanted, in the model's order; the others are dropped.
    residual : Residual
        With SPREAD the stems of each segment add up to it; all of them must be wanted.
    """

    def __init__(
        self, model: Model, native: Sequence[str], residual: Residual = Residual.KEEP
    ) -> None:
        self._residual = residual
        self._adds_mean = model.adds_mean
        self._rest = model.stems.index(model.rest)
        self._wanted = [model.stems.index(name) for name in native]
        self._wants_all = self._wanted == list(range(len(model.stems)))

    def pairs(self, mixture: FloatArray) -> list[Pair]:
        """Return what goes through the model of a (channels, segment) float32 mixture."""
        n_channels, n_samples = mixture.shape
        pairs = []
        for first in range(0, n_channels, 2):
            channels = mixture[first : first + 2]  # (1 or 2, n)
            if not channels.any():
                continue  # silence holds no stems; surround recordings have much of it
            is_single = len(channels) == 1
            if is_single:
                channels = np.array(np.broadcast_to(channels, (2, n_samples)))
            offset = None
            if self._adds_mean:
                # An offset belongs into one stem. The model would put it into each, and hear
                # more in it than silence.
                offset = channels.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
                channels = channels - offset
            pairs.append(Pair(first, is_single, channels, offset))
        return pairs

    def stems(
        self, mixture: FloatArray, pairs: Sequence[Pair], estimates: Sequence[FloatArray]
    ) -> FloatArray:
        """Put together what the model made of a mixture.

        Parameters
        ----------
        mixture : (channels, segment) float32
        pairs : sequence of Pair
            What `pairs` returned for it.
        estimates : sequence of (model's stems, 2, segment) float32
            One a pair; may be changed.

        Returns
        -------
        (stems, channels, segment) float32, always finite
        """
        if len(pairs) == 1 and mixture.shape[0] == 2:
            return self._of_pair(pairs[0], estimates[0])
        stems = np.zeros((len(self._wanted), *mixture.shape), np.float32)
        for pair, estimate in zip(pairs, estimates, strict=True):
            stems[:, pair.channel : pair.channel + 2] = self._of_pair(pair, estimate)
        return stems

    def _of_pair(self, pair: Pair, estimates: FloatArray) -> FloatArray:
        _make_finite(estimates)
        if self._residual is Residual.SPREAD:
            estimates = spread(estimates, pair.mixture, self._rest)
        if pair.offset is not None:
            estimates[self._rest] += pair.offset
        if not self._wants_all:
            estimates = estimates[self._wanted]
        return estimates.mean(axis=1, keepdims=True) if pair.is_single else estimates


def _make_finite(samples: FloatArray) -> None:
    # A sum takes one pass and tells; the replacement takes many.
    with np.errstate(all="ignore"):
        is_finite = np.isfinite(samples.sum())
    if not is_finite:
        np.nan_to_num(samples, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
