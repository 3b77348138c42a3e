"""The peer: the installed `demucs` package, as its own command line uses it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from demucs import api, apply, separate
from demucs.audio import save_audio

from separation import catalog, weights
from separation.engines.demucs.eager import build_network


class _Separator(api.Separator):
    """The package's own, but for where the weights come from: it would ask a hub for them."""

    def _load_model(self) -> None:
        model = catalog.model(self._name)
        weights.install(model)
        # A bag of one, as the package makes it.
        network: Any = build_network(model, weights.load_state(model))
        self._model = apply.BagOfModels([network])
        self._audio_channels = self._model.audio_channels
        self._samplerate = self._model.samplerate


class Peer:
    """What `python -m demucs --float32 FILE` does, with the settings that its parser gives.

    Parameters
    ----------
    model : str
        Name in the catalogue.
    device : str
    seed : int
        The command line shifts each recording by a random time; the result depends on it by more
        than on anything else that is compared here.
    """

    def __init__(self, model: str, device: str, seed: int) -> None:
        arguments = ["--float32", "--name", model, "--device", device, "recording"]
        parser: Any = separate.get_parser  # untyped
        self._options: Any = parser().parse_args(arguments)
        self._seed = seed
        self._separator: Any = None

    def load(self) -> str:
        options = self._options
        self._separator = _Separator(
            model=options.name,
            repo=options.repo,
            device=options.device,
            shifts=options.shifts,
            split=options.split,
            overlap=options.overlap,
            progress=False,
            jobs=options.jobs,
            segment=options.segment,
        )
        return "demucs"

    def warm_up(self) -> None:
        network = self._separator.model.models[0]
        segment = torch.randn(2, int(network.segment * network.samplerate)) * 0.1
        self._separator.update_parameter(shifts=0, overlap=0)
        self._separator.separate_tensor(segment)
        self._separator.update_parameter(shifts=self._options.shifts, overlap=self._options.overlap)

    def separate(self, recording: Path, folder: Path) -> None:
        random.seed(self._seed)
        options = self._options
        _, stems = self._separator.separate_audio_file(recording)
        folder.mkdir(parents=True, exist_ok=True)
        for name, samples in stems.items():
            save_audio(
                samples,
                str(folder / f"{name}.wav"),
                samplerate=self._separator.samplerate,
                bitrate=options.mp3_bitrate,
                preset=options.mp3_preset,
                clip=options.clip_mode,
                as_float=options.float32,
                bits_per_sample=24 if options.int24 else 16,
            )
