"""Starts contestants and takes down what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

from benchmarks.engine.contestant import PEER, Work
from benchmarks.songs import ROOT
from separation.process import environment


class ContestantFailed(Exception):
    """A contestant ended without a result; the message is the end of what it printed."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one contestant needed for its recordings.

    `load_s` is from the start of its process to the loaded model; the others begin after a first
    segment. `backend` is what the model ran on. `stems` are the files of the first recording.
    """

    backend: str
    load_s: float
    wall_s: float
    cpu_s: float
    peak_mb: float
    stems: Mapping[str, Path]


class Contestant:
    """A process that is loaded and waits, from entering the context on.

    Parameters
    ----------
    work : Work
    threads : int, optional
        How many cores the engine may use.
    """

    def __init__(self, work: Work, *, threads: int | None = None) -> None:
        self._work = work
        self._errors = TemporaryFile()
        own = dict(os.environ)
        if threads is not None:
            own["STEMWRIGHT_THREADS"] = str(threads)
        # The peer is started as its users start it; ours as the command line and the service do.
        self._environment = own if work.backend == PEER else environment(own)

    def __enter__(self) -> Self:
        started = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-m", "benchmarks.engine.contestant", self._work.to_json()],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.backend = str(self._next("loaded")["backend"])
            self.load_s = time.monotonic() - started
            self._next("ready")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def start(self) -> None:
        """Let it begin."""
        if self._process.stdin is None:
            raise RuntimeError("The process was started without a pipe.")
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def result(self) -> Run:
        """Wait for what it needed."""
        done = self._next("done")
        folder = Path(self._work.output) / "0"
        return Run(
            backend=self.backend,
            load_s=self.load_s,
            wall_s=done["wall_s"],
            cpu_s=done["cpu_s"],
            peak_mb=done["peak_mb"],
            stems={path.stem: path for path in sorted(folder.glob("*.wav"))},
        )

    def _next(self, event: str) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        values: dict[str, Any] = json.loads(line) if line else {}
        if values.get("event") != event:
            self._process.wait()
            self._errors.seek(0)
            printed = self._errors.read().decode(errors="replace").strip()
            raise ContestantFailed(printed[-2000:] or f"status {self._process.returncode}")
        return values

    def _end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.terminate()
        self._process.wait()
        self._errors.close()


def run(work: Work, *, threads: int | None = None) -> Run:
    """Run one contestant from its start to its end."""
    with Contestant(work, threads=threads) as contestant:
        contestant.start()
        return contestant.result()


def run_at_once(works: Sequence[Work], *, threads: int) -> tuple[float, list[Run]]:
    """Load several contestants, then let all begin; return the wall time of all together."""
    contestants: list[Contestant] = []
    try:
        for work in works:
            contestants.append(Contestant(work, threads=threads).__enter__())
        started = time.monotonic()
        for contestant in contestants:
            contestant.start()
        results = [contestant.result() for contestant in contestants]
        return time.monotonic() - started, results
    finally:
        for contestant in contestants:
            contestant.__exit__(None, None, None)
