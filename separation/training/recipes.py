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
Classes = tuple[str, ...]


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
    groups: tuple[Classes, ...] = ()
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
    n_frames=256,
    batch=4,
)


def _pitched(name: str, mixer: str, classes: Classes, groups: tuple[Classes, ...] = ()) -> Recipe:
    """Return a recipe for what has pitch: bins 11 Hz apart, and short examples, many of them."""
    shape = Shape(
        classes=classes,
        n_fft=4096,
        hop=1024,
        n_bands=384,
        top_hz=16_000.0,
        patch=(4, 2),
        widths=(32, 64, 128),
        time_strides=(2, 1),
        hidden=160,
        n_blocks=1,
    )
    return Recipe(name, mixer, shape, groups, n_frames=128, batch=4)


_INSTRUMENTS = _pitched(
    "instruments",
    "separation.training.instruments.mixer:InstrumentMixer",
    (
        *("acoustic_guitar", "electric_guitar", "piano", "organ", "synth"),
        *("strings", "brass", "woodwinds", "fx"),
    ),
    groups=(
        ("acoustic_guitar", "electric_guitar"),
        ("piano", "organ", "synth"),
        ("brass", "woodwinds"),
    ),
)

_VOICES = _pitched(
    "voices",
    "separation.training.voices.mixer:VoiceMixer",
    ("lead_male", "lead_female", "backing_male", "backing_female"),
    groups=(
        ("lead_male", "lead_female"),
        ("backing_male", "backing_female"),
        ("lead_male", "backing_male"),
        ("lead_female", "backing_female"),
    ),
)

_GUITAR_ROLES = _pitched(
    "guitar-roles",
    "separation.training.instruments.roles:GuitarRolesMixer",
    ("rhythm_guitar", "lead_guitar"),
)

_DEREVERB = Recipe(
    name="dereverb",
    mixer="separation.training.enhance.mixer:RoomMixer",
    shape=Shape(
        classes=("kept", "late"),
        n_fft=2048,
        hop=512,
        n_bands=192,
        top_hz=16_000.0,
        patch=(4, 2),
        widths=(32, 64, 96),
        time_strides=(2, 2),
        hidden=128,
        n_blocks=1,
    ),
)

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe for recipe in (_DRUMKIT, _INSTRUMENTS, _VOICES, _GUITAR_ROLES, _DEREVERB)
}
