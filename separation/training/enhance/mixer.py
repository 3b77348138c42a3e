"""Mixtures of what is wanted of a sound in a room, and its late reverberation."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import signal

from separation.training import sources
from separation.training.enhance import noises, rooms
from separation.training.enhance.dry import Music, Speech

FloatArray = npt.NDArray[np.float32]

RATE = 44_100
_LEAD_S = 1.0  # that is thrown away: a room is already sounding when the example begins
_SPEECH_SHARE = 0.55
_SOUNDFONTS = {"train": "fluid-r3", "held": "timgm6mb"}
# Of the sentences, in the order of their names: the others are for training.
_HELD_EACH = 8

# Below this a piece is taken for empty.
_LEAST_RMS = 1e-3


class Dry(Protocol):
    """Something that is heard without a room."""

    def example(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Return (n,) samples at RATE."""
        ...


class RoomMixer:
    """Makes sound in rooms: what is wanted, with 50 ms of early reflections, and what comes later.

    Parameters
    ----------
    split : str
        `train`, or `held`: sentences and a soundfont that no training example uses.
    dry : (speech, music), optional
        Instead of the split's own.

    Raises
    ------
    FileNotFoundError
        If there are no sentences in `training/speech` of the cache folder.
    """

    def __init__(self, split: sources.Role, *, dry: tuple[Dry, Dry] | None = None) -> None:
        self._speech, self._music = dry or (_speech(split), _music(split))

    def example(self, rng: np.random.Generator, n_samples: int) -> FloatArray:
        """Return (2, 2, n_samples), what is wanted and what is late; their sum is heard."""
        lead = round(_LEAD_S * RATE)
        wanted, late = self._in_room(rng, lead + n_samples)
        if rng.random() < 0.3:  # a noise that is neither to go nor to be taken for a room
            noise = noises.drawn(rng, wanted.shape[1], RATE) * _rms(wanted + late)
            wanted += noise * 10 ** (-rng.uniform(20, 50) / 20)
        stems = np.stack([wanted, late])[..., lead:]
        if rng.random() < 0.3:
            stems = _of_lower_rate(rng, stems)
        if rng.random() < 0.1:
            sides = rng.uniform(0, 1, 2) * rng.choice([1, 1, -1])
            stems = stems * np.array([sides[0], abs(sides[1])])[:, None]
        level = 10 ** (rng.uniform(-40, -12) / 20) / max(_rms(stems.sum(axis=0)), 1e-4)
        return (stems * level).astype(np.float32)

    def _in_room(self, rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        is_speech = rng.random() < _SPEECH_SHARE
        dry = self._dry(rng, n, is_speech=is_speech)[None]
        is_wide = rng.random() < 0.5
        if is_wide and not is_speech:
            second = self._dry(rng, n, is_speech=False)[None]
            dry = np.concatenate([dry + rng.uniform(0, 1) * second, second + 0.3 * dry])
        if rng.random() < 0.12:
            both = np.broadcast_to(dry, (2, n)).copy()
            return both, np.zeros_like(both)
        # One microphone, two of them in the room, or a recording that was put into a room later.
        n_places = 2 if is_wide and rng.random() < 0.7 else 1
        responses, early = rooms.drawn(rng, RATE, n_places)
        heard, wanted = (
            np.broadcast_to(signal.oaconvolve(dry, each, axes=1)[:, :n], (2, n))
            for each in (responses, early)
        )
        return wanted.astype(np.float32), (heard - wanted).astype(np.float32)

    def _dry(self, rng: np.random.Generator, n: int, *, is_speech: bool) -> FloatArray:
        source = self._speech if is_speech else self._music
        dry = source.example(rng, n)
        while _rms(dry[n // 5 :]) < _LEAST_RMS:
            dry = source.example(rng, n)
        for _ in range(rng.integers(0, 3)):  # as through some microphone
            pole = rng.uniform(-0.5, 0.5)
            dry = signal.lfilter([1 + pole, 0], [1, pole], dry)
        return np.asarray(dry / _rms(dry), np.float32)


def _speech(split: sources.Role) -> Speech:
    paths = sorted((sources.training_dir() / "speech").rglob("*.wav"))
    is_held = split == "held"
    return Speech([p for n, p in enumerate(paths) if (n % _HELD_EACH == 0) == is_held], RATE)


def _music(split: sources.Role) -> Music:
    fonts = {package.name: package for package in sources.packages("instruments")}
    folder = sources.fetch(fonts[_SOUNDFONTS[split]])
    return Music(next(folder.rglob("*.sf2")), RATE)


def _of_lower_rate(rng: np.random.Generator, stems: FloatArray) -> FloatArray:
    """Return samples as if they had been recorded at a rate of 7 to 32 kHz."""
    edge_hz = np.exp(rng.uniform(np.log(3500), np.log(16000)))
    low_pass = signal.butter(8, edge_hz, fs=RATE, output="sos")
    return np.asarray(signal.sosfilt(low_pass, stems), np.float32)


def _rms(samples: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(samples)) + 1e-12))
