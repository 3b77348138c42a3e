"""HTDemucs in PyTorch, tuned: its core between transforms in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from separation import weights
from separation.catalog import Model
from separation.engines import Engine, FloatArray, processor
from separation.engines.base import BaseEngine
from separation.engines.demucs.core import HTDemucsCore
from separation.engines.demucs.eager import build_network
from separation.engines.demucs.spectrum import spectrum_of, waveforms_of
from separation.errors import EngineClosed

_INNER_DTYPES = {"torch-bf16": torch.bfloat16, "torch-f32": None}


class TunedDemucs(BaseEngine):
    """HTDemucs on a CPU, or on any other device of PyTorch that has no engine of its own."""

    def __init__(self, model: Model, backend: str) -> None:
        super().__init__(model, backend)
        self._core: Any = None
        self._device = "cpu"

    def load(self, device: str) -> None:
        if self._core is not None:
            return
        if device == "cpu":
            torch.set_num_threads(processor.usable_cores())
        network = build_network(self._model, weights.load_state(self._model))
        dtype = _INNER_DTYPES[self._backend]
        core = HTDemucsCore(network, self._model.segment_samples, dtype).eval()
        self._core = core.to(device)
        self._device = device

    @torch.inference_mode()
    def separate(self, mixtures: FloatArray) -> FloatArray:
        if self._core is None:
            raise EngineClosed("The engine is not loaded.")
        batch, channels, n_samples = mixtures.shape
        inputs = (torch.from_numpy(array) for array in (spectrum_of(mixtures), mixtures))
        spectra, waveforms = self._core(*(tensor.to(self._device) for tensor in inputs))
        stems: FloatArray = waveforms.float().cpu().numpy()  # (batch, stems * 2, n_samples)
        for stem, spectrum in zip(stems, spectra.float().cpu().numpy(), strict=True):
            stem += waveforms_of(np.ascontiguousarray(spectrum), n_samples)
        return stems.reshape(batch, -1, channels, n_samples)

    def close(self) -> None:
        self._core = None


def create(model: Model, backend: str) -> Engine:
    """Return an engine for this entry of the catalogue."""
    return TunedDemucs(model, backend)
