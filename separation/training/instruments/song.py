"""What all parts of one example have in common: tempo, key, chords, and the notes they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

_SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "blues": (0, 3, 5, 6, 7, 10),
}
# Progressions of common practice, in semitones above the tonic and the quality of each chord.
_PROGRESSIONS: dict[str, tuple[tuple[tuple[int, str], ...], ...]] = {
    "major": (
        ((0, "maj"), (7, "maj"), (9, "min"), (5, "maj")),
        ((9, "min"), (5, "maj"), (0, "maj"), (7, "maj")),
        ((0, "maj"), (9, "min"), (5, "maj"), (7, "maj")),
        ((0, "maj"), (5, "maj")),
        ((2, "min7"), (7, "dom"), (0, "maj7"), (0, "maj7")),
        ((0, "maj7"), (9, "min7"), (2, "min7"), (7, "dom")),
        ((5, "maj7"), (4, "min7"), (2, "min7"), (0, "maj7")),
        ((0, "maj"), (4, "min"), (5, "maj"), (5, "min")),
    ),
    "minor": (
        ((0, "min"), (8, "maj"), (3, "maj"), (10, "maj")),
        ((0, "min"), (10, "maj"), (8, "maj"), (7, "maj")),
        ((0, "min"), (5, "min"), (0, "min"), (7, "dom")),
        ((0, "min7"), (5, "min7")),
        ((2, "dim"), (7, "dom"), (0, "min7"), (0, "min7")),
        ((0, "five"), (8, "five"), (10, "five"), (0, "five")),
    ),
    "dorian": (
        ((0, "min7"),),
        ((0, "min9"), (5, "nine")),
        ((0, "min7"), (5, "dom")),
        ((0, "min9"), (0, "min9"), (2, "min7"), (5, "nine")),
    ),
    "mixolydian": (
        ((0, "nine"),),
        ((0, "dom"), (10, "maj"), (5, "maj"), (0, "dom")),
        ((0, "five"), (10, "five"), (5, "five"), (0, "five")),
        ((0, "maj"), (10, "maj")),
    ),
    "blues": (
        ((0, "dom"), (0, "dom"), (5, "dom"), (0, "dom")),
        ((5, "dom"), (0, "dom"), (7, "dom"), (0, "dom")),
        ((0, "seven_sharp_nine"),),
    ),
}
_QUALITIES = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "dom": (0, 4, 7, 10),
    "nine": (0, 4, 7, 10, 14),
    "min9": (0, 3, 7, 10, 14),
    "five": (0, 7),
    "sus": (0, 5, 7),
    "seven_sharp_nine": (0, 4, 10, 15),
}


@dataclass(frozen=True, slots=True)
class Note:
    """One note of a part.

    Attributes
    ----------
    start_s, seconds : float
        When it begins (before 0: it sounds already) and how long it is held.
    key : float
        Its pitch in MIDI keys.
    velocity : float
        How hard it is played, 0 to 1.
    bend : float
        Semitones by which it begins beside its pitch, to glide there.
    vibrato : float
        Depth of the vibrato, in semitones.
    fall : float
        Semitones by which it falls away at its end.
    muted : bool
        Whether the string is stopped at once: a short thud.
    """

    start_s: float
    seconds: float
    key: float
    velocity: float
    bend: float = 0.0
    vibrato: float = 0.0
    fall: float = 0.0
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord: when it sounds, in beats, and its pitch classes from the root upward."""

    beat: float
    beats: float
    root: int
    pitches: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Song:
    """The frame of an example; beat 0 is where it begins, bars begin at `bar_beat` + k `bar`.

    Attributes
    ----------
    beat_s : float
        Seconds of a beat.
    bar : int
        Beats of a bar.
    swing : float
        Where the second half of a beat begins, 0.5 (straight) to 0.67.
    tonic : int
        The pitch class of the key.
    scale : tuple of int
        Its steps, in semitones above the tonic.
    chords : tuple of Chord
        Without a gap, from a bar before the beginning to the end.
    first, last : float
        The beats between which notes may begin.
    tight_s : float
        Standard deviation of the players' timing.
    """

    beat_s: float
    bar: int
    swing: float
    tonic: int
    scale: tuple[int, ...]
    chords: tuple[Chord, ...]
    first: float
    last: float
    tight_s: float
    bars: tuple[float, ...] = field(default=())

    def chord_at(self, beat: float) -> Chord:
        """Return the chord that sounds at a beat."""
        for chord in self.chords:
            if beat < chord.beat + chord.beats - 1e-6:
                return chord
        return self.chords[-1]

    def seconds_at(self, beat: float) -> float:
        """Return when a beat comes, with the swing of its eighths."""
        whole = np.floor(beat)
        part = beat - whole
        bent = (
            part * 2 * self.swing
            if part < 0.5
            else self.swing + (part - 0.5) * 2 * (1 - self.swing)
        )
        return float((whole + bent) * self.beat_s)

    def scale_keys(self, low: float, high: float) -> list[int]:
        """Return the keys of the scale between two keys."""
        return [
            key
            for key in range(int(np.ceil(low)), int(high) + 1)
            if (key - self.tonic) % 12 in self.scale
        ]


def draw_song(rng: np.random.Generator, seconds: float) -> Song:
    """Draw the frame of an example of some seconds."""
    mode = str(rng.choice(list(_SCALES), p=[0.3, 0.25, 0.2, 0.15, 0.1]))
    tonic = int(rng.integers(12))
    beat_s = 60 / float(rng.triangular(62, 108, 172))
    bar = int(rng.choice([4, 3, 6], p=[0.86, 0.07, 0.07]))
    into = float(rng.integers(0, 2 * bar)) / 2
    last = seconds / beat_s
    bars = tuple(np.arange(-into - bar, last, bar).tolist())
    progression = _PROGRESSIONS[mode][int(rng.integers(len(_PROGRESSIONS[mode])))]
    plain = bool(rng.random() < 0.3)
    return Song(
        beat_s=beat_s,
        bar=bar,
        swing=float(rng.uniform(0.56, 0.67)) if rng.random() < 0.25 else 0.5,
        tonic=tonic,
        scale=_SCALES[mode],
        chords=tuple(_chords(rng, progression, tonic, bars, bar, plain)),
        first=bars[0],
        last=last,
        tight_s=float(rng.uniform(0.0, 0.014)),
        bars=bars,
    )


def voicing(
    rng: np.random.Generator, chord: Chord, low: float, high: float, size: int
) -> list[int]:
    """Return `size` keys of a chord between two keys, close together around a drawn place."""
    keys = [
        key for key in range(int(low), int(high) + 1) if (key - chord.root) % 12 in _classes(chord)
    ]
    if len(keys) <= size:
        return keys
    begin = int(rng.integers(0, len(keys) - size + 1))
    return keys[begin : begin + size]


def _classes(chord: Chord) -> set[int]:
    return {pitch % 12 for pitch in chord.pitches}


def _chords(
    rng: np.random.Generator,
    progression: Sequence[tuple[int, str]],
    tonic: int,
    bars: Sequence[float],
    bar: int,
    plain: bool,
) -> list[Chord]:
    each = float(rng.choice([bar / 2, bar, 2 * bar], p=[0.2, 0.6, 0.2]))
    at, count = bars[0], int(rng.integers(len(progression)))
    chords = []
    while at < bars[-1] + bar:
        step, quality = progression[count % len(progression)]
        pitches = _QUALITIES[quality]
        if rng.random() < 0.08 and len(pitches) == 3:
            pitches = _QUALITIES["sus"]
        if plain:
            pitches = pitches[:3]
        chords.append(Chord(at, each, (tonic + step) % 12, pitches))
        at, count = at + each, count + 1
    return chords
