"""A small composer: parts as players of each instrument play them.

A part is a function of the generator, the song and the lowest and highest key; it returns notes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from separation.training.instruments.song import Note, Song, voicing

Part = Callable[[np.random.Generator, Song, float, float], list[Note]]


def held_chords(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Play each chord for as long as it lasts: pads, slow strings, an organ."""
    notes, size = [], int(rng.integers(2, 6))
    floor, ceiling = _register(rng, low, high, 19)
    legato = rng.uniform(0.85, 1.05)
    for chord in song.chords:
        again = float(rng.choice([chord.beats, song.bar, 2.0], p=[0.6, 0.25, 0.15]))
        keys = voicing(rng, chord, floor, ceiling, size)
        for beat in np.arange(chord.beat, chord.beat + chord.beats - 1e-6, again):
            notes += _chord(rng, song, float(beat), again * legato, keys, rng.uniform(0.4, 0.8))
    return notes


def strummed(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Strum chords up and down over four to six strings."""
    step = float(rng.choice([0.5, 0.25], p=[0.6, 0.4]))
    pattern = _pattern(rng, song, step, rng.uniform(0.4, 0.85))
    spread_s, size = rng.uniform(0.004, 0.03), int(rng.integers(3, 7))
    floor, ceiling = _register(rng, low, high, 24)
    notes: list[Note] = []
    shape: tuple[float, list[int]] = (-1e9, [])
    for beat, weight in _hits(song, step, pattern):
        chord = song.chord_at(beat)
        if shape[0] != chord.beat:
            shape = (chord.beat, voicing(rng, chord, floor, ceiling, size))
        down = round(beat / step) % 2 == 0
        keys = shape[1] if down else shape[1][::-1][: max(2, size - 1)]
        muted = rng.random() < 0.12
        long = song.beat_s * step * rng.uniform(1.0, 4.0)
        at = song.seconds_at(beat) + _late(rng, song)
        for string, key in enumerate(keys):
            velocity = _hit(rng, weight * (0.75 if down else 0.6))
            notes.append(Note(at + string * spread_s / 3, long, key, velocity, muted=muted))
    return notes


def arpeggios(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Play the notes of each chord one after the other and let them ring."""
    step = float(rng.choice([0.5, 0.25, 1 / 3], p=[0.45, 0.45, 0.1]))
    size = int(rng.integers(3, 8))
    floor, ceiling = _register(rng, low, high, 28)
    order = [int(i) for i in rng.permutation(size)] if rng.random() < 0.4 else list(range(size))
    if rng.random() < 0.4:
        order = order + order[-2:0:-1]
    ring = float(rng.choice([1.0, 2.0, 6.0]))
    notes = []
    for chord in song.chords:
        keys = voicing(rng, chord, floor, ceiling, size)
        for count, beat in enumerate(np.arange(chord.beat, chord.beat + chord.beats - 1e-6, step)):
            if keys and rng.random() < 0.95:
                key = keys[order[count % len(order)] % len(keys)]
                at = song.seconds_at(float(beat)) + _late(rng, song)
                notes.append(Note(at, song.beat_s * step * ring, key, _hit(rng, 0.65)))
    return notes


def sixteenths(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Comp in sixteenths as in funk: short chords or octaves, with muted strokes between."""
    pattern = _pattern(rng, song, 0.25, rng.uniform(0.25, 0.6))
    ghosts, size = rng.uniform(0.0, 0.7), int(rng.choice([1, 2, 3, 4]))
    floor, ceiling = _register(rng, low, high, 15)
    notes: list[Note] = []
    for chord in song.chords:
        keys = voicing(rng, chord, floor, ceiling, size)
        slide = -1.0 if rng.random() < 0.15 else 0.0
        for beat in np.arange(chord.beat, chord.beat + chord.beats - 1e-6, 0.25):
            weight = pattern[round(float(beat - song.first) / 0.25) % len(pattern)]
            at = song.seconds_at(float(beat)) + _late(rng, song)
            if weight:
                long = song.beat_s * 0.25 * rng.uniform(0.4, 1.4)
                for key in keys:
                    notes.append(Note(at, long, key, _hit(rng, weight * 0.8), bend=slide))
            elif rng.random() < ghosts:
                notes += [Note(at, 0.06, key, _hit(rng, 0.35), muted=True) for key in keys]
    return notes


def stabs(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Play short hits together in a rhythm that returns each bar or two, as a horn section."""
    pattern = _pattern(rng, song, float(rng.choice([0.5, 0.25])), rng.uniform(0.1, 0.35))
    step = song.bar / len(pattern)
    size = int(rng.choice([1, 2, 3, 4], p=[0.35, 0.15, 0.3, 0.2]))
    floor, ceiling = _register(rng, low, high, 17)
    short = rng.uniform(0.1, 0.3)
    notes: list[Note] = []
    for beat, weight in _hits(song, step, pattern):
        keys = voicing(rng, song.chord_at(beat), floor, ceiling, size)
        long = song.beat_s * rng.uniform(0.8, 2.5) if rng.random() < 0.2 else short
        fall = rng.uniform(2, 7) if rng.random() < 0.12 else 0.0
        scoop = -rng.uniform(0.5, 2.0) if rng.random() < 0.2 else 0.0
        at = song.seconds_at(beat) + _late(rng, song)
        for key in keys:
            notes.append(Note(at, long, key, _hit(rng, 0.85 * weight), scoop, 0.0, fall))
    return notes


def riff(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Repeat a short figure of the scale, lower or higher with the chord."""
    step = float(rng.choice([0.5, 0.25], p=[0.4, 0.6]))
    pattern = _pattern(rng, song, step, rng.uniform(0.35, 0.7))
    floor, ceiling = _register(rng, low, high, 16)
    scale = song.scale_keys(floor, ceiling)
    walk = _walk(rng, len(pattern), len(scale))
    octave = rng.random() < 0.15
    bent = rng.uniform(0, 0.2)
    notes = []
    for beat, weight in _hits(song, step, pattern):
        place = walk[round((beat - song.first) / step) % len(pattern)]
        key = scale[place]
        long = song.beat_s * step * rng.uniform(0.5, 1.5)
        bend = float(rng.choice([-2.0, -1.0])) if rng.random() < bent else 0.0
        at = song.seconds_at(beat) + _late(rng, song)
        notes.append(Note(at, long, key, _hit(rng, 0.8 * weight), bend))
        if octave and key + 12 <= high:
            notes.append(Note(at, long, key + 12, _hit(rng, 0.7 * weight), bend))
    return notes


def melody(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Sing slowly: phrases of long and short notes with rests, vibrato and slides."""
    return _line(rng, song, low, high, (1.0, 0.5, 2.0, 1.5, 3.0), 0.25)


def solo(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Improvise: fast phrases over the scale with bends, vibrato and breaks."""
    return _line(rng, song, low, high, (0.25, 0.25, 0.5, 0.5, 1 / 3, 1.0, 2.0), 0.18)


def power_chords(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Play roots with their fifths, held or as driving, palm-muted eighths."""
    step = float(rng.choice([0.5, 0.25, 2.0, 1.0], p=[0.5, 0.15, 0.15, 0.2]))
    palm = rng.random() < 0.5 and step < 1
    accents = _pattern(rng, song, step, 0.4)
    notes = []
    for beat in np.arange(song.first, song.last, step):
        chord = song.chord_at(float(beat))
        root = low + (chord.root - low) % 12
        open_one = not palm or accents[round(float(beat - song.first) / step) % len(accents)] > 0
        at = song.seconds_at(float(beat)) + _late(rng, song)
        long = song.beat_s * step * (rng.uniform(0.8, 1.05) if open_one else 0.35)
        for above in (0, 7, 12):
            if root + above <= high:
                notes.append(Note(at, long, root + above, _hit(rng, 0.8), muted=not open_one))
    return notes


def repeated(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Repeat chords in even notes, on the beat or off it: pianos, skanks, tremolos."""
    step = float(rng.choice([1.0, 0.5, 0.25], p=[0.45, 0.4, 0.15]))
    off = float(step / 2 if rng.random() < 0.3 else 0.0)
    size, held = int(rng.integers(2, 5)), rng.uniform(0.25, 1.0)
    floor, ceiling = _register(rng, low, high, 17)
    notes: list[Note] = []
    for chord in song.chords:
        keys = voicing(rng, chord, floor, ceiling, size)
        for beat in np.arange(chord.beat + off, chord.beat + chord.beats - 1e-6, step):
            notes += _chord(rng, song, float(beat), step * held, keys, 0.65)
    return notes


def two_hands(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Accompany with one hand and play a tune with the other."""
    middle = (low + high) / 2
    left = (held_chords, arpeggios, repeated)[int(rng.integers(3))]
    right = (melody, solo, riff)[int(rng.integers(3))]
    return left(rng, song, low, middle + 3) + right(rng, song, middle, high)


def runs(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Run up or down the scale now and then, and rest between."""
    scale = song.scale_keys(low, high)
    notes = []
    for beat in song.bars:
        if rng.random() < 0.5 or len(scale) < 8:
            continue
        count = int(rng.integers(6, min(16, len(scale))))
        begin = int(rng.integers(0, len(scale) - count + 1))
        keys = scale[begin : begin + count][:: int(rng.choice([1, -1]))]
        from_beat = beat + float(rng.integers(0, 2 * song.bar)) / 2
        for place, key in enumerate(keys):
            if from_beat + place * 0.25 >= song.last:
                break
            at = song.seconds_at(from_beat + place * 0.25) + _late(rng, song)
            notes.append(Note(at, song.beat_s * 0.3, key, _hit(rng, 0.7)))
    return notes


def bass_line(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Play roots and their neighbours low down, as a bass that leaks in."""
    step = float(rng.choice([1.0, 0.5, 2.0]))
    notes = []
    for beat in np.arange(song.first, song.last, step):
        chord = song.chord_at(float(beat))
        key = low + (chord.root + int(rng.choice([0, 0, 0, 7, 12])) - low) % 12
        at = song.seconds_at(float(beat)) + _late(rng, song)
        notes.append(Note(at, song.beat_s * step * 0.9, min(key, high), _hit(rng, 0.8)))
    return notes


def hits(rng: np.random.Generator, song: Song, low: float, high: float) -> list[Note]:
    """Strike single sounds in a sparse rhythm, or once in a while."""
    pattern = _pattern(rng, song, 0.5, rng.uniform(0.05, 0.5))
    key = rng.uniform(low, high)
    return [
        Note(
            song.seconds_at(beat), rng.uniform(0.3, 2.4), key + rng.integers(-2, 3), _hit(rng, 0.8)
        )
        for beat, _ in _hits(song, 0.5, pattern)
    ]


def with_rests(rng: np.random.Generator, song: Song, notes: Sequence[Note]) -> list[Note]:
    """Leave whole bars or halves of the example out, as players do."""
    quiet: list[tuple[float, float]] = []
    if rng.random() < 0.25:
        middle = rng.uniform(0.2, 0.8) * song.last
        quiet.append((song.first, middle) if rng.random() < 0.5 else (middle, song.last + 1))
    share = rng.uniform(0, 0.35) if rng.random() < 0.5 else 0.0
    quiet += [(bar, bar + song.bar) for bar in song.bars if rng.random() < share]
    spans = [(begin * song.beat_s - 0.05, end * song.beat_s - 0.05) for begin, end in quiet]
    return [note for note in notes if not any(a <= note.start_s < b for a, b in spans)]


def _line(
    rng: np.random.Generator,
    song: Song,
    low: float,
    high: float,
    values: Sequence[float],
    rest: float,
) -> list[Note]:
    """Walk over the scale, towards tones of the chord at the end of each phrase."""
    floor, ceiling = _register(rng, low, high, 22)
    scale = song.scale_keys(floor, ceiling)
    place, beat, notes = int(rng.integers(len(scale))), song.first, []
    bent, deep = rng.uniform(0, 0.35), rng.uniform(0, 0.5)
    legato = rng.uniform(0.6, 1.05)
    while beat < song.last:
        for beats in rng.choice(values, int(rng.integers(3, 12))).tolist():
            if beat >= song.last:
                break
            step = int(rng.choice([-3, -2, -1, 1, 2, 3], p=[0.07, 0.13, 0.3, 0.3, 0.13, 0.07]))
            place = int(np.clip(place + step, 0, len(scale) - 1))
            long = song.beat_s * beats * legato
            bend = float(rng.choice([-2.0, -1.0, 1.0])) if rng.random() < bent else 0.0
            sway = deep if beats >= 1 and rng.random() < 0.7 else 0.0
            fall = rng.uniform(1, 5) if rng.random() < 0.03 else 0.0
            at = song.seconds_at(beat) + _late(rng, song)
            notes.append(Note(at, long, scale[place], _hit(rng, 0.75), bend, sway, fall))
            beat += beats
        beat += float(rng.choice([0.5, 1.0, 2.0, 4.0])) if rng.random() < 4 * rest else 0.0
        beat = np.ceil(beat * 4) / 4
    return notes


def _register(
    rng: np.random.Generator, low: float, high: float, span: float
) -> tuple[float, float]:
    """Return the stretch of the range in which a player stays for this part."""
    span = max(span, 13)
    if high - low <= span:
        return low, high
    floor = low + (high - low - span) * float(rng.beta(2, 2))
    return floor, floor + span


def _pattern(rng: np.random.Generator, song: Song, step: float, density: float) -> list[float]:
    """Draw which steps of a bar are played and how hard; the same in every bar."""
    count = round(song.bar / step)
    played = rng.random(count) < density
    played[int(rng.integers(count))] = True
    if rng.random() < 0.5:
        played[0] = True
    return [float(rng.uniform(0.7, 1.0)) if on else 0.0 for on in played]


def _hits(song: Song, step: float, pattern: Sequence[float]) -> list[tuple[float, float]]:
    """Return the beats that a pattern plays and the weight of each."""
    beats = np.arange(song.first, song.last, step)
    return [
        (float(beat), pattern[count % len(pattern)])
        for count, beat in enumerate(beats)
        if pattern[count % len(pattern)] > 0
    ]


def _walk(rng: np.random.Generator, count: int, places: int) -> list[int]:
    steps = rng.choice([-4, -2, -1, 0, 1, 2, 4], count)
    return [int(place) for place in np.clip(places // 2 + np.cumsum(steps), 0, places - 1)]


def _chord(
    rng: np.random.Generator,
    song: Song,
    beat: float,
    beats: float,
    keys: Sequence[int],
    velocity: float,
) -> list[Note]:
    at = song.seconds_at(beat) + _late(rng, song)
    return [
        Note(at + abs(rng.normal(0, 0.004)), song.beat_s * beats, key, _hit(rng, velocity))
        for key in keys
    ]


def _late(rng: np.random.Generator, song: Song) -> float:
    return float(rng.normal(0, song.tight_s))


def _hit(rng: np.random.Generator, velocity: float) -> float:
    return float(np.clip(velocity + rng.normal(0, 0.07), 0.05, 1.0))
