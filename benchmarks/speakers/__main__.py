"""Who speaks when, ours beside the peer: `python -m benchmarks.speakers --help`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import songs
from benchmarks.engine import machine
from benchmarks.speakers import report, tracks
from benchmarks.speakers.contestant import OURS, PEER, Turns
from benchmarks.speakers.data import sets
from benchmarks.speakers.data.fetch import CACHE, Unavailable
from benchmarks.speakers.data.sets import DEV_SET, HOUR_SET, TEST_SETS, Recording
from benchmarks.speakers.data.voices import as_16_bit_16k
from benchmarks.speakers.runs import PEER_PACKAGE, Contestant, Run
from benchmarks.speakers.scoring import Case, score

Row = dict[str, Any]

_QUICK_RECORDINGS = 2
_WITH_TRACKS = "utterances"


def main() -> None:
    options = _options()
    path = songs.ROOT / "var" / "bench" / "speakers.json"
    if options.write_docs:
        report.write_docs(path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {**_facts(), "is_trial": options.quick, **measure(options)}
    path.write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        sys.stdout.write(report.text(result) + f"\n\n{path.relative_to(songs.ROOT)}\n")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return rows for sets and contestants, the tracks, and what could not be had."""
    rows: list[Row] = []
    missing: list[str] = []
    cleanness: list[Row] = []
    for name in options.sets:
        try:
            recordings, lacking = sets.load(name)
        except Unavailable as error:
            missing.append(f"{name}: {error}")
            continue
        missing += [f"{name} lacks {line}" for line in lacking]
        recordings = recordings[: _QUICK_RECORDINGS if options.quick else None]
        found: dict[str, list[Turns]] = {}
        for contestant in options.contestants:
            say(f"{name}: {contestant}, {len(recordings)} recordings")
            try:
                runs = diarize_all(contestant, recordings)
            except Unavailable as error:
                missing.append(f"{contestant} on {name}: {error}")
                continue
            rows.append(row(name, contestant, recordings, runs))
            say(report.line(rows[-1]))
            found[contestant] = [run.turns for run in runs]
        if name == _WITH_TRACKS and not options.without_tracks:
            say(f"{name}: tracks")
            cleanness = tracks.measure(recordings, found)
    return {"rows": rows, "tracks": cleanness, "missing": missing}


def diarize_all(contestant: str, recordings: Sequence[Recording]) -> list[Run]:
    """Let one process find out who speaks when in all recordings.

    Raises
    ------
    Unavailable
        If it cannot be started, or fails.
    """
    with Contestant(contestant) as process:
        return [process.diarize(_input(contestant, recording.path)) for recording in recordings]


def _input(contestant: str, path: Path) -> Path:
    """Return what a contestant is handed: the peer reads 16-bit WAV of 16 kHz and nothing else."""
    return as_16_bit_16k(path, CACHE / "converted") if contestant == PEER else path


def row(name: str, contestant: str, recordings: Sequence[Recording], runs: Sequence[Run]) -> Row:
    """Return what is reported of one contestant on one set."""
    cases = [
        Case(list(recording.turns), run.turns, recording.duration_s)
        for recording, run in zip(recordings, runs, strict=True)
    ]
    audio_s = sum(recording.duration_s for recording in recordings)
    return {
        "set": name,
        "contestant": contestant,
        "audio_s": round(audio_s, 1),
        **_rounded(asdict(score(cases))),
        "wall_s_per_s": round(sum(run.wall_s for run in runs) / audio_s, 4),
        "cpu_s_per_s": round(sum(run.cpu_s for run in runs) / audio_s, 4),
        "peak_mb": round(max(run.peak_mb for run in runs)),
        "each": [_each(recording, case) for recording, case in zip(recordings, cases, strict=True)],
    }


def _each(recording: Recording, case: Case) -> Row:
    return {
        "recording": recording.name,
        "condition": recording.condition,
        "speakers": recording.speakers,
        "found_speakers": _speakers(case.found),
        **_rounded(asdict(score([case]))),
    }


def _speakers(turns: Turns) -> int:
    return len({speaker for _, _, speaker in turns})


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 2) if isinstance(value, float) else value
        for name, value in values.items()
    }


def _facts() -> dict[str, Any]:
    facts = machine.describe()
    say(f"{facts['machine']}; load average {facts['load_average_before']}")
    scorer = {"pyannote.metrics": metadata.version("pyannote.metrics"), "peer": PEER_PACKAGE}
    return {**facts, "versions": {**facts["versions"], **scorer}}


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speakers", description=__doc__)
    every = (*TEST_SETS, HOUR_SET, DEV_SET)
    parser.add_argument(
        "--sets",
        nargs="+",
        choices=every,
        help=f"all but {DEV_SET}, which settings are tuned on, when left out",
    )
    parser.add_argument("--contestants", nargs="+", choices=(OURS, PEER), default=[OURS, PEER])
    parser.add_argument(
        "--quick", action="store_true", help=f"{_QUICK_RECORDINGS} recordings a set: does it work?"
    )
    parser.add_argument("--without-tracks", action="store_true", help="only who speaks when")
    parser.add_argument("--json", action="store_true", help="print all as JSON")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help="instead: last results into docs/speaker-quality.md",
    )
    options = parser.parse_args()
    if options.sets is None:
        options.sets = [*TEST_SETS, *([] if options.quick else [HOUR_SET])]
    return options


if __name__ == "__main__":
    main()
