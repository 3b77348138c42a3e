"""What many stems cost beside four: `python -m benchmarks.engine.cascade --help`.

The same song, in turns: the four stems of the root model, and a set of stems that need more passes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import separation
from benchmarks import songs
from benchmarks.engine import machine, report
from benchmarks.engine.comparison import MODEL, say
from benchmarks.engine.contestant import Work
from benchmarks.engine.figures import Row
from benchmarks.engine.runs import Run, run
from separation import catalog
from separation.errors import SeparationError

FEW, MANY = "four-stems", "full-split"


def main() -> None:
    options = _options()
    folder = songs.ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    sets = {name: catalog.stem_set(name).stems for name in (FEW, options.set)}
    passes = {name: models_of(stems) for name, stems in sets.items()}
    with TemporaryDirectory(dir=folder) as scratch:
        facts = machine.describe()
        song = songs.looped(songs.demo(), options.seconds, Path(scratch), with_stems=False)
        runs: dict[str, list[Run]] = {name: [] for name in sets}
        for number in range(options.rounds):
            for name, stems in sets.items():
                done = _run(song.mixture, stems, Path(scratch) / "stems", options.backend)
                runs[name].append(done)
                say(f"round {number + 1}/{options.rounds}  {name}: {done.wall_s:.1f} s")
    result = {
        **facts,
        "is_trial": options.quick,
        "audio_s": options.seconds,
        "rounds": options.rounds,
        "rows": rows(runs, passes, sets, audio_s=options.seconds),
    }
    path = folder / "cascade.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(report.text("cascade", result) + f"\n{path.relative_to(songs.ROOT)}\n")


def models_of(stems: Sequence[str]) -> list[str]:
    """Return the models that make a set of stems, in the order of their passes.

    Raises
    ------
    SystemExit
        If not all of it can be made here.
    """
    try:
        plan = separation.plan(stems, MODEL, require_installed=True)
    except SeparationError as error:
        raise SystemExit(error.message) from error
    return [model.name for model in plan.models]


def rows(
    runs: Mapping[str, Sequence[Run]],
    passes: Mapping[str, Sequence[str]],
    sets: Mapping[str, Sequence[str]],
    *,
    audio_s: float,
) -> list[Row]:
    """Return a row for each set; a ratio belongs to a round, beside the first set."""
    first = next(iter(runs.values()))
    listed = []
    for name, of_set in runs.items():
        ratios = [done.wall_s / few.wall_s for done, few in zip(of_set, first, strict=True)]
        listed.append(
            {
                "name": name,
                "files": len(sets[name]),
                "models": list(passes[name]),
                "wall_s_per_s": statistics.median(done.wall_s for done in of_set) / audio_s,
                "cpu_s_per_s": statistics.median(done.cpu_s for done in of_set) / audio_s,
                "wall_ratio": statistics.median(ratios),
                "wall_ratio_range": [min(ratios), max(ratios)],
                "peak_mb": round(max(done.peak_mb for done in of_set)),
            }
        )
    return listed


def _run(recording: Path, stems: Sequence[str], folder: Path, backend: str | None) -> Run:
    done = run(Work(MODEL, backend, (str(recording),), str(folder), stems=tuple(stems)))
    shutil.rmtree(folder)
    return done


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine.cascade",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--set", default=MANY, help=f"of the catalogue (default: {MANY})")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--seconds", type=float, default=240, help="of the song (default: 240)")
    parser.add_argument("--quick", action="store_true", help="one round of 20 s: does it work?")
    parser.add_argument("--backend", help="the best one when left out")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 20.0
    return options


if __name__ == "__main__":
    main()
