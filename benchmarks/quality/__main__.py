"""How well each stem is recovered, beside honest bars and peers: `python -m benchmarks.quality`.

On songs that the project makes itself of sources that no network has heard, on its demo song, on
the example of the package `stempeg`, and on folders of real multitracks that `--multitrack` names.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import songs
from benchmarks.engine import machine
from benchmarks.engine.comparison import say
from benchmarks.quality import report, sets
from benchmarks.quality.scoring import Tally, score_case
from benchmarks.quality.sets import SongSet, Unavailable
from separation import catalog
from separation.catalog.measured import Measurement
from separation.process import environment

_FOLDER = songs.ROOT / "var" / "bench"
_CLIPS = 24


def main() -> None:
    options = _options()
    if options.write_docs:
        report.write_docs()
        return
    os.environ.update(environment(os.environ))
    _FOLDER.mkdir(parents=True, exist_ok=True)
    found: list[Measurement] = []
    with TemporaryDirectory(dir=_FOLDER) as scratch:
        facts = machine.describe()
        say(f"{facts['machine']}; load average {facts['load_average_before']}")
        for one in _sets(options, Path(scratch)):
            measured = _measured(one, options, facts)
            if options.write:
                report.write(measured)
            found += measured
    sys.stdout.write(report.rows_table(found) + "\n")
    path = _FOLDER / "quality.json"
    rows = [asdict(one) for one in found]
    path.write_text(json.dumps({**facts, "is_trial": options.quick, "rows": rows}, indent=1) + "\n")
    sys.stdout.write(f"{path.relative_to(songs.ROOT)}\n")


def _measured(
    one: SongSet, options: argparse.Namespace, facts: Mapping[str, Any]
) -> list[Measurement]:
    tally = Tally()
    try:
        for case in itertools.islice(one.cases(), 1 if options.quick else None):
            say(f"{one.name}  {case.name}: {', '.join(case.pieces)}")
            score_case(tally, case, options.stems, with_peer=options.peer)
    except Unavailable as error:
        # What was measured of it before would not be the set that others are compared on.
        say(f"{one.name}: cannot be had: {error}")
        return []
    return list(tally.measurements(one, date=facts["date"], commit=facts["commit"] or "unknown"))


def _sets(options: argparse.Namespace, scratch: Path) -> list[SongSet]:
    listed = [sets.demo_set(), *sets.held_sets(n_clips=3 if options.quick else _CLIPS)]
    if not options.offline:
        listed.append(sets.stempeg_set(_FOLDER / "packages", scratch))
    listed += [sets.multitrack_set(folder, dict(options.map)) for folder in options.multitrack]
    unknown = set(options.sets) - {one.name for one in listed}
    if unknown:
        known = ", ".join(one.name for one in listed)
        raise SystemExit(f"There is no set {', '.join(sorted(unknown))}; there are {known}.")
    return [one for one in listed if not options.sets or one.name in options.sets]


def _pair(text: str) -> tuple[str, str]:
    name, _, stem = text.partition("=")
    return name, catalog.stem(stem).name


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sets", nargs="+", default=[], help="only these")
    parser.add_argument(
        "--stems", nargs="+", default=[], metavar="STEM", help="only these of the catalogue"
    )
    parser.add_argument("--quick", action="store_true", help="one song a set: does it work?")
    parser.add_argument(
        "--multitrack",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="a real recording, each file a piece of it (may be repeated)",
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        type=_pair,
        metavar="FILE=STEM",
        help=f"what a file of it is; {sets.MAP_NAME} in the folder says the same",
    )
    parser.add_argument("--offline", action="store_true", help="without the song from a package")
    parser.add_argument(
        "--no-peer", dest="peer", action="store_false", help="without the package demucs"
    )
    parser.add_argument(
        "--write", action="store_true", help="into the file that the catalogue reads"
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="instead: that file into docs/quality.md"
    )
    options = parser.parse_args()
    for name in options.stems:
        catalog.stem(name)
    if options.quick and options.write:
        parser.error("a trial is not written")
    return options


if __name__ == "__main__":
    main()
