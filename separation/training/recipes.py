"""What is trained: the data, the network and how long its examples are."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from separation.engines.masknet.network import Shape

FloatArray = npt.NDArray[np.float32]


class Mixer(Protocol):
    """Makes examples: mixtures whose parts are known."""

    def example(self, rng: np.random.Generator, n_samples: int) -> FloatArray:
        """Return (classes, 2, n_samples) at 44.1 kHz; the mixture is their sum."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one network is trained.

    Parameters
    ----------
    name : str
        Of the model in the catalogue.
    mixer : str
        `module:class`; called with `train` or `held`.
    shape : Shape
    groups : sequence of sequence of str
        Classes whose sum counts too: stems that are made of several.
    n_frames : int
        Length of an example, of the spectrogram.
    batch : int
    learning_rate : float
    """

    name: str
    mixer: str
    shape: Shape
    groups: tuple[tuple[str, ...], ...] = ()
    n_frames: int = 512
    batch: int = 2
    learning_rate: float = 1.2e-3

    @property
    def n_samples(self) -> int:
        """Length of an example; its spectrogram has one frame more at the end."""
        return (self.n_frames - 1) * self.shape.hop

    def open_mixer(self, split: str) -> Mixer:
        """Return the maker of examples, of the sources of a split."""
        module, _, name = self.mixer.partition(":")
        mixer: Mixer = getattr(importlib.import_module(module), name)(split)
        return mixer


_DRUMKIT = Recipe(
    name="drumkit",
    mixer="separation.training.drums.mixer:DrumMixer",
    shape=Shape(
        classes=("kick", "snare", "toms", "hihat", "ride", "crash", "percussion"),
        n_fft=2048,
        hop=512,
        n_bands=192,
        top_hz=16_000.0,
        patch=(4, 2),
        widths=(48, 96, 160),
        time_strides=(2, 2),
        hidden=192,
        n_blocks=2,
    ),
    groups=(("ride", "crash"), ("hihat", "ride", "crash")),
)

_INSTRUMENTS = Recipe(
    name="instruments",
    mixer="separation.training.instruments.mixer:InstrumentMixer",
    shape=Shape(
        classes=(
            *("acoustic_guitar", "electric_guitar", "piano", "organ", "synth"),
            *("strings", "brass", "woodwinds", "fx"),
        ),
        n_fft=4096,
        hop=1024,
        n_bands=384,
        top_hz=16_000.0,
        patch=(2, 2),
        widths=(32, 64, 128, 160),
        time_strides=(2, 2, 1),
        hidden=192,
        n_blocks=2,
    ),
    groups=(
        ("acoustic_guitar", "electric_guitar"),
        ("piano", "organ", "synth"),
        ("brass", "woodwinds"),
    ),
    n_frames=256,
)

_VOICES = Recipe(
    name="voices",
    mixer="separation.training.voices.mixer:VoiceMixer",
    shape=Shape(
        classes=("lead_male", "lead_female", "backing_male", "backing_female"),
        n_fft=4096,
        hop=1024,
        n_bands=320,
        top_hz=14_000.0,
        patch=(2, 2),
        widths=(24, 48, 96, 128),
        time_strides=(2, 2, 1),
        hidden=128,
        n_blocks=2,
    ),
    groups=(
        ("lead_male", "lead_female"),
        ("backing_male", "backing_female"),
        ("lead_male", "backing_male"),
        ("lead_female", "backing_female"),
    ),
    n_frames=256,
)

_GUITAR_ROLES = Recipe(
    name="guitar-roles",
    mixer="separation.training.instruments.roles:GuitarRolesMixer",
    shape=Shape(
        classes=("rhythm_guitar", "lead_guitar"),
        n_fft=4096,
        hop=1024,
        n_bands=320,
        top_hz=14_000.0,
        patch=(2, 2),
        widths=(24, 48, 96, 128),
        time_strides=(2, 2, 1),
        hidden=128,
        n_blocks=2,
    ),
    n_frames=256,
)

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe for recipe in (_DRUMKIT, _INSTRUMENTS, _VOICES, _GUITAR_ROLES)
}
