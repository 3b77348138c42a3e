"""Which true stems follow from what is known of a song.

A song is given in pieces: `brass`, `electric_guitar`, `lead_male` … A stem is the sum of the
pieces that belong to it, if each piece is known to belong to it as a whole or not at all.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.songs import FloatArray
from separation import catalog

# Of the energy of the whole: a stem with less is not there to be found, 50 dB below all.
_HEARD = 1e-5

# Stems that are told apart by another question than the rest of the tree: the same voice is in
# front and male. Each is a part of its parent, by one answer to one question.
_ANSWERS = {
    "lead_vocals": {"place": "lead"},
    "backing_vocals": {"place": "backing"},
    "male_vocals": {"voice": "male"},
    "female_vocals": {"voice": "female"},
    "rhythm_guitar": {"role": "rhythm"},
    "lead_guitar": {"role": "lead"},
}
# Pieces that are finer than the stems.
_VOICES = {
    f"{place}_{voice}": {"place": place, "voice": voice}
    for place in ("lead", "backing")
    for voice in ("male", "female")
}


@dataclass(frozen=True, slots=True)
class _Extent:
    """What a stem or piece covers: leaves of the tree, narrowed by answers to questions."""

    leaves: frozenset[str]
    answers: Mapping[str, str] = field(default_factory=dict)

    def belongs_to(self, other: _Extent) -> bool | None:
        """Say whether this is a part of another one; None if it may be, or some of it may."""
        if not self.leaves & other.leaves:
            return False
        if any(other.answers.get(key, value) != value for key, value in self.answers.items()):
            return False
        is_inside = self.leaves <= other.leaves and other.answers.items() <= self.answers.items()
        return True if is_inside else None


@dataclass(frozen=True, slots=True)
class Case:
    """One song in pieces, (2, n) float32 each at 44.1 kHz; those that it lacks are silent.

    `whole` is the stem that they add up to; empty if that is a recording.
    """

    name: str
    pieces: Mapping[str, FloatArray]
    whole: str = ""

    @property
    def mixture(self) -> FloatArray:
        """The sum of all pieces, (2, n)."""
        return _sum(self.pieces.values())

    @property
    def n_samples(self) -> int:
        return int(next(iter(self.pieces.values())).shape[1])


def belonging(pieces: Sequence[str], stem: str) -> frozenset[str] | None:
    """Return the names of the pieces that make a stem; None if that is not known.

    Raises
    ------
    UnknownStem
        If the catalogue has no such stem or piece.
    """
    extent = _extent(stem)
    belongs = {piece: _piece(piece).belongs_to(extent) for piece in pieces}
    if None in belongs.values():
        return None
    return frozenset(piece for piece, is_inside in belongs.items() if is_inside)


def true_stem(case: Case, stem: str) -> FloatArray | None:
    """Return a stem as it went into a song, (2, n); None if it is not known or not heard."""
    names = belonging(list(case.pieces), stem)
    if not names:
        return None
    total = _sum(case.pieces[name] for name in sorted(names))
    is_heard = _energy(total) > _HEARD * _energy(case.mixture)
    return total if is_heard else None


def _sum(parts: Iterable[FloatArray]) -> FloatArray:
    return np.asarray(np.sum(list(parts), axis=0), np.float32)


def _energy(samples: FloatArray) -> float:
    return float(np.einsum("cn,cn->", samples, samples, dtype=np.float64))


def _piece(name: str) -> _Extent:
    if name in _VOICES:
        return _Extent(_extent("vocals").leaves, _VOICES[name])
    return _extent(name)


@functools.cache
def _extent(stem: str) -> _Extent:
    """Return what a stem of the catalogue covers."""
    if stem == "accompaniment":
        stem = "instrumental"  # the same part of a recording, found in another way
    entry = catalog.stem(stem)
    if stem in _ANSWERS:
        parent = _extent(entry.parent)
        return _Extent(parent.leaves, {**parent.answers, **_ANSWERS[stem]})
    if entry.plus:
        return _Extent(_leaves(entry.plus))
    if entry.minus:
        of = _extent(entry.parent).leaves if entry.parent else _leaves(_roots())
        return _Extent(of - _leaves(entry.minus))
    children = [
        child.name
        for child in catalog.stems()
        if child.parent == stem and not child.is_derived and child.name not in _ANSWERS
    ]
    return _Extent(_leaves(children) if children else frozenset({stem}))


def _leaves(stems: Sequence[str]) -> frozenset[str]:
    return frozenset[str]().union(*(_extent(name).leaves for name in stems))


def _roots() -> list[str]:
    """Return the stems that a recording consists of."""
    listed = [stem for stem in catalog.stems() if not stem.parent and not stem.is_derived]
    return [stem.name for stem in listed if stem.name != "accompaniment"]
