"""DeepFilterNet 3 on the spectra of one channel.

A gain for each band takes the noise out of the whole spectrum; up to 4.8 kHz, where a voice has
its harmonics, each bin is then made anew by a filter over five spectra.

References
----------
Schröter et al., DeepFilterNet: Perceptually Motivated Real-Time Speech Enhancement, 2023.
https://arxiv.org/abs/2305.08227
"""

from __future__ import annotations

import numpy as np
import openvino

from separation.catalog import Tool
from separation.enhance.features import N_FILTERED, Features, band_sizes
from separation.enhance.graphs import ENCODER, FILTER_DECODER, MASK_DECODER
from separation.enhance.network import N_FRAMES, Graph
from separation.enhance.spectra import N_BINS, ComplexArray
from separation.enhance.steps import FloatArray
from separation.weights.graphs import load_graphs

# How far the network hears ahead, in spectra, and its filters reach ahead and back.
LOOKAHEAD = 2
_FILTER_LENGTH = 2 * LOOKAHEAD + 1


class DeepFilterNet:
    """The network; of use to one thread at a time, but to many channels."""

    def __init__(self, tool: Tool) -> None:
        core, files = openvino.Core(), load_graphs(tool)
        self.encoder = Graph(core, files[ENCODER])
        self.masks = Graph(core, files[MASK_DECODER])
        self.filters = Graph(core, files[FILTER_DECODER])


class DeepFilter:
    """Enhances one channel; what it gives is LOOKAHEAD spectra late."""

    def __init__(self, network: DeepFilterNet) -> None:
        self._network = network
        self._features = Features()
        self._encoder_memory = network.encoder.memory()
        self._masks_memory = network.masks.memory()
        self._filters_memory = network.filters.memory()
        self._past = np.zeros((_FILTER_LENGTH - 1, N_BINS), np.complex64)

    def push(self, spectra: ComplexArray) -> ComplexArray:
        """Return N_FRAMES enhanced spectra for as many, (N_FRAMES, N_BINS)."""
        gains, filters = self._estimate(spectra)
        heard = np.concatenate([self._past, spectra])
        self._past = heard[-len(self._past) :].copy()
        enhanced = heard[LOOKAHEAD : LOOKAHEAD + N_FRAMES] * np.repeat(gains, band_sizes(), axis=1)
        low = heard[:, :N_FILTERED]
        enhanced[:, :N_FILTERED] = sum(
            low[n : n + N_FRAMES] * filters[:, :, n] for n in range(_FILTER_LENGTH)
        )
        return enhanced

    def _estimate(self, spectra: ComplexArray) -> tuple[FloatArray, ComplexArray]:
        """Return gains (n, bands) and filters (n, bins, taps), the oldest spectrum's tap first."""
        bands, bins = self._features.push(spectra)
        features = {"feat_erb": bands[None, None], "feat_spec": bins[None]}
        encoded = self._network.encoder.run(features, self._encoder_memory)
        gains = self._network.masks.run(
            {name: encoded[name] for name in ("emb", "e3", "e2", "e1", "e0")}, self._masks_memory
        )["m"]
        taps = self._network.filters.run(
            {name: encoded[name] for name in ("emb", "c0")}, self._filters_memory
        )["coefs"]
        pairs = np.ascontiguousarray(taps[0]).view(np.complex64)  # (n, bins, taps)
        return gains[0, 0], pairs
