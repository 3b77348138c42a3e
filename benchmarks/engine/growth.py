"""What grows with the length of a recording, and with the number of processes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks import songs
from benchmarks.engine.comparison import MODEL, say
from benchmarks.engine.contestant import Work
from benchmarks.engine.figures import Row
from benchmarks.engine.runs import run, run_at_once
from separation.engines.processor import usable_cores

_LIGHT_MODEL = "spleeter-2stems"
_LENGTHS_MIN = (1, 3, 10, 60)
_PROCESSES = (1, 2, 4)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return rows for memory and rows for processes."""
    backend = options.backend[0] if options.backend else None
    lengths = [n for n in _LENGTHS_MIN if n <= options.minutes]
    memory = [
        _memory(model, wanted, minutes, folder)
        for model, wanted in ((_LIGHT_MODEL, None), (MODEL, backend))
        for minutes in lengths
    ]
    return {"memory": memory, "processes": _processes(backend, options.seconds, folder)}


def _memory(model: str, backend: str | None, minutes: float, folder: Path) -> Row:
    song = songs.looped(songs.demo(), minutes * 60, folder / "in", with_stems=False)
    done = run(Work(model, backend, (str(song.mixture),), str(folder / "out"), preset="fast"))
    say(f"{model}, {minutes:g} min: {done.peak_mb:.0f} MB, {done.wall_s:.0f} s")
    return {
        "model": model,
        "backend": done.backend,
        "minutes": minutes,
        "peak_mb": round(done.peak_mb),
        "wall_s_per_s": round(done.wall_s / (minutes * 60), 4),
    }


def _processes(backend: str | None, seconds: float, folder: Path) -> list[Row]:
    """Take 1, 2 and 4 recordings apart at once: in one process, and in as many processes.

    Processes share the cores out among them; a single one has them all, and its lanes.
    """
    song = songs.looped(songs.demo(), seconds, folder / "in", with_stems=False)
    cores, recording = usable_cores(), str(song.mixture)
    rows = []
    for n in _PROCESSES:
        for n_processes in sorted({1, n}):
            n_each = n // n_processes
            works = [
                Work(MODEL, backend, (recording,) * n_each, str(folder / f"out-{index}"))
                for index in range(n_processes)
            ]
            threads = max(1, cores // n_processes)
            wall_s, runs = run_at_once(works, threads=threads)
            row = {
                "recordings": n,
                "processes": n_processes,
                "cores_each": threads,
                "backend": runs[0].backend,
                "wall_s_per_s": round(wall_s / (n * seconds), 4),
                "cpu_s_per_s": round(sum(run.cpu_s for run in runs) / (n * seconds), 4),
                "peak_mb": round(sum(run.peak_mb for run in runs)),
            }
            say(f"{n} at once, {n_processes} process(es): {row['wall_s_per_s']} s a second")
            rows.append(row)
    return rows
