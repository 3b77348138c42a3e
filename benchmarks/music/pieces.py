"""Pieces of which it is known at which tempo, in which key and with which notes they are played."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.music.sounds import DRUMS, INSTRUMENTS, Canvas, FloatArray, tone

TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


class PlayedNote(NamedTuple):
    pitch: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Piece:
    name: str
    samples: FloatArray
    bpm: float | None = None
    key: tuple[str, str] | None = None
    notes: tuple[PlayedNote, ...] = ()
    beats_s: tuple[float, ...] = ()


# What is played when, in beats of a bar: (drum, beats, level).
Pattern = tuple[int, tuple[tuple[str, tuple[float, ...], float], ...]]

TUNING_PATTERNS: dict[str, Pattern] = {
    "clicks": (1, (("click", (0,), 1.0),)),
    "rock": (
        4,
        (
            ("kick", (0, 2), 1.0),
            ("snare", (1, 3), 0.8),
            ("hat", tuple(n / 2 for n in range(8)), 0.3),
        ),
    ),
    "house": (4, (("kick", (0, 1, 2, 3), 1.0), ("hat", (0.5, 1.5, 2.5, 3.5), 0.5))),
}
PATTERNS: dict[str, Pattern] = {
    "clicks": (1, (("click", (0,), 1.0),)),
    "pop": (
        4,
        (
            ("kick", (0, 2, 2.5), 1.0),
            ("snare", (1, 3), 0.9),
            ("hat", tuple(n / 2 for n in range(8)), 0.4),
        ),
    ),
    "funk": (
        4,
        (
            ("kick", (0, 0.75, 2.5), 1.0),
            ("snare", (1, 3, 3.75), 0.8),
            ("hat", tuple(n / 4 for n in range(16)), 0.3),
        ),
    ),
    "shuffle": (
        4,
        (
            ("kick", (0, 2), 1.0),
            ("snare", (1, 3), 0.8),
            ("hat", tuple(n + part for n in range(4) for part in (0, 2 / 3)), 0.4),
        ),
    ),
    "waltz": (3, (("kick", (0,), 1.0), ("hat", (1, 2), 0.6))),
}

# Chords by the degree of the scale.
TUNING_PROGRESSIONS = {"major": ((0, 3, 4, 0), (0, 5, 3, 4)), "minor": ((0, 3, 4, 0), (0, 5, 2, 6))}
PROGRESSIONS = {
    "major": ((0, 4, 5, 3), (1, 4, 0, 5), (0, 1, 3, 4, 0, 2, 3, 0)),
    "minor": ((0, 6, 5, 6), (0, 3, 6, 2, 5, 1, 4, 0), (0, 2, 3, 4)),
}


def rhythm(
    name: str,
    pattern: Pattern,
    bpm: float,
    *,
    seed: int,
    seconds: float = 30,
    with_chords: bool = False,
) -> Piece:
    """Drums, played by somebody who is up to eight milliseconds off; with a bass and chords."""
    random = np.random.default_rng(seed)
    canvas = Canvas(seconds)
    n_beats, parts = pattern
    beat_s = 60 / bpm
    start_s = float(random.uniform(0.1, 0.6))
    n_bars = int((seconds - start_s) / (n_beats * beat_s)) + 1
    for bar in range(n_bars):
        for drum, beats, level in parts:
            for beat in beats:
                at_s = start_s + (bar * n_beats + beat) * beat_s + random.normal(0, 0.004)
                loud = level * random.uniform(0.85, 1.0)
                canvas.put(DRUMS[drum](random), max(0.0, at_s), loud)
        if with_chords:
            _bar_of_chords(canvas, random, start_s + bar * n_beats * beat_s, n_beats, beat_s, bar)
    beats_s = tuple(float(at_s) for at_s in np.arange(start_s, seconds, beat_s))
    return Piece(f"{name} {bpm:g}", canvas.finished(random), bpm=bpm, beats_s=beats_s)


def _bar_of_chords(
    canvas: Canvas, random: np.random.Generator, at_s: float, n_beats: int, beat_s: float, bar: int
) -> None:
    root = 45 + (0, 5, 7, 3)[bar % 4]
    for pitch in (root + 12, root + 15, root + 19):
        sound = tone(INSTRUMENTS["organ"], pitch, n_beats * beat_s - 0.1, random)
        canvas.put(sound, at_s, 0.25)
    for beat in range(n_beats):
        sound = tone(INSTRUMENTS["guitar"], root, beat_s * 0.8, random)
        canvas.put(sound, at_s + beat * beat_s, 0.5)


def song(
    tonic: int,
    scale: str,
    progression: tuple[int, ...],
    instrument: str,
    *,
    seed: int,
    seconds: float = 30,
) -> Piece:
    """Chords, their bass, and a tune of the scale above; 40 cents out of tune at most."""
    random = np.random.default_rng(seed)
    canvas = Canvas(seconds)
    steps = SCALES[scale]
    out_of_tune = float(random.uniform(-0.15, 0.15))
    chord_s = float(random.uniform(1.2, 2.2))
    played = INSTRUMENTS[instrument]
    for number in range(int(seconds / chord_s) + 1):
        degree = progression[number % len(progression)]
        at_s = number * chord_s
        for third in (0, 2, 4):
            pitch = 48 + tonic + _pitch(steps, degree + third) + out_of_tune
            # The fifth of a minor key is a major chord.
            pitch += scale == "minor" and degree == 4 and third == 2
            canvas.put(tone(played, pitch, chord_s * 0.95, random), at_s, 0.4)
        bass = 36 + tonic + _pitch(steps, degree) % 12 + out_of_tune
        canvas.put(tone(INSTRUMENTS["guitar"], bass, chord_s * 0.9, random), at_s, 0.6)
        for half in range(4):
            third = int(random.choice([0, 2, 4, 1, 6]))
            pitch = 60 + tonic + _pitch(steps, degree + third) + out_of_tune
            sound = tone(played, pitch, chord_s / 4 * 0.9, random)
            canvas.put(sound, at_s + half * chord_s / 4, 0.35)
    name = f"{instrument} {TONICS[tonic]} {scale}"
    return Piece(name, canvas.finished(random), key=(TONICS[tonic], scale))


def _pitch(steps: tuple[int, ...], degree: int) -> int:
    octave, within = divmod(degree, len(steps))
    return 12 * octave + steps[within]


def tune(instrument: str, *, seed: int, voices: int = 1, seconds: float = 30) -> Piece:
    """Voices that walk up and down a scale, each note as long as it likes."""
    random = np.random.default_rng(seed)
    canvas = Canvas(seconds)
    steps = SCALES["major"]
    played: list[PlayedNote] = []
    for voice in range(voices):
        at_s, degree = 0.3, int(random.integers(0, 7)) + 7 * voice
        while True:
            length_s = float(random.choice([0.25, 0.375, 0.5, 0.75, 1.0]))
            if at_s + length_s > seconds - 0.5:
                break
            pitch = 48 + _pitch(steps, degree)
            # Two voices on one key at once would be one note.
            if all(n.pitch != pitch or n.end_s + 0.1 < at_s for n in played):
                sound = tone(INSTRUMENTS[instrument], pitch, length_s * 0.9, random)
                canvas.put(sound, at_s, float(random.uniform(0.25, 0.5)))
                played.append(PlayedNote(pitch, at_s, at_s + length_s * 0.9))
            at_s += length_s
            degree = int(np.clip(degree + random.integers(-3, 4), 7 * voice - 2, 7 * voice + 9))
    kind = "one voice" if voices == 1 else f"{voices} voices"
    return Piece(f"{instrument}, {kind}", canvas.finished(random), notes=tuple(played))
