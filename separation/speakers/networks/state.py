"""The weights of both networks, by the names that `layers` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from separation import weights
from separation.catalog import Tool
from separation.speakers.networks import FloatArray, onnx_graphs
from separation.speakers.networks.onnx_graphs import Projection
from separation.speakers.vbx import Plda
from separation.weights import graphs

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class NetworkState:
    """One tool's weights, as arrays."""

    segmentation: Mapping[str, FloatArray]
    trunk: Mapping[str, FloatArray]
    projection: Projection
    plda: Plda | None = None


def read_state(tool: Tool) -> NetworkState:
    """Read the installed weights, verified by their checksum.

    Raises
    ------
    ModelUnavailable
        If they are not installed.
    WeightsMismatch
        If they were changed since, or are of another network.
    """
    if graphs.are_kept(tool):
        files = weights.load_graphs(tool)
        return NetworkState(
            onnx_graphs.segmentation_state(files["segmentation.onnx"]),
            onnx_graphs.trunk_state(files["embedding.onnx"]),
            onnx_graphs.projection(files["embedding.onnx"]),
        )
    tensors = weights.load_state(tool)
    last = _below(tensors, "projection.")
    return NetworkState(
        _below(tensors, "segmentation."),
        _below(tensors, "trunk."),
        Projection(last["weight"], last["bias"]),
        Plda.from_arrays(_below(tensors, "plda.")),
    )


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, FloatArray]:
    named = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): tensor.numpy() for name, tensor in named.items()}
