"""The pieces that are reported. What was chosen by measuring was chosen on others: the patterns,
progressions and instruments called TUNING, with other seeds."""

from collections.abc import Iterator

from benchmarks.music.pieces import PATTERNS, PROGRESSIONS, TONICS, Piece, rhythm, song, tune
from benchmarks.music.sounds import INSTRUMENTS

TEMPI = tuple(range(60, 181, 10))
_SEED = 20_000


def tempo_pieces() -> Iterator[tuple[str, Piece]]:
    """Each pattern at each tempo, alone and with bass and chords."""
    for name, pattern in PATTERNS.items():
        for bpm in TEMPI:
            seed = _SEED + bpm
            yield name, rhythm(name, pattern, bpm, seed=seed)
            if name != "clicks":
                yield name, rhythm(name, pattern, bpm, seed=seed + 500, with_chords=True)


def key_pieces() -> Iterator[tuple[str, Piece]]:
    """Each progression in each key, on another instrument each time."""
    instruments = list(INSTRUMENTS)
    number = 0
    for scale, progressions in PROGRESSIONS.items():
        for tonic in range(len(TONICS)):
            for progression in progressions:
                number += 1
                instrument = instruments[number % len(instruments)]
                piece = song(tonic, scale, progression, instrument, seed=_SEED + number)
                yield scale, piece


def note_pieces() -> Iterator[tuple[str, Piece]]:
    """Each instrument in one, two and three voices."""
    for voices in (1, 2, 3):
        for number, instrument in enumerate(INSTRUMENTS):
            seed = _SEED + 10 * voices + number
            yield f"{voices} voices", tune(instrument, seed=seed, voices=voices)
