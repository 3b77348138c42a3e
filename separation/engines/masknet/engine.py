"""Runs a network of masks on segments of its parent stem."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from separation import weights
from separation.catalog import Model
from separation.engines import Engine, FloatArray
from separation.engines.base import BaseEngine
from separation.engines.masknet.bands import Bands
from separation.engines.masknet.network import MaskNet, Shape, on_device
from separation.errors import EngineClosed, ModelUnavailable, WeightsMismatch


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
        path = weights.find_installed(self._model)
        if path is None:
            raise ModelUnavailable(f"The weights of '{self._model.name}' are not installed.")
        shape = read_shape(path)
        self._sums = self._classes_of_stems(shape)
        state = {name: t.float() for name, t in weights.load_state(self._model).items()}
        network = MaskNet(shape)
        counters = (n for n in network.state_dict() if n.endswith("num_batches_tracked"))
        network.load_state_dict({**state, **{name: torch.tensor(0) for name in counters}})
        self._network = on_device(network.eval(), device)
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


def read_shape(path: Path) -> Shape:
    """Return the shape of the network in a file of weights.

    Raises
    ------
    WeightsMismatch
        If the file does not say.
    """
    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get("shape")
    if text is None:
        raise WeightsMismatch(f"{path.name} does not say which network it is of.")
    return Shape.of(json.loads(text))


def write_weights(network: MaskNet, path: Path, **metadata: str) -> None:
    """Write a network's weights, matrices in half precision, with its shape."""
    state = {name: t for name, t in network.state_dict().items() if t.is_floating_point()}
    kept = {name: (t.half() if t.ndim > 1 else t).contiguous() for name, t in state.items()}
    save_file(kept, path, {**metadata, "shape": json.dumps(asdict(network.shape))})


def create(model: Model, backend: str) -> Engine:
    """Return an engine for this entry of the catalogue."""
    return MaskEngine(model, backend)
