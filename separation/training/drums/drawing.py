"""Kits drawn from the bank: which sound each voice has, and how it is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from separation.training.drums import colour
from separation.training.drums.bank import Bank, Sound
from separation.training.drums.kits import CLASSES, VOICES
from separation.training.drums.recorded import FloatArray
from separation.training.drums.synthesis import SYNTHESIZED

# What a voice is made of where a kit lacks it: other voices of the same stem, and semitones.
_INSTEAD: Mapping[str, tuple[tuple[str, float], ...]] = {
    "rimshot": (("snare", 1.0),),
    "sidestick": (("rimshot", 5.0), ("snare", 5.0)),
    "tom_high": (("tom_mid", 3.0), ("tom_low", 6.0)),
    "tom_mid": (("tom_low", 3.0), ("tom_high", -3.0)),
    "tom_low": (("tom_mid", -3.0), ("tom_high", -6.0)),
    "hat_half": (("hat_open", 0.0), ("hat_closed", 0.0)),
    "hat_open": (("hat_half", 0.0), ("hat_closed", 0.0)),
    "hat_pedal": (("hat_closed", -1.0), ("hat_half", -1.0)),
    "hat_closed": (("hat_half", 0.0), ("hat_pedal", 1.0), ("hat_open", 0.0)),
    "ride_bell": (("ride", 2.0),),
    "ride": (("ride_bell", -2.0),),
    "splash": (("crash", 4.0), ("china", 4.0)),
    "china": (("crash", -1.0), ("splash", -5.0)),
    "crash": (("china", 0.0), ("splash", -4.0)),
}
# Decibels that the stems have beside each other: mean and spread.
_LEVELS_DB: Mapping[str, tuple[float, float]] = {
    "kick": (0.0, 3.5),
    "snare": (0.0, 3.5),
    "toms": (-1.0, 4.0),
    "hihat": (-8.0, 5.0),
    "ride": (-6.0, 5.0),
    "crash": (-1.0, 4.5),
    "percussion": (-6.0, 5.0),
}
_FADES_S = {"kick": 0.15, "snare": 0.12, "toms": 0.3, "hihat": 0.15, "ride": 0.8, "crash": 0.8}
_CURVES_DB = {"kick": 4.0, "snare": 4.0, "toms": 4.0}
# Voices whose next stroke ends the one before: there is one pair of hi-hats.
CHOKED = frozenset({"hat_closed", "hat_half", "hat_open", "hat_pedal"})


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of a drawn kit: its sounds from soft to hard, (2, n) each."""

    stem: str
    takes: tuple[FloatArray, ...]
    curve: float

    def stroke(self, strength: float) -> tuple[FloatArray, np.float32]:
        """Return the sound and the gain of a stroke of this strength (0 to 1)."""
        index = min(int(strength * len(self.takes)), len(self.takes) - 1)
        return self.takes[index], np.float32(strength**self.curve)


class Kit:
    """Draws the voices of one kit as they are asked for.

    Parameters
    ----------
    rng : numpy Generator
    bank : Bank
    name : str, optional
        Of the only kit whose sounds may be used, where it has the stem; percussion may come from
        anywhere.
    variety : float
        How far sounds are changed: 1 for training, less where a kit itself is to be measured.
    """

    def __init__(
        self, rng: np.random.Generator, bank: Bank, name: str | None = None, variety: float = 1.0
    ) -> None:
        self._rng, self._bank, self._variety = rng, bank, variety
        self._sounds = {stem: _of_one_kit(rng, _candidates(bank, stem, name)) for stem in CLASSES}
        self._room = colour.Room.drawn(rng) if rng.random() < 0.75 else None
        self._wet = float(np.exp(rng.uniform(*np.log((0.03, 0.7)))))
        self._bus = colour.Curve.drawn(rng, 2.0 * variety)
        if rng.random() < 0.25 * variety:
            # An old tape, a small microphone, a strongly compressed file.
            cut = ("cut", float(rng.uniform(7000, 18_000)), 0.0, 0.7)
            self._bus = colour.Curve((*self._bus.filters, cut))
        spread = np.sqrt(variety)
        self._gains_db = {
            stem: mean + spread * rng.normal(0, width) for stem, (mean, width) in _LEVELS_DB.items()
        }
        self._side = 1.0 if rng.random() < 0.5 else -1.0
        self._width = float(rng.uniform(0, 1))

    def voice(self, name: str) -> Voice | None:
        """Draw a voice; None where the kit has nothing for its stem."""
        stem, rng = VOICES[name], self._rng
        found = _choose(rng, self._sounds[stem], name)
        if found is None:
            return None
        sound, semitones = found
        semitones += float(np.clip(rng.normal(0, 1.5), -4, 4)) * self._variety
        takes = self._takes(sound, name)
        curve = colour.Curve(
            self._bus.filters
            + colour.Curve.drawn(rng, _CURVES_DB.get(stem, 3.0) * self._variety).filters
        )
        wet = self._wet * float(rng.uniform(0.3, 1.0)) * (0.3 if stem == "kick" else 1.0)
        place = self._place(name) * np.float32(10 ** (self._gains_db[stem] / 20))
        placed = []
        for take in takes:
            made = colour.shaped(take, semitones=semitones, curve=curve, room=self._room, wet=wet)
            placed.append(made * place)
        if len(placed) == 1:
            pole = float(rng.uniform(0.15, 0.6))
            placed.insert(0, colour.softened(placed[0], pole))
        return Voice(stem, tuple(placed), float(rng.uniform(1.1, 2.0)))

    def _takes(self, sound: Sound, name: str) -> list[FloatArray]:
        """Read up to three strengths of a sound and change what is not linear about them."""
        rng, stem = self._rng, VOICES[name]
        chosen = sorted({0, len(sound.layers) // 2, len(sound.layers) - 1})
        takes = [self._bank.layer(sound, index) for index in chosen]
        if self._variety == 1.0 and stem in ("kick", "snare", "percussion") and rng.random() < 0.2:
            takes = [self._layered(take, stem) for take in takes]
        tau_s = float(_FADES_S.get(stem, 0.3) * np.exp(rng.normal(0, 0.6)))
        is_faded = rng.random() < 0.35 * self._variety
        attack = float(rng.uniform(-0.5, 1.5)) if rng.random() < 0.4 * self._variety else 0.0
        drive = float(rng.uniform(0.8, 4)) if rng.random() < 0.2 * self._variety else 0.0
        width = float(rng.uniform(0, 1.2)) if rng.random() < 0.7 else 0.0
        if name in ("hat_closed", "hat_pedal") and sound.voice in ("hat_open", "hat_half"):
            is_faded, tau_s = True, float(rng.uniform(0.02, 0.06))
        changed = []
        for take in takes:
            if is_faded:
                take = colour.faded(rng, take, tau_s)
            if attack:
                take = colour.struck(take, attack, float(rng.uniform(0.003, 0.03)))
            if drive:
                take = colour.driven(take, drive)
            side = (take[:1] - take[1:]) * np.float32(0.5 * width)
            middle = (take[:1] + take[1:]) * np.float32(0.5)
            changed.append(np.concatenate([middle + side, middle - side]))
        return changed

    def _layered(self, take: FloatArray, stem: str) -> FloatArray:
        """Put another sound of the same stem below, as producers do."""
        same = [sound for sound in self._bank.sounds if sound.stem == stem]
        other = same[int(self._rng.integers(len(same)))]
        second = self._bank.layer(other, len(other.layers) - 1, take.shape[1])
        mixed = take.copy()
        mixed[:, : second.shape[1]] += second * np.float32(self._rng.uniform(0.2, 0.9))
        return mixed

    def _place(self, name: str) -> FloatArray:
        """Return the gains of left and right, (2, 1): where it stands in the picture."""
        at = {
            **{"kick": 0.0, "snare": 0.1, "rimshot": 0.1, "sidestick": 0.1},
            **{"tom_high": 0.3, "tom_mid": -0.2, "tom_low": -0.6},
            **{"ride": -0.5, "ride_bell": -0.5, "china": -0.7, "splash": 0.2},
        }.get(name, 0.5)
        if VOICES[name] == "percussion" or name == "crash":
            at = float(self._rng.uniform(-0.9, 0.9))
        pan = np.clip(self._side * self._width * at + self._rng.normal(0, 0.08), -1, 1)
        angle = (pan + 1) * np.pi / 4
        gains = np.array([[np.cos(angle)], [np.sin(angle)]], np.float32)
        return gains * np.float32(np.sqrt(2))


def _candidates(bank: Bank, stem: str, kit: str | None) -> list[Sound]:
    found = [sound for sound in bank.sounds if sound.stem == stem]
    if kit is None:
        return found
    own = [sound for sound in found if sound.kit == kit]
    return found if stem == "percussion" and not own else own


def _of_one_kit(rng: np.random.Generator, sounds: list[Sound]) -> list[Sound]:
    """Keep the sounds of one kit, drawn by how many it has; sometimes all of them."""
    if not sounds or sounds[0].stem == "percussion":
        return sounds
    made = [sound for sound in sounds if sound.kit.startswith(SYNTHESIZED)]
    heard = [sound for sound in sounds if not sound.kit.startswith(SYNTHESIZED)]
    pool = made if made and (not heard or rng.random() < 0.5) else heard
    if rng.random() < 0.2:
        return pool
    kit = pool[int(rng.integers(len(pool)))].kit
    return [sound for sound in pool if sound.kit == kit]


def _choose(
    rng: np.random.Generator, sounds: list[Sound], voice: str
) -> tuple[Sound, float] | None:
    for name, semitones in ((voice, 0.0), *_INSTEAD.get(voice, ())):
        own = [sound for sound in sounds if sound.voice == name]
        if own:
            return own[int(rng.integers(len(own)))], semitones
    if not sounds:
        return None
    return sounds[int(rng.integers(len(sounds)))], 0.0
