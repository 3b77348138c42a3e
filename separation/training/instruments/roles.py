"""Mixtures of guitars that accompany and guitars that lead."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from separation.training import effects
from separation.training.effects import RATE
from separation.training.instruments import parts, tracks
from separation.training.instruments.build import open_bank
from separation.training.instruments.mixer import at_peak
from separation.training.instruments.roster import Roster
from separation.training.instruments.song import draw_song

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from separation.training.effects import Sound
    from separation.training.instruments.bank import Bank, Patch
    from separation.training.instruments.song import Note, Song
    from separation.training.sources import Role

_RHYTHM = (
    (parts.strummed, 4),
    (parts.sixteenths, 4),
    (parts.power_chords, 3),
    (parts.arpeggios, 3),
    (parts.repeated, 2),
    (parts.held_chords, 1),
)
_LEAD = ((parts.solo, 6), (parts.melody, 4), (parts.riff, 1))
# A lead guitar plays above this key.
_LEAD_LOW = 52


class GuitarRolesMixer:
    """Draws mixtures of rhythm and lead guitar; interface as of `InstrumentMixer`."""

    classes = ("rhythm_guitar", "lead_guitar")

    def __init__(self, split: Role, bank: Bank | None = None) -> None:
        """Open the bank of the split; it is built first if it is not in the cache."""
        self._bank = bank or open_bank(split)
        self._roster = Roster(self._bank)

    def example(self, rng: np.random.Generator, n_samples: int) -> NDArray[np.float32]:
        """Draw an example, (classes, 2, n_samples) at 44.1 kHz; the stems add up to it."""
        song = draw_song(rng, n_samples / RATE)
        out = np.zeros((2, 2, n_samples), np.float32)
        alone = rng.random()
        if alone > 0.12:
            for _ in range(int(rng.choice([1, 2], p=[0.7, 0.3]))):
                out[0] += self._guitar(rng, song, n_samples, lead=False)
        if alone < 0.8:
            for _ in range(int(rng.choice([1, 2], p=[0.88, 0.12]))):
                out[1] += self._guitar(rng, song, n_samples, lead=True)
        return at_peak(rng, out)

    def _guitar(self, rng: np.random.Generator, song: Song, n_samples: int, *, lead: bool) -> Sound:
        patches = self._drawn(rng, lead=lead)
        notes = self._notes(rng, song, patches[0], lead=lead)
        sound = tracks.record(rng, self._bank, patches, notes, song, n_samples)
        if lead and rng.random() < 0.5:
            # Most solos stand near the middle, whatever their echo does.
            sound = effects.widen(sound, float(rng.uniform(0.1, 0.6)))
        return effects.at_level(sound, float(rng.normal(-19 if lead else -21, 4)))

    def _drawn(self, rng: np.random.Generator, *, lead: bool) -> list[Patch]:
        stems = ("electric_guitar", "acoustic_guitar")
        known = [stem for stem in stems if self._roster.has(stem)]
        first = rng.random() < (0.85 if lead else 0.65)
        return self._roster.draw(rng, known[0] if first else known[-1])

    def _notes(
        self, rng: np.random.Generator, song: Song, patch: Patch, *, lead: bool
    ) -> list[Note]:
        if not lead:
            return tracks.draw_notes(rng, song, patch, _RHYTHM)
        kind = replace(patch.kind, low=max(patch.kind.low, _LEAD_LOW))
        notes = tracks.draw_notes(rng, song, replace(patch, kind=kind), _LEAD)
        if rng.random() < 0.15:
            # A second voice in thirds or octaves, as twin leads and octave solos have it.
            above = int(rng.choice([3, 4, 12]))
            notes += [replace(n, key=n.key + above) for n in notes if n.key + above <= kind.high]
        return notes
