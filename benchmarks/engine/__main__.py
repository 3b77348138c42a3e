"""The engine beside its peer: `python -m benchmarks.engine --help`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import songs
from benchmarks.engine import comparison, growth, machine, report
from benchmarks.engine.comparison import MODEL, Entry, say
from benchmarks.engine.contestant import PEER
from benchmarks.engine.figures import Row
from benchmarks.engine.floor import Operations, Peaks
from separation.process import environment

_QUICK_S = 20.0


def main() -> None:
    options = _options()
    folder = songs.ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    if options.write_docs:
        report.write_docs(folder)
        return
    name = "growth" if options.growth else "engine"
    with TemporaryDirectory(dir=folder) as scratch:
        facts = machine.describe()
        say(f"{facts['machine']}; load average {facts['load_average_before']}")
        work = growth.measure if options.growth else _measure
        result = {**facts, "is_trial": options.quick, **work(options, Path(scratch))}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(report.text(name, result) + f"\n{path.relative_to(songs.ROOT)}\n")


def _measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    operations, before = _floor()
    usable = comparison.backends(options.backend)
    entries = [Entry(PEER), *(Entry(name) for name in usable)]
    if usable and not options.quick:
        entries += [Entry(usable[0], preset) for preset in ("fast", "best")]
    song = songs.looped(songs.demo(), options.seconds, folder / "short")
    short = comparison.compare(song, entries, rounds=options.rounds, folder=folder)
    references = comparison.references(song, short, folder)
    long, long_song = {}, song
    long_s = options.minutes * 60
    if long_s:
        long_song = songs.looped(songs.demo(), long_s, folder / "long")
        entries = [Entry(PEER), *(Entry(name) for name in _best_of_each(usable))]
        long = comparison.compare(long_song, entries, rounds=1, folder=folder / "long")
    peaks = before.or_better(_peaks())
    figures: dict[str, Any] = {"operations": operations, "peaks": peaks}
    rows: list[Row] = comparison.rows(song, options.seconds, short, references, **figures)
    if long:
        rows += comparison.rows(
            long_song, long_s, long, references, **figures, reference_s=options.seconds
        )
    floor = {"operations_per_segment": asdict(operations), "peak_operations_per_s": asdict(peaks)}
    return {"floor": floor, "rows": rows}


def _best_of_each(backends: list[str]) -> list[str]:
    """Return the best backend of each precision."""
    best: dict[bool, str] = {}
    for name in backends:
        best.setdefault(name.endswith("bf16"), name)
    return list(best.values())


def _floor() -> tuple[Operations, Peaks]:
    values = _floor_program(MODEL)
    return Operations(**values["operations"]), Peaks(**values["peaks"])


def _peaks() -> Peaks:
    return Peaks(**_floor_program()["peaks"])


def _floor_program(*arguments: str) -> dict[str, Any]:
    say("measure  matrix products")
    outcome = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-m", "benchmarks.engine.floor", *arguments],
        cwd=songs.ROOT,
        env=environment(os.environ),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    values: dict[str, Any] = json.loads(outcome.stdout.splitlines()[-1])
    return values


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one round of 20 s, one preset: does it work?"
    )
    parser.add_argument("--rounds", type=int, default=3, help="on the short song (default: 3)")
    parser.add_argument(
        "--seconds", type=float, default=60, help="length of the short song (default: 60)"
    )
    parser.add_argument(
        "--minutes", type=float, help="length of the long song, 0 for none (default: 10)"
    )
    parser.add_argument(
        "--backend", action="append", default=[], help="only this one (may be repeated)"
    )
    parser.add_argument(
        "--growth",
        action="store_true",
        help="instead: memory with the length (--minutes is the greatest, default: 60), and "
        "throughput with 1, 2 and 4 processes",
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="instead: var/bench into docs/performance.md"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, _QUICK_S
    if options.minutes is None:
        options.minutes = (1 if options.quick else 60) if options.growth else 10
        if options.quick and not options.growth:
            options.minutes = 0
    return options


if __name__ == "__main__":
    main()
