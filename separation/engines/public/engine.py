"""Public networks in PyTorch on one device."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from separation import weights
from separation.catalog import Model
from separation.engines import Engine, FloatArray
from separation.engines.base import BaseEngine
from separation.engines.public.networks import Layout, load
from separation.errors import EngineClosed


class PublicEngine(BaseEngine):
    """A network of others, whichever it is.

    Segments longer than those that it was trained on go through it in windows that overlap by
    half.
    """

    def __init__(self, model: Model, backend: str) -> None:
        super().__init__(model, backend)
        self._layout: Layout | None = None
        self._network: nn.Module | None = None
        self._device = "cpu"

    def load(self, device: str) -> None:
        if self._network is None:
            self._layout, network = load(self._model, weights.load_state(self._model))
            self._network = network.to(device)
            self._device = device

    @torch.inference_mode()
    def separate(self, mixtures: FloatArray) -> FloatArray:
        if self._network is None or self._layout is None:
            raise EngineClosed("The engine is not loaded.")
        sound = torch.from_numpy(mixtures).to(self._device)  # (batch, 2, n)
        estimates = self._estimates(self._network, sound)  # (batch, used outputs, 2, n)
        stems = _stems(self._model, self._layout, sound, estimates)
        result: FloatArray = stems.cpu().numpy().astype(np.float32, copy=False)
        return result

    def _estimates(self, network: nn.Module, sound: torch.Tensor) -> torch.Tensor:
        size, n_samples = self._model.segment_samples, sound.shape[-1]
        if n_samples <= size:
            whole: torch.Tensor = network(sound)
            return whole
        fade = _fade(size).to(sound.device)
        starts = [*range(0, n_samples - size, size // 2), n_samples - size]
        added: torch.Tensor | None = None
        weight = sound.new_zeros(n_samples)
        for start in starts:
            part = network(sound[..., start : start + size]) * fade
            if added is None:
                added = part.new_zeros(*part.shape[:-1], n_samples)
            added[..., start : start + size] += part
            weight[start : start + size] += fade
        if added is None:
            raise ValueError("There is no sound to take apart.")
        return added / weight

    def close(self) -> None:
        self._network = None


def _fade(n: int) -> torch.Tensor:
    """Rise to the middle and fall again, nowhere zero; (n,)."""
    up = torch.arange(1, n // 2 + 1) / (n // 2)
    return torch.cat([up, torch.ones(n % 2), up.flip(0)])


def _stems(
    model: Model, layout: Layout, sound: torch.Tensor, estimates: torch.Tensor
) -> torch.Tensor:
    """Return the model's stems in its order, (batch, stems, 2, n)."""
    names = [layout.outputs[index] for index in layout.used]
    made: dict[str, torch.Tensor] = {}
    for index, name in enumerate(names):
        made[name] = made[name] + estimates[:, index] if name in made else estimates[:, index]
    for stem in model.stems:
        if stem not in made:
            made[stem] = sound - torch.stack(list(made.values())).sum(dim=0)
    return torch.stack([made[stem] for stem in model.stems], dim=1)


def create(model: Model, backend: str) -> Engine:
    """Return an engine for this entry of the catalogue."""
    return PublicEngine(model, backend)
