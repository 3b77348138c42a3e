"""Both networks in PyTorch: on GPUs, and on CPUs without OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from separation.catalog import Tool
from separation.errors import EngineClosed, OutOfMemory, is_out_of_memory
from separation.speakers.networks import FloatArray, Networks
from separation.speakers.networks.layers import Segmentation, Trunk
from separation.speakers.networks.onnx_graphs import Projection
from separation.speakers.networks.state import read_state
from separation.speakers.vbx import Plda

_CPU_BATCH_SIZE = 16
# A chunk takes 20 MB of a GPU's memory.
_GPU_BATCH_SIZE = 64


class EagerNetworks:
    """The networks in float32 on one torch device."""

    def __init__(self, tool: Tool, backend: str, device: str) -> None:
        self._tool = tool
        self._backend = backend
        self._device = torch.device(device)
        state = read_state(tool)
        self._segmentation: nn.Module | None = self._loaded(Segmentation, state.segmentation)
        self._trunk: nn.Module | None = self._loaded(Trunk, state.trunk)
        self._projection: Projection | None = state.projection
        self._plda = state.plda

    @property
    def tool(self) -> Tool:
        return self._tool

    @property
    def backend(self) -> str:
        return self._backend

    @property
    def plda(self) -> Plda | None:
        return self._plda

    @property
    def batch_size(self) -> int:
        return _CPU_BATCH_SIZE if self._device.type == "cpu" else _GPU_BATCH_SIZE

    def segment(self, chunks: FloatArray) -> FloatArray:
        starts = range(0, len(chunks), self.batch_size)
        parts = [chunks[start : start + self.batch_size] for start in starts]
        return np.concatenate([self._run(self._segmentation, part) for part in parts])

    def trunk(self, features: FloatArray) -> FloatArray:
        return self._run(self._trunk, features)

    def project(self, statistics: FloatArray) -> FloatArray:
        if self._projection is None:
            raise EngineClosed("The networks are not loaded.")
        return self._projection(statistics)

    def close(self) -> None:
        self._segmentation, self._trunk, self._projection = None, None, None

    def _loaded(self, kind: type[nn.Module], state: Mapping[str, FloatArray]) -> nn.Module:
        with torch.device("meta"):
            network = kind()
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
        network.load_state_dict(tensors, strict=True, assign=True)
        return network.eval().to(self._device)

    @torch.inference_mode()
    def _run(self, network: nn.Module | None, inputs: FloatArray) -> FloatArray:
        if network is None:
            raise EngineClosed("The networks are not loaded.")
        batch = torch.from_numpy(np.array(inputs, np.float32)).to(self._device)
        try:
            # Products of shorter numbers, which cuDNN takes where it may, name other classes.
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                result: FloatArray = network(batch).cpu().contiguous().numpy()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise OutOfMemory("There was not enough memory for the model.") from error
            raise
        return result


def create(tool: Tool, backend: str, device: str) -> Networks:
    """Return loaded networks for this entry of the catalogue."""
    return EagerNetworks(tool, backend, device)
