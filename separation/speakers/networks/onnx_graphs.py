"""What is read out of the ONNX graphs of both networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.numpy_helper

from separation.speakers.networks import FloatArray

# The tensor that the embedding network pools over time: (batch, 256, 10, frames / 8).
POOLED = "onnx::ReduceMean_343"


@dataclass(frozen=True, slots=True)
class Projection:
    """The embedding network's last layer: (n, 5120) statistics to (n, 256) embeddings."""

    weight: FloatArray
    bias: FloatArray

    def __call__(self, statistics: FloatArray) -> FloatArray:
        return statistics @ self.weight.T + self.bias


def projection(graph: bytes) -> Projection:
    """Read the linear layer after the pooling; its bias holds the subtraction of the mean."""
    values = constants(graph)
    bias = values["model.seg_1.bias"] - values["mean_vec"]
    return Projection(values["model.seg_1.weight"], bias)


def constants(graph: bytes) -> Mapping[str, FloatArray]:
    """Return a graph's float32 constants by name, in the order in which they are stored."""
    stored = onnx.load_model_from_string(graph).graph.initializer
    values = {item.name: onnx.numpy_helper.to_array(item) for item in stored}
    return {name: value for name, value in values.items() if value.dtype == np.float32}
