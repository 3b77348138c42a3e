"""Kokoro-82M, a speech model, in a session of ONNX Runtime: to speak, or rewired to sing.

The model predicts how long every phoneme lasts, a pitch curve and an energy curve, and its decoder
draws the sound from these. To sing, the three predictions are cut out of the graph and become
inputs. The decoder is unchanged, so the voice stays that of the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

VOICE_RATE = 24_000

# Names of tensors in the published graph: frames per token, Hz, and log energy per half frame.
DURATIONS = "/encoder/Gather_output_0"
PITCH = "/encoder/Squeeze_output_0"
ENERGY = "/encoder/Squeeze_1_output_0"


def speaking(shards: Iterable[Path]) -> onnxruntime.InferenceSession:
    """Open the model as it is, of the parts of its file, in order."""
    return _session(_loaded(shards))


def singing(shards: Iterable[Path]) -> onnxruntime.InferenceSession:
    """Open the model with DURATIONS, PITCH and ENERGY among its inputs."""
    model = _loaded(shards)
    graph = model.graph
    for node in [n for n in graph.node if n.output[0] in (DURATIONS, PITCH, ENERGY)]:
        graph.node.remove(node)
    graph.input.remove(next(i for i in graph.input if i.name == "speed"))
    graph.input.extend(
        [
            helper.make_tensor_value_info(DURATIONS, TensorProto.INT64, ["tokens"]),
            helper.make_tensor_value_info(PITCH, TensorProto.FLOAT, [1, "points"]),
            helper.make_tensor_value_info(ENERGY, TensorProto.FLOAT, [1, "points"]),
        ]
    )
    return _session(model)


def _loaded(shards: Iterable[Path]) -> onnx.ModelProto:
    model = onnx.load_from_string(b"".join(path.read_bytes() for path in shards))
    _widen_to_float32(model.graph)
    return model


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    _remove_dead_nodes(model.graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a fixed order of summation: the same samples every time
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _widen_to_float32(graph: onnx.GraphProto) -> None:
    """Half precision overflows to NaN in the normalisation layers on lines of several seconds."""
    graph.ClearField("value_info")
    tensors = list(graph.initializer)
    for node in graph.node:
        tensors += [a.t for a in node.attribute if a.HasField("t")]
        for attribute in node.attribute:
            is_target = node.op_type == "Cast" and attribute.name == "to"
            if is_target and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    for tensor in tensors:
        if tensor.data_type == TensorProto.FLOAT16:
            wide = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def _remove_dead_nodes(graph: onnx.GraphProto) -> None:
    while True:
        used = {name for node in graph.node for name in node.input}
        used |= {o.name for o in graph.output}
        dead = [n for n in graph.node if not used.intersection(n.output)]
        if not dead:
            return
        for node in dead:
            graph.node.remove(node)
