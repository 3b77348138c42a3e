"""Melodies, syllables and harmonies that are made up, for voices to sing together.

A score is one line of a song: some seconds of syllables over a melody in a key. All parts of it
share words and rhythm; a harmony is the melody some steps of the scale away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from separation.training.voices.singer import Syllable

_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10))
_ONSETS = (
    *("", "", "", "l", "l", "m", "n", "h", "w", "j", "ɹ", "s", "t", "k", "b", "d", "f", "p", "ɡ"),
    *("v", "ð", "ʃ", "z", "θ", "st", "tɹ", "pl", "fl", "sl", "bl", "kɹ", "ɡɹ", "dɹ"),
)
_VOWELS = "AIOWiuɑæɔəɛɪʊʌ"
_CODAS = (
    *("", "", "", "", "", "n", "n", "m", "ŋ", "l", "ɹ", "t", "d", "s", "z", "k", "v"),
    *("nd", "st", "nt", "lz"),
)
_HELD_ONSETS = ("", "", "h", "l", "m", "n", "w", "d", "b")
_HELD_VOWELS = "uɑOɔiA"
_LENGTHS_BEATS = (0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.5, 2.0)
_LONGEST_S = 9.0


@dataclass(frozen=True, slots=True)
class Note:
    """One syllable of a score; `degrees` are steps of the scale, with their offsets."""

    onset: str
    vowel: str
    coda: str
    start_s: float
    length_s: float
    degrees: tuple[tuple[float, int], ...]
    ends_word: bool


@dataclass(frozen=True, slots=True)
class Score:
    """One line; `root` is the MIDI pitch of degree 0, `scale` its seven steps in semitones."""

    notes: tuple[Note, ...]
    root: int
    scale: tuple[int, ...]

    def part(self, steps: int, octave: int, bend: Sequence[float] = ()) -> tuple[Syllable, ...]:
        """Return the syllables of one part: the melody moved by steps of the scale and octaves.

        `bend` moves each syllable's start (seconds), as no two singers begin together; missing
        ones are 0.
        """
        late = [*bend, *([0.0] * (len(self.notes) - len(bend)))]
        return tuple(
            Syllable(
                note.onset,
                note.vowel,
                note.coda,
                note.start_s + shift,
                note.length_s,
                tuple(
                    (at, self.pitch(degree + steps) + 12 * octave) for at, degree in note.degrees
                ),
                note.ends_word,
            )
            for note, shift in zip(self.notes, late, strict=True)
        )

    def another_tune(self, rng: np.random.Generator) -> Score:
        """Return a score with the same words and rhythm, and another melody in another key."""
        degree = int(rng.integers(-1, 6))
        notes: list[Note] = []
        for note in self.notes:
            degrees: list[tuple[float, int]] = []
            for at, _ in note.degrees:
                degree = _step(rng, degree)
                degrees.append((at, degree))
            notes.append(replace(note, degrees=tuple(degrees)))
        return Score(tuple(notes), int(rng.integers(54, 66)), _scale(rng))

    def pitch(self, degree: int) -> int:
        """Return the MIDI pitch of a degree, in any octave."""
        octave, step = divmod(degree, len(self.scale))
        return self.root + 12 * octave + self.scale[step]

    @property
    def middle(self) -> float:
        """The mean of the melody's pitches, each note counted once."""
        return float(
            np.mean([self.pitch(degree) for note in self.notes for _, degree in note.degrees])
        )


def sung_line(rng: np.random.Generator) -> Score:
    """Return a line with words: 5 to 9 s, mostly stepwise, its last note held."""
    beat_s = 60 / rng.uniform(66, 150)
    notes: list[Note] = []
    at, degree = 0.5, int(rng.integers(-1, 6))
    until = rng.uniform(4.5, _LONGEST_S - 2.0)
    while at < until:
        length = max(float(rng.choice(_LENGTHS_BEATS)) * beat_s, 0.2)
        degree = _step(rng, degree)
        degrees = [(0.0, degree)]
        if length > 0.6 and rng.random() < 0.25:  # a vowel over several notes
            for index in range(1, int(rng.integers(2, 4))):
                degree = _step(rng, degree)
                degrees.append((index * 0.3 * length, degree))
        notes.append(_syllable(rng, at, length, tuple(degrees)))
        at += length
        if rng.random() < 0.1:
            at += beat_s  # a breath
    held = min(rng.uniform(1.5, 3.5) * beat_s, _LONGEST_S - at)
    notes.append(_syllable(rng, at, max(held, 0.4), ((0.0, _step(rng, degree)),), held=True))
    return Score(tuple(notes), int(rng.integers(54, 66)), _scale(rng))


def held_line(rng: np.random.Generator) -> Score:
    """Return what a choir holds behind a singer: a few long vowels, one and the same all along."""
    vowel, onset = str(rng.choice(list(_HELD_VOWELS))), str(rng.choice(_HELD_ONSETS))
    notes: list[Note] = []
    at, degree, length = 0.5, int(rng.integers(0, 5)), rng.uniform(0.7, 2.4)
    while at + length < _LONGEST_S:
        notes.append(Note(onset, vowel, "", at, length, ((0.0, degree),), rng.random() < 0.2))
        at += length
        degree = _step(rng, degree)
    return Score(tuple(notes), int(rng.integers(54, 66)), _scale(rng))


def _step(rng: np.random.Generator, degree: int) -> int:
    """Return the next degree: near by, drawn back to the middle."""
    move = int(rng.choice([-4, -3, -2, -2, -1, -1, -1, 0, 0, 1, 1, 1, 2, 2, 3, 4]))
    if abs(degree + move - 3) > 5:
        move = -move
    return degree + move


def _scale(rng: np.random.Generator) -> tuple[int, ...]:
    return _SCALES[int(rng.integers(len(_SCALES)))]


def _syllable(
    rng: np.random.Generator,
    at: float,
    length: float,
    degrees: tuple[tuple[float, int], ...],
    *,
    held: bool = False,
) -> Note:
    onset = str(rng.choice(_ONSETS))
    vowel = str(rng.choice(list(_VOWELS)))
    coda = "" if held and rng.random() < 0.5 else str(rng.choice(_CODAS))
    return Note(onset, vowel, coda, at, length, degrees, rng.random() < 0.45)
