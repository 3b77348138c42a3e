"""A segment of any channel count through an engine that knows stereo only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from separation.engines import Engine, FloatArray
from separation.residual import Residual, spread


class Apart:
    """Takes (channels, n) segments apart, two channels a pass.

    Channels go through the model as stereo pairs; an odd last one, as in a mono recording, goes
    into both inputs and comes back as their mean.

    Parameters
    ----------
    engine : Engine
    native : sequence of str
        The stems that are wanted, in the model's order; the others are dropped.
    residual : Residual
        With SPREAD the stems of each segment add up to it; all of them must be wanted.
    """

    def __init__(
        self, engine: Engine, native: Sequence[str], residual: Residual = Residual.KEEP
    ) -> None:
        self._engine = engine
        self._residual = residual
        self._rest = engine.info.stems.index(engine.info.rest)
        self._wanted = [engine.info.stems.index(name) for name in native]

    def segment(self, mixture: FloatArray, *, on_pass: Callable[[], None]) -> FloatArray:
        """Take one segment apart.

        Parameters
        ----------
        mixture : (channels, segment_samples) float32
        on_pass : callable
            Called before each pass of the model; may raise.

        Returns
        -------
        (stems, channels, segment_samples) float32, always finite
        """
        n_channels, n_samples = mixture.shape
        stems = np.zeros((len(self._wanted), n_channels, n_samples), np.float32)
        for first in range(0, n_channels, 2):
            channels = mixture[first : first + 2]  # (1 or 2, n)
            on_pass()
            if not channels.any():
                continue  # silence holds no stems; surround recordings have much of it
            pair = np.array(np.broadcast_to(channels, (2, n_samples)))
            estimates = self._estimates(pair)[self._wanted]  # (stems, 2, n)
            if len(channels) == 1:
                estimates = estimates.mean(axis=1, keepdims=True)  # (stems, 1, n)
            stems[:, first : first + 2] = estimates
        return stems

    def _estimates(self, pair: FloatArray) -> FloatArray:
        estimates: FloatArray = self._engine.separate(pair[None])[0]  # (stems, 2, n)
        estimates = np.nan_to_num(estimates, nan=0.0, posinf=0.0, neginf=0.0)
        if self._engine.info.adds_mean:
            # The recording's offset belongs into one stem, not into each.
            estimates[np.arange(len(estimates)) != self._rest] -= pair.mean()
        if self._residual is Residual.SPREAD:
            estimates = spread(estimates, pair, self._rest)
        return estimates
