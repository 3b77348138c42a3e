"""What is read out of the ONNX graphs of both networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper

from separation.errors import WeightsMismatch
from separation.speakers.networks import FloatArray

# The tensor that the embedding network pools over time: (batch, 256, 10, frames / 8).
POOLED = "onnx::ReduceMean_343"
# ONNX writes the gates of an LSTM as input, output, forget, cell; PyTorch the other way round.
_GATES = (0, 2, 3, 1)


@dataclass(frozen=True, slots=True)
class Projection:
    """The embedding network's last layer: (n, 5120) statistics to (n, 256) embeddings."""

    weight: FloatArray
    bias: FloatArray

    def __call__(self, statistics: FloatArray) -> FloatArray:
        return statistics @ self.weight.T + self.bias


def projection(graph: bytes) -> Projection:
    """Read the linear layer after the pooling; its bias holds the subtraction of the mean."""
    values = _constants(onnx.load_model_from_string(graph).graph)
    bias = values["model.seg_1.bias"] - values["mean_vec"]
    return Projection(values["model.seg_1.weight"], bias)


def segmentation_state(graph: bytes) -> dict[str, FloatArray]:
    """Name the segmentation graph's constants as `layers.Segmentation` does.

    Raises
    ------
    WeightsMismatch
        If it is another network.
    """
    parsed = onnx.load_model_from_string(graph).graph
    values = _constants(parsed)
    state = {
        "norm.weight": values["sincnet.wav_norm1d.weight"],
        "norm.bias": values["sincnet.wav_norm1d.bias"],
        "filters.weight": _only(values, (80, 1, 251)),
        "classifier.bias": values["classifier.bias"],
    }
    for kind in ("weight", "bias"):
        for level in range(3):
            state[f"norms.{level}.{kind}"] = values[f"sincnet.norm1d.{level}.{kind}"]
        for level in range(2):
            name = f"sincnet.conv1d.{level + 1}.{kind}"
            state[f"convolutions.{level}.{kind}"] = values[name]
    recurrent = [node for node in parsed.node if node.op_type == "LSTM"]
    for level, node in enumerate(recurrent):
        state.update(_lstm_layer(level, *(values[name] for name in node.input[1:4])))
    products = [node for node in parsed.node if node.op_type == "MatMul"]
    names = ("linears.0", "linears.1", "classifier")
    for name, node in zip(names, products, strict=True):
        state[f"{name}.weight"] = values[node.input[1]].T  # (out, in)
    for level in range(2):
        state[f"linears.{level}.bias"] = values[f"linear.{level}.bias"]
    return state


def trunk_state(graph: bytes) -> dict[str, FloatArray]:
    """Name the embedding graph's constants as `layers.Trunk` does.

    Each block's first convolution is followed by its second and, where the block has one, by
    the one around both, a kernel of one by one.
    """
    parsed = onnx.load_model_from_string(graph).graph
    values = _constants(parsed)
    state: dict[str, FloatArray] = {}
    names = ["first", "second"]
    block, place = -1, 1
    for node in parsed.node:
        if node.op_type != "Conv":
            continue
        weight, bias = (values[name] for name in node.input[1:])
        if weight.shape[-1] == 1:
            layer = f"blocks.{block}.shortcut"
        elif not state:
            layer = "stem"
        else:
            block, place = (block + 1, 0) if place else (block, 1)
            layer = f"blocks.{block}.{names[place]}"
        state[f"{layer}.weight"], state[f"{layer}.bias"] = weight, bias
    return state


def _lstm_layer(
    level: int, inputs: FloatArray, hidden: FloatArray, biases: FloatArray
) -> dict[str, FloatArray]:
    """(2, 4 * n, in), (2, 4 * n, n) and (2, 8 * n), of both directions, to PyTorch's tensors."""
    state = {}
    for direction, suffix in enumerate((f"l{level}", f"l{level}_reverse")):
        of_input, of_hidden = np.split(biases[direction], 2)
        state[f"lstm.weight_ih_{suffix}"] = _gates(inputs[direction])
        state[f"lstm.weight_hh_{suffix}"] = _gates(hidden[direction])
        state[f"lstm.bias_ih_{suffix}"] = _gates(of_input)
        state[f"lstm.bias_hh_{suffix}"] = _gates(of_hidden)
    return state


def _gates(rows: FloatArray) -> FloatArray:
    parts = np.split(rows, 4)
    return np.concatenate([parts[index] for index in _GATES])


def _constants(graph: Any) -> Mapping[str, FloatArray]:
    """Return a graph's float32 constants by name."""
    values = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    return {name: value for name, value in values.items() if value.dtype == np.float32}


def _only(values: Mapping[str, FloatArray], shape: tuple[int, ...]) -> FloatArray:
    found = [value for value in values.values() if value.shape == shape]
    if len(found) != 1:
        raise WeightsMismatch("The ONNX file does not hold the filters of the segmentation.")
    return found[0]
