"""HTDemucs in PyTorch as its authors wrote it: the reference for all other backends."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from demucs.htdemucs import HTDemucs

from separation import weights
from separation.catalog import Model
from separation.engines import Engine, FloatArray
from separation.engines.base import BaseEngine
from separation.errors import EngineClosed


def build_network(model: Model, state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """Build HTDemucs around `state`, strictly, without initialising weights first."""
    with torch.device("meta"):
        network: torch.nn.Module = HTDemucs(
            sources=list(model.stems),
            dconv_mode=3,
            bottom_channels=512,
            samplerate=model.sample_rate,
            segment=Fraction(model.segment_samples, model.sample_rate),
        )
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


class DemucsEngine(BaseEngine):
    """HTDemucs on one device.

    References
    ----------
    Rouard, Massa, Défossez: Hybrid Transformers for Music Source Separation, ICASSP 2023,
    https://arxiv.org/abs/2211.08553
    """

    def __init__(self, model: Model, backend: str) -> None:
        super().__init__(model, backend)
        self._network: torch.nn.Module | None = None
        self._device = "cpu"

    def load(self, device: str) -> None:
        if self._network is None:
            state = weights.load_state(self._model)
            self._network = build_network(self._model, state).to(device)
            self._device = device

    @torch.inference_mode()
    def separate(self, mixtures: FloatArray) -> FloatArray:
        if self._network is None:
            raise EngineClosed("The engine is not loaded.")
        batch = torch.from_numpy(mixtures).to(self._device)  # (batch, 2, segment)
        estimates = self._network(batch)  # (batch, stems, 2, segment)
        stems: FloatArray = estimates.cpu().numpy().astype(np.float32, copy=False)
        return stems

    def close(self) -> None:
        self._network = None


def create(model: Model, backend: str) -> Engine:
    """Return an engine for this entry of the catalogue."""
    return DemucsEngine(model, backend)
