"""HTDemucs on a GPU of NVIDIA: batches of fixed shapes, recorded once as CUDA graphs."""

from __future__ import annotations

import logging
import threading
from typing import Any

import torch

from separation import weights
from separation.catalog import Model
from separation.engines import Engine, FloatArray
from separation.engines.base import BaseEngine
from separation.engines.demucs.eager import build_network
from separation.engines.demucs.whole import WholeDemucs
from separation.errors import EngineClosed

logger = logging.getLogger(__name__)

_BATCH_SIZES = (1, 2, 4, 8, 16, 32)
# Of the memory that is free once the model is there; the rest is for copies and for other programs.
_MEMORY_SHARE = 0.6
_WARM_UPS = 3


class CudaDemucs(BaseEngine):
    """HTDemucs with its transforms on the device, bfloat16 inside, float32 in the outermost layers.

    Two lanes: while one computes, the other copies its stems to the host and the next segments to
    the device, through pinned memory.
    """

    def __init__(self, model: Model, backend: str) -> None:
        super().__init__(model, backend)
        self._device = torch.device("cuda")
        self._network: WholeDemucs | None = None
        self._sizes: tuple[int, ...] = _BATCH_SIZES[:1]
        self._recordings: dict[int, _Recording | None] = {}
        self._computing = threading.Lock()

    @property
    def lanes(self) -> int:
        return 2

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        return self._sizes

    def load(self, device: str) -> None:
        if self._network is not None:
            return
        self._device = torch.device(device)
        source = build_network(self._model, weights.load_state(self._model))
        network = WholeDemucs(source, self._model.segment_samples, torch.bfloat16)
        self._network = network.eval().to(self._device)
        with torch.cuda.device(self._device):
            new_stream: Any = torch.cuda.Stream
            self._compute, self._copy = new_stream(), new_stream()
            self._sizes = self._sizes_that_fit()

    def separate(self, mixtures: FloatArray) -> FloatArray:
        if self._network is None:
            raise EngineClosed("The engine is not loaded.")
        pinned = torch.from_numpy(mixtures).pin_memory()  # (batch, 2, segment)
        with torch.inference_mode(), torch.cuda.device(self._device):
            with self._computing, torch.cuda.stream(self._compute):
                stems = self._stems(pinned)
                computed = self._compute.record_event()
            with torch.cuda.stream(self._copy):
                self._copy.wait_event(computed)
                result = torch.empty(stems.shape, pin_memory=True)
                result.copy_(stems, non_blocking=True)
                stems.record_stream(self._copy)
                copied = self._copy.record_event()
            copied.synchronize()
        array: FloatArray = result.numpy()
        return array

    def close(self) -> None:
        self._network, self._recordings = None, {}

    def _sizes_that_fit(self) -> tuple[int, ...]:
        """Choose batch sizes by what one segment takes at its peak."""
        shape = (1, 2, self._model.segment_samples)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        with torch.inference_mode(), torch.cuda.stream(self._compute):
            self._network_output(torch.zeros(shape, device=self._device))
        torch.cuda.synchronize()
        per_segment = max(1, torch.cuda.max_memory_allocated() - before)
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info()
        fitting = [size for size in _BATCH_SIZES if size * per_segment <= _MEMORY_SHARE * free]
        return tuple(fitting) or _BATCH_SIZES[:1]

    def _network_output(self, batch: torch.Tensor) -> torch.Tensor:
        if self._network is None:
            raise EngineClosed("The engine is not loaded.")
        stems: torch.Tensor = self._network(batch)
        return stems

    def _stems(self, pinned: torch.Tensor) -> torch.Tensor:
        size = len(pinned)
        if size not in self._recordings:
            self._recordings[size] = self._recorded(size)
        recording = self._recordings[size]
        if recording is None:
            return self._network_output(pinned.to(self._device, non_blocking=True))
        return recording.play(pinned)

    def _recorded(self, size: int) -> _Recording | None:
        batch = torch.zeros((size, 2, self._model.segment_samples), device=self._device)
        try:
            for _ in range(_WARM_UPS):
                self._network_output(batch)
            return _Recording(self._network_output, batch, self._compute, self._pool())
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            raise
        except RuntimeError as error:
            # Slower, since each of a thousand kernels is launched by itself.
            logger.warning("%s: no CUDA graph for %d: %s", self._model.name, size, error)
            return None

    def _pool(self) -> Any:
        """Return the memory that all graphs share: they never run at the same time."""
        recordings = filter(None, self._recordings.values())
        return next((recording.graph.pool() for recording in recordings), None)


class _Recording:
    """The network's kernels for one batch size, launched together.

    References
    ----------
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, network: Any, batch: torch.Tensor, stream: Any, pool: Any) -> None:
        stream.synchronize()
        self.graph: Any = torch.cuda.CUDAGraph()
        self._batch = batch
        # The other lane goes on copying meanwhile, which only this thread must not.
        mode = "thread_local"
        with torch.cuda.graph(self.graph, pool=pool, stream=stream, capture_error_mode=mode):
            self._stems = network(batch)

    def play(self, pinned: torch.Tensor) -> torch.Tensor:
        """(batch, 2, n) in pinned memory -> (batch, stems, 2, n) on the device."""
        self._batch.copy_(pinned, non_blocking=True)
        self.graph.replay()
        return torch.clone(self._stems)  # the next one writes over it


def create(model: Model, backend: str) -> Engine:
    """Return an engine for this entry of the catalogue."""
    return CudaDemucs(model, backend)
