"""What the presets and residual settings are worth: `python -m benchmarks.engine.presets --help`.

SDR against the true stems on several songs, the peer beside them. The only songs that come along
are the demo song and the one in the package `stempeg`, which the ordinary client of the package
registry fetches; `--songs` names a folder of others.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import songs
from benchmarks.engine import machine, report
from benchmarks.engine.comparison import MODEL, say
from benchmarks.engine.contestant import PEER, Work
from benchmarks.engine.figures import Row
from benchmarks.engine.runs import run
from benchmarks.multitracks import from_folder, from_stempeg, mashed
from benchmarks.songs import Song, mean, sdr_of_stems
from separation import presets
from separation.process import environment
from separation.residual import Residual

# The random shifts of the peer that are averaged over.
_PEER_SEEDS = (0, 1, 2)


def main() -> None:
    options = _options()
    folder = songs.ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    # For the peer as well: nothing is timed here, and threads that spin would only be in the way.
    os.environ.update(environment(os.environ))
    with TemporaryDirectory(dir=folder) as scratch:
        facts = machine.describe()
        listed = _songs(options, folder / "packages", Path(scratch))
        say("songs    " + ", ".join(f"{song.name} ({', '.join(song.stems)})" for song in listed))
        result = {**facts, **_measure(listed, options.backend, Path(scratch))}
    path = folder / "presets.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(report.text("presets", result) + f"\n{path.relative_to(songs.ROOT)}\n")


def _songs(options: argparse.Namespace, packages: Path, scratch: Path) -> list[Song]:
    demo = songs.demo()
    listed = [demo]
    if options.songs:
        for index, source in enumerate(sorted(path for path in options.songs.iterdir())):
            if not source.is_dir():
                continue
            song = from_folder(
                source, scratch / f"song-{index}", start_s=options.start, seconds=options.seconds
            )
            listed.append(song)
            if "vocals" not in song.stems:
                voice = demo.stems["vocals"]
                listed.append(mashed(song, voice, "the demo's vocals", scratch / f"mash-{index}"))
    if not options.offline:
        listed.append(from_stempeg(packages, scratch / "stempeg"))
    return listed


def _measure(listed: Sequence[Song], backend: str | None, folder: Path) -> dict[str, Any]:
    rows = []
    ran_on = set()
    for preset, residual in itertools.product(presets.PRESETS, Residual):
        sdr_db = {}
        for index, song in enumerate(listed):
            output = folder / f"{preset}-{residual}-{index}"
            work = Work(MODEL, backend, (str(song.mixture),), str(output), preset, residual)
            done = run(work)
            ran_on.add(done.backend)
            sdr_db[song.name] = _mean_sdr(song, done.stems)
            shutil.rmtree(output)
        rows.append(_row(preset, str(residual), sdr_db))
    rows.append(_peer_row(listed, folder))
    return {
        "backend": ", ".join(sorted(ran_on)),
        "songs": {song.name: song.about for song in listed},
        "rows": rows,
    }


def _peer_row(listed: Iterable[Song], folder: Path) -> Row:
    sdr_db, ranges_db = {}, {}
    for index, song in enumerate(listed):
        found = []
        for seed in _PEER_SEEDS:
            output = folder / f"peer-{index}-{seed}"
            done = run(Work(MODEL, PEER, (str(song.mixture),), str(output), seed=seed))
            found.append(_mean_sdr(song, done.stems))
            shutil.rmtree(output)
        sdr_db[song.name] = mean(found)
        ranges_db[song.name] = [round(min(found), 3), round(max(found), 3)]
    return {**_row("demucs (its command line)", "–", sdr_db), "range_db": ranges_db}


def _mean_sdr(song: Song, stems: Any) -> float:
    return mean(sdr_of_stems(song.stems, stems).values())


def _row(way: str, residual: str, sdr_db: dict[str, float]) -> Row:
    figures = ", ".join(f"{name} {value:.3f}" for name, value in sdr_db.items())
    say(f"{way} {residual}: {figures}")
    return {
        "way": way,
        "residual": residual,
        "sdr_db": {name: round(value, 3) for name, value in sdr_db.items()},
        "mean_db": round(mean(sdr_db.values()), 3),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine.presets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--songs",
        type=Path,
        help="folder with a folder for each song, in which each file is a true stem",
    )
    parser.add_argument("--start", type=float, default=15, help="of the excerpt (default: 15)")
    parser.add_argument("--seconds", type=float, default=30, help="of the excerpt (default: 30)")
    parser.add_argument("--backend", help="the best one when left out")
    parser.add_argument("--offline", action="store_true", help="without the song from a package")
    return parser.parse_args()


if __name__ == "__main__":
    main()
