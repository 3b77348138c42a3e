"""Both networks in OpenVINO, on the CPU: without PyTorch."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import openvino

from separation import weights
from separation.catalog import Tool
from separation.engines import processor
from separation.errors import EngineClosed
from separation.speakers.networks import CHUNK_SAMPLES, TRUNK_STRIDE, FloatArray, Networks
from separation.speakers.networks.onnx_graphs import POOLED, Projection, projection
from separation.speakers.vbx import Plda

# In bfloat16 the segmentation names another class in 1.2 % of the frames of the AMI clips and
# saves a third of the time; an embedding keeps a cosine of 0.998 or more and its trunk takes half
# the time. So only the trunk is lowered.
_TRUNK_PRECISION = {"openvino-bf16": "bf16", "openvino-f32": "f32"}
# The graph is compiled for fixed numbers of chunks, since OpenVINO refuses it otherwise: one for
# long recordings, and two for what is left at their end.
_BATCH_SIZES = (16, 4, 1)
# Of features that make one row alone, OpenVINO 2026's bfloat16 returns memory that nobody wrote.
_LEAST_FRAMES = TRUNK_STRIDE + 1


class CompiledNetworks:
    """The networks compiled for this CPU, one call at a time on all of its cores."""

    def __init__(self, tool: Tool, backend: str) -> None:
        self._tool = tool
        self._backend = backend
        files = weights.load_graphs(tool)
        self._core = openvino.Core()
        self._graph: bytes | None = files["segmentation.onnx"]
        self._segmentation: dict[int, Any] = {}
        self._projection: Projection | None = projection(files["embedding.onnx"])
        trunk = _trunk(self._core, files["embedding.onnx"])
        self._trunk: Any = _compile(self._core, trunk, _TRUNK_PRECISION[backend])
        self._computing = threading.Lock()

    @property
    def tool(self) -> Tool:
        return self._tool

    @property
    def backend(self) -> str:
        return self._backend

    @property
    def plda(self) -> Plda | None:
        return None

    @property
    def batch_size(self) -> int:
        return _BATCH_SIZES[0]

    def segment(self, chunks: FloatArray) -> FloatArray:
        results = []
        done = 0
        while done < len(chunks):
            size = next(size for size in _BATCH_SIZES if size <= len(chunks) - done)
            batch = chunks[done : done + size, None]  # (size, 1, 160000)
            with self._computing:
                results.append(_first(self._compiled_for(size), batch))
            done += size
        return np.concatenate(results)  # (batch, 589, 7)

    def trunk(self, features: FloatArray) -> FloatArray:
        with self._computing:
            if self._trunk is None:
                raise EngineClosed("The networks are not loaded.")
            missing = max(0, _LEAST_FRAMES - features.shape[1])
            padded = np.pad(features, ((0, 0), (0, missing), (0, 0)))
            rows = _first(self._trunk, padded)  # (batch, 256, 10, frames / 8)
        flat = rows.reshape(len(rows), -1, rows.shape[-1])  # (batch, 2560, frames / 8)
        flat = flat[:, :, : -(-features.shape[1] // TRUNK_STRIDE)]
        return np.ascontiguousarray(flat.transpose(0, 2, 1))  # (batch, frames / 8, 2560)

    def project(self, statistics: FloatArray) -> FloatArray:
        if self._projection is None:
            raise EngineClosed("The networks are not loaded.")
        return self._projection(statistics)

    def close(self) -> None:
        with self._computing:
            self._graph, self._segmentation = None, {}
            self._trunk, self._projection = None, None

    def _compiled_for(self, size: int) -> Any:
        if self._graph is None:
            raise EngineClosed("The networks are not loaded.")
        if size not in self._segmentation:
            model = self._core.read_model(self._graph)
            model.reshape([size, 1, CHUNK_SAMPLES])
            self._segmentation[size] = _compile(self._core, model, "f32")
        return self._segmentation[size]


def _trunk(core: Any, graph: bytes) -> Any:
    """Cut the embedding network off where it pools over time."""
    whole = core.read_model(graph)
    outputs = [output for node in whole.get_ordered_ops() for output in node.outputs()]
    pooled = [output for output in outputs if POOLED in output.names]
    return openvino.Model(pooled, whole.get_parameters(), "trunk")


def _compile(core: Any, model: Any, precision: str) -> Any:
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(processor.usable_cores()),
        # Pinned, two processes would sit on the same cores (docs/performance.md).
        "ENABLE_CPU_PINNING": "NO",
    }
    return core.compile_model(model, "CPU", settings)


def _first(compiled: Any, inputs: FloatArray) -> FloatArray:
    contiguous = np.ascontiguousarray(inputs, np.float32)
    result: FloatArray = compiled(contiguous, share_inputs=True)[0].copy()
    return result


def create(tool: Tool, backend: str, device: str) -> Networks:
    """Return loaded networks for this entry of the catalogue."""
    return CompiledNetworks(tool, backend)
