"""DeepFilterNet 3's three ONNX graphs, out of their archive and made fit for a stream.

As they are exported, they begin anew at every call: each recurrent layer with zeros, each
convolution over time with rows of zeros before the first. Here both are given from outside, so
that a recording can go through in pieces without a trace of where they were cut.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from separation.errors import WeightsMismatch

if TYPE_CHECKING:
    import torch

ENCODER, MASK_DECODER, FILTER_DECODER = "enc.onnx", "erb_dec.onnx", "df_dec.onnx"

# How a graph's recurrent states are called where they come out.
NEXT = "next_"


def convert(files: Mapping[str, Path]) -> dict[str, torch.Tensor]:
    """Return each graph's bytes under its name.

    Parameters
    ----------
    files : mapping
        The name of the only file -> path of the `.tar.gz` that holds the graphs.

    Raises
    ------
    WeightsMismatch
        If the archive lacks a graph.
    """
    import torch

    (path,) = files.values()
    graphs = {name: streamed(graph) for name, graph in read_archive(path).items()}
    return {
        name: torch.frombuffer(bytearray(graph), dtype=torch.uint8)
        for name, graph in graphs.items()
    }


def read_archive(path: Path) -> dict[str, bytes]:
    """Return the three graphs as they were exported.

    Raises
    ------
    WeightsMismatch
        If the archive lacks one.
    """
    graphs = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member)
            if content is not None:
                graphs[Path(member.name).name] = content.read()
    try:
        return {name: graphs[name] for name in (ENCODER, MASK_DECODER, FILTER_DECODER)}
    except KeyError as error:
        raise WeightsMismatch("The archive does not hold the expected graphs.") from error


def streamed(exported: bytes) -> bytes:
    """Return a graph whose recurrent states are inputs and outputs, and which pads nothing."""
    model = onnx.load_model_from_string(exported)
    graph = model.graph
    layers = [node for node in graph.node if node.op_type == "GRU"]
    for number, layer in enumerate(layers):
        _open_state(graph, layer, number)
    for node in [node for node in graph.node if node.op_type == "Pad"]:
        _bypass(graph, node)
    content: bytes = model.SerializeToString()
    return content


def _open_state(graph: onnx.GraphProto, layer: onnx.NodeProto, number: int) -> None:
    """Take the layer's first state from a new input and give its last one to a new output."""
    hidden = next(a.i for a in layer.attribute if a.name == "hidden_size")
    given = f"state_{number}"
    left = NEXT + given
    inputs = [*layer.input, *[""] * 6][:6]  # X, W, R, B, sequence_lens, initial_h
    del layer.input[:]
    layer.input.extend([*inputs[:5], given])
    outputs = [*layer.output, ""][:2]  # Y, Y_h
    del layer.output[:]
    layer.output.extend([outputs[0], left])
    shape = [1, 1, hidden]
    graph.input.append(helper.make_tensor_value_info(given, TensorProto.FLOAT, shape))
    graph.output.append(helper.make_tensor_value_info(left, TensorProto.FLOAT, shape))


def _bypass(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    for reader in graph.node:
        names = [node.input[0] if name == node.output[0] else name for name in reader.input]
        del reader.input[:]
        reader.input.extend(names)
    graph.node.remove(node)
