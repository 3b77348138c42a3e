"""Mixtures of pitched instruments: what is left of songs without drums, bass and vocals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from separation.training import effects
from separation.training.effects import RATE
from separation.training.instruments import tracks
from separation.training.instruments.build import open_bank
from separation.training.instruments.noises import NOISES
from separation.training.instruments.programs import CLASSES
from separation.training.instruments.roster import Roster
from separation.training.instruments.song import draw_song

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from separation.training.effects import Sound
    from separation.training.instruments.bank import Bank
    from separation.training.instruments.song import Note, Song
    from separation.training.sources import Role

# How often each stem is among those that play; fx is drawn by itself.
_CHANCES = np.array([0.17, 0.22, 0.22, 0.11, 0.17, 0.16, 0.15, 0.13])
_N_STEMS = ((1, 2, 3, 4, 5), (0.25, 0.35, 0.25, 0.1, 0.05))


class InstrumentMixer:
    """Draws mixtures of the stems `classes`; each is new, and known exactly.

    Parameters
    ----------
    split : str
        "train", or "held": notes of a soundfont that no training example uses.
    bank : Bank, optional
        Notes to draw from instead.
    """

    classes = CLASSES

    def __init__(self, split: Role, bank: Bank | None = None) -> None:
        """Open the bank of the split; it is built first if it is not in the cache."""
        self._bank = bank or open_bank(split)
        self._roster = Roster(self._bank)

    def example(self, rng: np.random.Generator, n_samples: int) -> NDArray[np.float32]:
        """Draw an example, (classes, 2, n_samples) at 44.1 kHz; the stems add up to it.

        Most stems are silent in most examples.
        """
        song = draw_song(rng, n_samples / RATE)
        out = np.zeros((len(CLASSES), 2, n_samples), np.float32)
        shared: list[Note] = []
        for stem in self._drawn_stems(rng):
            for _ in range(2 if rng.random() < 0.12 else 1):
                patches = self._roster.draw(rng, stem)
                notes = shared if shared and rng.random() < 0.12 else []
                if notes:
                    notes = tracks.into_range(notes, patches[0])
                else:
                    notes = tracks.draw_notes(rng, song, patches[0])
                shared = shared or notes
                sound = tracks.record(rng, self._bank, patches, notes, song, n_samples)
                loud = effects.at_level(sound, float(rng.normal(-20, 4)))
                out[CLASSES.index(stem)] += loud
        alone = not out.any()
        if alone or rng.random() < 0.55:
            out[CLASSES.index("fx")] += self._rest(rng, song, n_samples, alone=alone)
        return at_peak(rng, out)

    def _drawn_stems(self, rng: np.random.Generator) -> list[str]:
        known = [self._roster.has(stem) for stem in CLASSES[:-1]]
        chances = _CHANCES * known
        count = min(int(rng.choice(_N_STEMS[0], p=_N_STEMS[1])), sum(known))
        if count == 0 or rng.random() < 0.02:
            return []
        drawn = rng.choice(len(chances), count, replace=False, p=chances / chances.sum())
        return [CLASSES[int(place)] for place in drawn]

    def _rest(self, rng: np.random.Generator, song: Song, n_samples: int, *, alone: bool) -> Sound:
        """Draw what belongs to no instrument: mallets, voices, hits, noise, faint leakage."""
        out = np.zeros((2, n_samples), np.float32)
        for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))):
            if self._roster.has("fx") and rng.random() < 0.6:
                patches = self._roster.draw(rng, "fx")
                notes = tracks.draw_notes(rng, song, patches[0])
                sound = tracks.record(rng, self._bank, patches, notes, song, n_samples)
                leaked = 14.0 if patches[0].kind.family in ("bass", "voice") else 0.0
            else:
                noise = NOISES[int(rng.integers(len(NOISES)))]
                sound = effects.place(rng, noise(rng, song, n_samples))
                sound = effects.room(rng, sound) if rng.random() < 0.3 else sound
                leaked = 10.0
            quiet = 0.0 if alone else leaked * float(rng.uniform(0.3, 1.5))
            out += effects.at_level(sound, float(rng.normal(-22, 4)) - quiet)
        return out


def at_peak(rng: np.random.Generator, stems: Sound) -> Sound:
    """Scale all stems alike, so that the mixture peaks where a master or a quiet part does."""
    peak = float(np.abs(stems.sum(axis=0)).max())
    if peak == 0.0:
        return stems
    wanted = 10 ** (-float(rng.exponential(6.0)) / 20) * 0.98
    return np.asarray(stems * np.float32(wanted / peak), np.float32)
