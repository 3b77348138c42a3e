"""BeatNet's network in NumPy: how much each fiftieth of a second is like a beat.

It is small (0.4 million weights) and hears the past only, so that a recording goes through in
pieces without a trace of where they were cut.

References
----------
Heydari, Cwitkowitz, Duan: BeatNet: CRNN and particle filtering for online joint beat, downbeat and
meter tracking, ISMIR 2021. https://arxiv.org/abs/2108.03576
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from separation.catalog import Tool
from separation.errors import WeightsMismatch
from separation.music.sound import FloatArray
from separation.weights import load_arrays

if TYPE_CHECKING:
    import torch

N_HIDDEN = 150
_SHAPES = {
    "conv1.weight": (2, 1, 10),
    "conv1.bias": (2,),
    "linear0.weight": (150, 262),
    "linear0.bias": (150,),
    "linear.weight": (3, N_HIDDEN),
    "linear.bias": (3,),
    **{f"lstm.weight_{kind}_l{level}": (600, 150) for kind in ("ih", "hh") for level in (0, 1)},
    **{f"lstm.bias_{kind}_l{level}": (600,) for kind in ("ih", "hh") for level in (0, 1)},
}


def convert(files: Mapping[str, Path]) -> dict[str, torch.Tensor]:
    """Return the network's weights under their own names.

    Raises
    ------
    WeightsMismatch
        If it is another network.
    """
    import torch

    (path,) = files.values()
    state = torch.load(path, map_location="cpu", weights_only=True)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if shapes != _SHAPES:
        raise WeightsMismatch("The file does not hold the expected network.")
    return {name: tensor.float() for name, tensor in state.items()}


class BeatNetwork:
    """The network on one stream; remembers what it heard."""

    def __init__(self, tool: Tool) -> None:
        self._weights = load_arrays(tool)
        self._layers = [_Layer(self._weights, level) for level in (0, 1)]

    def push(self, spectra: FloatArray) -> FloatArray:
        """Take (n, 272) spectra; return the probabilities of beat and downbeat, (n, 2)."""
        values = self._condensed(spectra)  # (n, 150)
        for layer in self._layers:
            values = layer.push(values)
        scores = values @ self._weights["linear.weight"].T + self._weights["linear.bias"]
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities: FloatArray = scores / scores.sum(axis=1, keepdims=True)
        return probabilities[:, :2]

    def _condensed(self, spectra: FloatArray) -> FloatArray:
        """Convolve over the bands, take the greater of two neighbours, and mix: (n, 150)."""
        kernel = self._weights["conv1.weight"][:, 0]  # (2, 10)
        windows = np.lib.stride_tricks.sliding_window_view(spectra, kernel.shape[1], axis=1)
        mapped = np.moveaxis(windows @ kernel.T + self._weights["conv1.bias"], 2, 1)  # (n, 2, 263)
        pairs = np.maximum(0, mapped[:, :, :-1]).reshape(len(spectra), 2, -1, 2)
        pooled = pairs.max(axis=3).reshape(len(spectra), -1)  # (n, 262)
        mixed: FloatArray = pooled @ self._weights["linear0.weight"].T
        return mixed + self._weights["linear0.bias"]


class _Layer:
    """One LSTM layer."""

    def __init__(self, weights: Mapping[str, FloatArray], level: int) -> None:
        self._input = weights[f"lstm.weight_ih_l{level}"].T
        self._hidden = np.ascontiguousarray(weights[f"lstm.weight_hh_l{level}"].T)
        self._bias = weights[f"lstm.bias_ih_l{level}"] + weights[f"lstm.bias_hh_l{level}"]
        self._output = np.zeros(N_HIDDEN, np.float32)
        self._cell = np.zeros(N_HIDDEN, np.float32)

    def push(self, values: FloatArray) -> FloatArray:
        """(n, 150) -> (n, 150)"""
        given = values @ self._input + self._bias  # (n, 600): input, forget, cell, output gate
        outputs = np.empty((len(values), N_HIDDEN), np.float32)
        for number, gates in enumerate(given):
            gates = gates + self._output @ self._hidden
            # sigmoid(x) = (1 + tanh(x / 2)) / 2 overflows nowhere.
            opened = 0.5 + 0.5 * np.tanh(0.5 * gates)
            added = opened[:N_HIDDEN] * np.tanh(gates[2 * N_HIDDEN : 3 * N_HIDDEN])
            self._cell = opened[N_HIDDEN : 2 * N_HIDDEN] * self._cell + added
            self._output = opened[3 * N_HIDDEN :] * np.tanh(self._cell)
            outputs[number] = self._output
        return outputs
