"""How right what was found is."""

from collections.abc import Sequence
from dataclasses import dataclass

import mir_eval
import numpy as np

from benchmarks.music.pieces import Piece, PlayedNote
from benchmarks.music.sounds import hertz
from separation.music import Note

# As is usual: a tempo is right within 4 %; octaves of it are another count.
_RIGHT = 0.04
_OCTAVES = (1 / 3, 1 / 2, 1, 2, 3)


@dataclass(frozen=True)
class TempoScore:
    is_right: bool
    is_right_or_octave: bool
    error: float | None  # part of the tempo, if it is right
    beats_f: float


def tempo_score(piece: Piece, bpm: float | None, beats_s: Sequence[float]) -> TempoScore:
    truth = piece.bpm or 0.0
    found = bpm or 0.0
    is_right = abs(found / truth - 1) <= _RIGHT
    is_octave = any(abs(found / (truth * n) - 1) <= _RIGHT for n in _OCTAVES)
    beats_f = float(mir_eval.beat.f_measure(np.array(piece.beats_s), np.array(beats_s)))
    error = abs(found / truth - 1) if is_right else None
    return TempoScore(is_right, is_octave, error, beats_f)


def key_score(piece: Piece, found: tuple[str | None, str | None]) -> float:
    """As in MIREX: 1 if right, a half a fifth away, 0.3 the relative, 0.2 the parallel key."""
    if found[0] is None or piece.key is None:
        return 0.0
    return float(mir_eval.key.weighted_score(" ".join(piece.key), f"{found[0]} {found[1]}"))


def note_score(played: Sequence[PlayedNote], notes: Sequence[Note]) -> tuple[float, float, float]:
    """F-measure of notes by pitch and beginning (50 ms), its precision and recall."""
    if not notes:
        return 0.0, 0.0, 0.0
    precision, recall, f_measure, _ = mir_eval.transcription.precision_recall_f1_overlap(
        np.array([(note.start_s, note.end_s) for note in played]),
        np.array([hertz(note.pitch) for note in played]),
        np.array([(note.start_s, note.end_s) for note in notes]),
        np.array([hertz(note.pitch) for note in notes]),
        offset_ratio=None,
    )
    return float(f_measure), float(precision), float(recall)
