"""`python -m benchmarks.music [RECORDING…]`: tempo, key and notes of pieces that are known.

Recordings that are named are analysed too, without a score. `--quick` takes every fifth piece.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from benchmarks.music import peer
from benchmarks.music.pieces import Piece
from benchmarks.music.scoring import TempoScore, key_score, note_score, tempo_score
from benchmarks.music.sets import key_pieces, note_pieces, tempo_pieces
from benchmarks.music.sounds import SAMPLE_RATE
from benchmarks.songs import ROOT
from separation.music import analyse, transcribe

Row = dict[str, Any]


class Meter:
    """Adds up CPU time and how much music it was for."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.music_s = 0.0

    def run(self, work: Callable[[], Any], music_s: float) -> Any:
        started = time.process_time()
        result = work()
        self.cpu_s += time.process_time() - started
        self.music_s += music_s
        return result

    @property
    def cpu_s_a_minute(self) -> float:
        return round(60 * self.cpu_s / max(1e-9, self.music_s), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    step = 5 if options.quick else 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece.wav"
        rows = [*_tempo_rows(path, step), *_key_rows(path, step), *_note_rows(path, step)]
        rows += [row for recording in options.recordings for row in _recording_rows(recording)]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    result = json.dumps({"rows": rows, "peak_mb": peak_mb})
    target = ROOT / "var" / "bench" / "music.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(result + "\n")
    _say(result)


def _tempo_rows(path: Path, step: int) -> Iterator[Row]:
    meter = Meter()
    ours: dict[str, list[TempoScore]] = {}
    theirs: dict[str, list[TempoScore]] = {}
    for name, piece in _every(tempo_pieces(), step):
        _write(path, piece)
        found = meter.run(lambda: analyse(path), _seconds(piece)).tempo
        score = tempo_score(piece, found.bpm, found.beats_s)
        ours.setdefault(name, []).append(score)
        if peer.is_there:
            theirs.setdefault(name, []).append(tempo_score(piece, *peer.tempo(piece.samples)))
    for who, scores in (("ours", ours), ("librosa", theirs)):
        for name, group in _with_all(scores):
            errors = [score.error for score in group if score.error is not None]
            yield _told(
                what="tempo",
                who=who,
                of=name,
                pieces=len(group),
                right=_share([score.is_right for score in group]),
                right_or_octave=_share([score.is_right_or_octave for score in group]),
                median_error_percent=round(100 * median(errors), 2) if errors else None,
                beats_f=round(mean(score.beats_f for score in group), 3),
            )
    yield _told(what="analysis", cpu_s_a_minute=meter.cpu_s_a_minute)


def _key_rows(path: Path, step: int) -> Iterator[Row]:
    scores: dict[str, dict[str, list[float]]] = {"ours": {}, "librosa": {}}
    for scale, piece in _every(key_pieces(), step):
        _write(path, piece)
        found = analyse(path).key
        scores["ours"].setdefault(scale, []).append(key_score(piece, (found.tonic, found.scale)))
        if peer.is_there:
            score = key_score(piece, peer.key(piece.samples))
            scores["librosa"].setdefault(scale, []).append(score)
    for who, groups in scores.items():
        for scale, group in _with_all(groups):
            yield _told(
                what="key",
                who=who,
                of=scale,
                pieces=len(group),
                right=_share([score == 1 for score in group]),
                mirex=round(mean(group), 3),
            )


def _note_rows(path: Path, step: int) -> Iterator[Row]:
    scores: dict[str, list[tuple[float, float, float]]] = {}
    meter = Meter()
    for voices, piece in _every(note_pieces(), step):
        _write(path, piece)
        found = meter.run(lambda: transcribe(path, path.with_suffix(".mid")), _seconds(piece))
        score = note_score(piece.notes, found.notes)
        scores.setdefault(voices, []).append(score)
        scores.setdefault(piece.name.split(",")[0], []).append(score)
    for name, group in scores.items():
        f_measure, precision, recall = (
            round(mean(values), 3) for values in zip(*group, strict=True)
        )
        yield _told(what="notes", of=name, f=f_measure, precision=precision, recall=recall)
    yield _told(what="transcription", cpu_s_a_minute=meter.cpu_s_a_minute)


def _recording_rows(path: Path) -> Iterator[Row]:
    found = analyse(path).to_json()
    n_beats = len(found["tempo"].pop("beats_s"))
    yield _told(what="recording", of=path.name, beats=n_beats, **found["tempo"])
    yield _told(what="recording", of=path.name, **found["key"])


def _every(pieces: Iterator[tuple[str, Piece]], step: int) -> Iterator[tuple[str, Piece]]:
    for number, piece in enumerate(pieces):
        if number % step == 0:
            yield piece


def _with_all(groups: dict[str, list[Any]]) -> Iterator[tuple[str, list[Any]]]:
    yield from groups.items()
    if groups:
        yield "all", [score for group in groups.values() for score in group]


def _share(values: list[bool]) -> float:
    return round(mean(values), 3)


def _seconds(piece: Piece) -> float:
    return len(piece.samples) / SAMPLE_RATE


def _write(path: Path, piece: Piece) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        samples = np.clip(piece.samples, -1, 1) * 32767
        file.writeframes(samples.astype("<i2").tobytes())


def _told(**row: Any) -> Row:
    _say("  ".join(f"{name}={value}" for name, value in row.items() if value is not None))
    return row


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
