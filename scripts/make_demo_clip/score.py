"""The song: an original 23 s piece, written for this project.

Positions and lengths are in beats from the start of the clip, pitches are MIDI numbers. The tempo
is 120 BPM because a sixteenth note is then exactly five frames of the voice model, so that the
singing sits on the beat without rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

BEATS_PER_MINUTE = 120
BEAT_S = 60 / BEATS_PER_MINUTE
CLIP_S = 23.0

# Written in D major and played in B flat: the voice model learned from speech, and above about
# 400 Hz it turns hoarse.
KEY_SHIFT = -4

VERSE = 8.0
CHORUS = 24.0
ENDING = 40.0


class Note(NamedTuple):
    """One MIDI note."""

    start: float
    length: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Syllable:
    """One sung syllable; its vowel starts at ``start``, its consonants before and after it.

    ``phonemes`` is in the voice model's alphabet (IPA, with A, I, O for the diphthongs of "day",
    "my", "no"); a trailing space ends the word. ``pitches`` has one entry, or (offset, pitch) pairs
    where one vowel is sung over several notes.
    """

    phonemes: str
    start: float
    length: float
    pitches: tuple[tuple[float, int], ...]


def _sing(
    phonemes: str, start: float, length: float, *pitches: int | tuple[float, int]
) -> Syllable:
    pairs = tuple((0.0, p) if isinstance(p, int) else p for p in pitches)
    return Syllable(phonemes, start, length, pairs)


# "Morning on the windowsill, / I can hear the river still.
#  So pull the song apart with me / and all the pieces running free."
LEAD: tuple[tuple[Syllable, ...], ...] = (
    (
        _sing("mˈɔɹ", 8.0, 1.0, 66),
        _sing("nɪŋ ", 9.0, 0.5, 64),
        _sing("ˌɔn ", 9.5, 0.5, 62),
        _sing("ðə ", 10.0, 0.5, 64),
        _sing("wˈɪn", 10.5, 1.0, 66),
        _sing("dO", 11.5, 0.5, 64),
        _sing("sˌɪl", 12.0, 2.75, 61, (1.5, 64)),
    ),
    (
        _sing("ˌI ", 15.5, 0.5, 57),
        _sing("kæn ", 16.0, 0.5, 59),
        _sing("hˈɪɹ ", 16.5, 1.5, 62),
        _sing("ðə ", 18.0, 0.5, 61),
        _sing("ɹˈɪ", 18.5, 1.0, 66),
        _sing("vəɹ ", 19.5, 0.5, 64),
        _sing("stˈɪl", 20.0, 2.75, 62),
    ),
    (
        _sing("sˌO ", 23.5, 0.5, 66),
        _sing("pˈʊl ", 24.0, 1.5, 71),
        _sing("ðə ", 25.5, 0.5, 69),
        _sing("sˈɔŋ ", 26.0, 1.5, 67),
        _sing("ə", 27.5, 0.5, 66),
        _sing("pˈɑɹt ", 28.0, 1.5, 69),
        _sing("wɪð ", 29.5, 0.5, 66),
        _sing("mˈi", 30.0, 1.25, 64),
    ),
    (
        _sing("ænd ", 31.5, 0.5, 62),
        _sing("ˈɔl ", 32.0, 1.5, 66),
        _sing("ðə ", 33.5, 0.5, 66),
        _sing("pˈi", 34.0, 1.0, 69),
        _sing("sᵻz ", 35.0, 1.0, 66),
        _sing("ɹˈʌ", 36.0, 1.0, 67),
        _sing("nɪŋ ", 37.0, 1.0, 66),
        _sing("fɹˈi", 38.0, 3.75, 64, (2.0, 62)),
    ),
)

# The chorus again, sung by a second voice below the lead (thirds and sixths of the chords).
_HARMONY_PITCHES: tuple[tuple[int, ...], ...] = (
    (62, 67, 66, 62, 62, 64, 62, 61),
    (59, 62, 62, 66, 61, 62, 62, 61),
)


def _sing_below(syllable: Syllable, pitch: int) -> Syllable:
    is_last = len(syllable.pitches) > 1
    pitches = ((0.0, pitch), (2.0, 57)) if is_last else ((0.0, pitch),)
    return replace(syllable, pitches=pitches)


HARMONY: tuple[tuple[Syllable, ...], ...] = tuple(
    tuple(_sing_below(s, p) for s, p in zip(line, pitches, strict=True))
    for line, pitches in zip(LEAD[2:], _HARMONY_PITCHES, strict=True)
)


class Chord(NamedTuple):
    """``bass`` is the lowest note of the bass line; ``guitar`` and ``keys`` are voicings."""

    start: float
    length: float
    bass: int
    guitar: tuple[int, ...]
    keys: tuple[int, ...]


_D = (38, (50, 57, 62, 66, 69), (57, 62, 66))
_A_ON_CSHARP = (37, (52, 57, 61, 64, 69), (57, 61, 64))
_A = (33, (45, 52, 57, 61, 64), (57, 61, 64))
_BM7 = (35, (47, 54, 57, 62, 66), (57, 59, 62, 66))
_BM = (35, (47, 54, 59, 62, 66), (59, 62, 66))
_FSHARP_M7 = (42, (54, 57, 61, 64, 66), (57, 61, 64))
_G = (43, (50, 55, 59, 62, 67), (55, 59, 62))
_GMAJ7 = (43, (50, 54, 59, 62, 66), (55, 59, 62, 66))

CHORDS: tuple[Chord, ...] = (
    Chord(0, 4, *_D),
    Chord(4, 4, *_GMAJ7),
    Chord(8, 4, *_D),
    Chord(12, 4, *_A_ON_CSHARP),
    Chord(16, 4, *_BM7),
    Chord(20, 4, *_GMAJ7),
    Chord(24, 4, *_G),
    Chord(28, 4, *_A),
    Chord(32, 2, *_BM),
    Chord(34, 2, *_FSHARP_M7),
    Chord(36, 2, *_G),
    Chord(38, 2, *_A),
    Chord(ENDING, 5, *_D),
)


def _chord_at(beat: float) -> Chord:
    return next(c for c in CHORDS if c.start <= beat < c.start + c.length)


def bass_line() -> list[Note]:
    """Syncopated roots in the verse, driving eighths with a walk-up in the chorus."""
    notes: list[Note] = []
    verse = ((0.0, 1.4, 0), (1.5, 0.45, 0), (2.0, 0.9, 7), (3.0, 0.45, 0), (3.5, 0.45, 12))
    for bar in (0.0, 4.0, 8.0, 12.0, 16.0, 20.0):
        root = _chord_at(bar).bass
        # The fifth above C#, the third of A, is G#: take the chord's root A (+8) instead.
        steps = [8 if s == 7 and root == 37 else s for _, _, s in verse]
        notes += [
            Note(bar + at, length, root + step, 104 if at == 0 else 92)
            for (at, length, _), step in zip(verse, steps, strict=True)
        ]
    for eighth in np.arange(CHORUS, ENDING, 0.5):
        chord = _chord_at(float(eighth))
        last_of_chord = eighth + 0.5 >= chord.start + chord.length
        # A step towards the next root, inside the scale: up, but down from the F sharp.
        walk = 0 if not last_of_chord else -2 if chord.bass == 42 else 2
        pitch = chord.bass + walk
        notes.append(Note(float(eighth), 0.42, pitch, 106 if eighth % 1 == 0 else 92))
    notes.append(Note(ENDING, 4.5, 38, 108))
    return notes


# General MIDI percussion keys.
_KICK, _SNARE, _SIDE_STICK, _CLOSED, _PEDAL, _OPEN = 36, 38, 37, 42, 44, 46
_CRASH, _RIDE, _TOM_HIGH, _TOM_MID, _TOM_LOW = 49, 51, 50, 47, 43


def drum_groove() -> list[Note]:
    """Pop-rock groove: hi-hat verse, ride chorus, ghost notes, and a fill into each part."""
    hits: list[tuple[float, int, int]] = []
    for bar in range(10):
        at = bar * 4.0
        in_chorus = at >= CHORUS
        fills = bar in (1, 5, 9)
        kicks: tuple[float, ...] = (0.0, 1.5, 2.5) if bar % 2 == 0 else (0.0, 0.75, 2.5, 3.5)
        if in_chorus:
            kicks = (0.0, 0.5, 1.5, 2.0, 2.75) if bar % 2 == 0 else (0.0, 1.5, 2.0, 2.5, 3.5)
        hits += [(at + k, _KICK, 118 if k in (0.0, 2.0, 2.5) else 100) for k in kicks]
        hits += [(at + 1, _SNARE, 112), (at + 3, _SNARE, 116)]
        hits += [(at + g, _SNARE, 34) for g in (1.75, 2.25)]
        cymbal = _RIDE if in_chorus else _CLOSED
        for eighth in range(8):
            if fills and eighth >= 4:
                break
            opens = not in_chorus and eighth == 7
            velocity = 88 if eighth % 2 == 0 else 62
            hits.append((at + eighth / 2, _OPEN if opens else cymbal, velocity))
        if not in_chorus:
            hits += [(at + s, _CLOSED, 40) for s in (0.75, 2.25, 2.75) if not (fills and s > 2)]
        if fills:
            hits = [h for h in hits if not (h[0] >= at + 2.5 and h[1] == _SNARE)]
            fill = (_SNARE, _SNARE, _TOM_HIGH, _TOM_HIGH, _TOM_MID, _TOM_MID, _TOM_LOW, _TOM_LOW)
            hits += [(at + 2 + i / 4, key, 84 + 4 * i) for i, key in enumerate(fill)]
        if bar in (0, 2, 6):
            hits.append((at, _CRASH, 108))
        if bar == 8:
            hits.append((at, _CRASH, 96))
    hits += [(ENDING, _KICK, 120), (ENDING, _CRASH, 116), (ENDING, _SNARE, 96)]
    return [Note(at, 0.2, key, velocity) for at, key, velocity in hits]


def guitar_part() -> list[Note]:
    """Steel-string guitar: broken chords in intro and verse, strummed eighths in the chorus."""
    notes: list[Note] = []
    pattern = (0, 2, 3, 4, 3, 2, 4, 3)
    for eighth in np.arange(0.0, CHORUS, 0.5):
        beat = float(eighth)
        string = pattern[int(beat * 2) % 8]
        notes.append(Note(beat, 1.2, _chord_at(beat).guitar[string], 92 if string == 0 else 78))
    accents = {0.0: 100, 1.0: 88, 1.5: 76, 2.5: 84, 3.0: 92, 3.5: 74}
    for eighth in np.arange(CHORUS, ENDING, 0.5):
        beat = float(eighth)
        if beat % 4 in accents:
            notes += _strum(beat, 0.6, _chord_at(beat).guitar, accents[beat % 4], up=beat % 1 > 0)
    notes += _strum(ENDING, 5.0, _chord_at(ENDING).guitar, 100, up=False)
    return notes


def _strum(
    at: float, length: float, pitches: tuple[int, ...], velocity: int, *, up: bool
) -> list[Note]:
    order = pitches[::-1][:4] if up else pitches
    return [Note(at + 0.022 * i, length, p, velocity - 3 * i) for i, p in enumerate(order)]


def keys_part() -> list[Note]:
    """Electric piano: held chords, pushed by an eighth in the chorus."""
    notes: list[Note] = []
    for chord in CHORDS:
        if chord.start < VERSE:
            continue
        notes += [Note(chord.start, chord.length * 0.95, p, 74) for p in chord.keys]
        if CHORUS <= chord.start < ENDING and chord.length == 4:
            notes += [Note(chord.start + 2.5, 1.4, p + 12, 70) for p in chord.keys]
    return notes


def strings_part() -> list[Note]:
    """A string line that enters with the chorus and carries the last chord."""
    spans = ((24, 4), (28, 4), (32, 2), (34, 2), (36, 2), (38, 2), (40, 4.5))
    upper, lower = (74, 73, 74, 73, 71, 73, 74), (67, 69, 66, 66, 67, 69, 66)
    return [
        Note(at, length * 0.98, pitch, 82)
        for line in (upper, lower)
        for (at, length), pitch in zip(spans, line, strict=True)
    ]


def intro_lead() -> list[Note]:
    """Clean guitar hook where nobody sings: the two intro bars and the gaps between lines."""
    hook = (
        (0.5, 0.5, 74), (1.0, 1.0, 78), (2.0, 0.5, 76), (2.5, 1.4, 74),
        (4.5, 0.5, 74), (5.0, 1.0, 78), (6.0, 0.5, 81), (6.5, 1.4, 78),
        (14.75, 0.25, 73), (15.0, 0.9, 76), (22.75, 0.25, 71), (23.0, 0.9, 74),
    )  # fmt: skip
    return [Note(at, length, pitch, 90) for at, length, pitch in hook]
