"""Who may play: the patches of a bank by stem and family, drawn with variety in mind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from separation.training.instruments.bank import Bank, Patch

# How often a family is drawn among those of its stem; 1 where it is not named.
_WEIGHTS = {
    "small": 0.35,
    "clean": 3.0,
    "driven": 1.2,
    "muted": 0.5,
    "grand": 2.5,
    "epiano": 1.5,
    "harpsichord": 0.3,
    "organ": 3.0,
    "lead": 2.5,
    "pad": 2.5,
    "section": 2.0,
    "solo": 2.0,
    "pizzicato": 0.5,
    "harp": 0.4,
    "trumpet": 3.0,
    "trombone": 2.0,
    "tuba": 0.3,
    "sax": 3.0,
    "flute": 1.6,
    "harmonica": 0.4,
    "noise": 0.5,
    "bass": 0.8,
}
# Where patches come from, by the beginning of their names: synthesized, recorded note by note,
# or out of a soundfont (many, but often the same samples under several programs).
_ORIGINS = {"own-": 0.45, "tonejs-": 0.2, "": 0.35}


class Roster:
    """The patches of a bank, sorted for drawing."""

    def __init__(self, bank: Bank) -> None:
        """Sort the patches of a bank."""
        self._found: dict[str, dict[str, dict[str, list[Patch]]]] = {}
        for patch in bank.patches:
            families = self._found.setdefault(patch.kind.stem, {})
            origins = families.setdefault(patch.kind.family, {})
            origins.setdefault(_origin(patch.name), []).append(patch)

    def has(self, stem: str) -> bool:
        """Say whether there is a patch of a stem."""
        return stem in self._found

    def draw(self, rng: np.random.Generator, stem: str) -> list[Patch]:
        """Draw one to three patches of one family: who plays, and who joins in a section."""
        families = self._found[stem]
        family = _drawn(rng, {name: _WEIGHTS.get(name, 1.0) for name in families})
        return [self._one(rng, families[family]) for _ in range(int(rng.integers(1, 4)))]

    def _one(self, rng: np.random.Generator, origins: dict[str, list[Patch]]) -> Patch:
        origin = _drawn(rng, {name: _ORIGINS[name] for name in origins})
        patches = origins[origin]
        return patches[int(rng.integers(len(patches)))]


def _origin(name: str) -> str:
    return next(begin for begin in _ORIGINS if name.startswith(begin))


def _drawn(rng: np.random.Generator, weights: dict[str, float]) -> str:
    chances = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(weights), p=chances / chances.sum()))]
