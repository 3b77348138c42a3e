"""Runs a network of masks on segments of its parent stem."""

from __future__ import annotations

import torch

from separation.catalog import Model
from separation.engines import Engine, FloatArray
from separation.engines.base import BaseEngine
from separation.engines.masknet.bands import Bands
from separation.engines.masknet.files import load_network
from separation.engines.masknet.network import MaskNet, Shape
from separation.errors import EngineClosed, WeightsMismatch


class MaskEngine(BaseEngine):
    """Takes stereo segments of any length; the stems of each add up to it.

    The rest stem is what the others leave. In `network.sums` of the catalogue's entry a stem is
    the sum of several classes; without it each class is a stem.
    """

    def __init__(self, model: Model, backend: str) -> None:
        super().__init__(model, backend)
        self._network: MaskNet | None = None
        self._bands: Bands | None = None
        self._sums: list[list[int]] = []  # for each stem, its classes

    def load(self, device: str) -> None:
        if self._network is not None:
            return
        network = load_network(self._model, device)
        shape = network.shape
        self._sums = self._classes_of_stems(shape)
        self._network = network
        self._bands = Bands(shape.n_fft, shape.hop, shape.n_bands, shape.top_hz).to(device)

    @torch.inference_mode()
    def separate(self, mixtures: FloatArray) -> FloatArray:
        if self._network is None or self._bands is None:
            raise EngineClosed("The engine is not loaded.")
        device = next(self._network.parameters()).device
        batch = torch.from_numpy(mixtures).to(device)  # (batch, 2, n)
        spectrum = self._bands.spectrum(batch)  # (batch, 2, bins, frames)
        features, _ = self._bands.features(spectrum)
        missing = -features.shape[-1] % self._network.shape.frames_multiple
        padded = torch.nn.functional.pad(features, (0, missing, 0, 0), mode="replicate")
        masks = self._network(padded)[..., : features.shape[-1]]
        rest = self._model.stems.index(self._model.rest)
        stems = torch.zeros((len(batch), len(self._sums), *batch.shape[1:]), device=device)
        for index, classes in enumerate(self._sums):
            if index != rest:
                masked = self._bands.spread(masks[:, classes].sum(dim=1)) * spectrum
                stems[:, index] = self._bands.samples(masked, batch.shape[-1])
        stems[:, rest] = batch - stems.sum(dim=1)
        result: FloatArray = stems.cpu().numpy()
        return result

    def close(self) -> None:
        self._network = None
        self._bands = None

    def _classes_of_stems(self, shape: Shape) -> list[list[int]]:
        sums = self._model.network.get("sums", {name: [name] for name in shape.classes})
        named = [name for stem in self._model.stems for name in sums.get(stem, ())]
        if tuple(sums) != self._model.stems or sorted(named) != sorted(shape.classes):
            raise WeightsMismatch(f"The weights of '{self._model.name}' make other stems.")
        return [[shape.classes.index(name) for name in sums[stem]] for stem in self._model.stems]


def create(model: Model, backend: str) -> Engine:
    """Return an engine for this entry of the catalogue."""
    return MaskEngine(model, backend)
