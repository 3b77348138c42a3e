"""Runs a method of signal processing on segments of its parent stem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from separation.catalog import Model
from separation.engines import Engine, FloatArray
from separation.engines.base import BaseEngine
from separation.engines.cues.pitch import high_voices_of
from separation.engines.cues.place import front_of
from separation.errors import EngineClosed

# By the name that a catalogue's entry gives as `method` under `network`; each takes
# (batch, 2, n) samples and returns one stem of that shape.
METHODS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = MappingProxyType(
    {"front": front_of, "high-voices": high_voices_of}
)


class CueEngine(BaseEngine):
    """Takes stereo segments of any length; the two stems of each add up to it.

    What the method does not take is the model's rest.
    """

    def __init__(self, model: Model, backend: str) -> None:
        super().__init__(model, backend)
        self._method = METHODS[model.network["method"]]
        self._device: str | None = None

    def load(self, device: str) -> None:
        self._device = device

    @torch.inference_mode()
    def separate(self, mixtures: FloatArray) -> FloatArray:
        if self._device is None:
            raise EngineClosed("The engine is not loaded.")
        batch = torch.from_numpy(mixtures).to(self._device)
        rest = self._model.stems.index(self._model.rest)
        stems = torch.empty((len(batch), 2, *batch.shape[1:]), device=batch.device)
        stems[:, 1 - rest] = self._method(batch)
        stems[:, rest] = batch - stems[:, 1 - rest]
        result: FloatArray = stems.cpu().numpy()
        return result

    def close(self) -> None:
        self._device = None


def create(model: Model, backend: str) -> Engine:
    """Return an engine for this entry of the catalogue."""
    return CueEngine(model, backend)
