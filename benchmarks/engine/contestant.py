"""A process that takes recordings apart in one of the ways that are compared.

It is started by `runs` with what to do as JSON in its only argument. It says `loaded`, then `ready`
after a first segment, waits for a line on standard input, and says what the work took; each as a
line of JSON on what was standard output when it started.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from separation.process import die_with_parent

PEER = "demucs"


@dataclass(frozen=True, slots=True)
class Work:
    """What a contestant is to do.

    `backend` may be PEER; None is what the engine would choose by itself. Recordings are taken
    apart all at once, each into a folder of its own in `output`. `seed` is that of the peer's
    random shift. `stems` are what ours makes; all of the model when empty.
    """

    model: str
    backend: str | None
    inputs: tuple[str, ...]
    output: str
    preset: str = "balanced"
    residual: str = "spread"
    device: str = "cpu"
    seed: int = 0
    stems: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> Work:
        values = json.loads(text)
        return cls(**{**values, **{key: tuple(values[key]) for key in ("inputs", "stems")}})

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Way(Protocol):
    """One of the ways that are compared."""

    def load(self) -> str:
        """Load the model; return the name of the backend that it runs on."""

    def warm_up(self) -> None:
        """Take a first segment apart."""

    def separate(self, recording: Path, folder: Path) -> None:
        """Write the stems of a recording as 32-bit float WAV, `<stem>.wav`."""


class Ours:
    """The engine, as the service and the command line use it."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._engine: Any = None

    def load(self) -> str:
        import separation
        from separation import catalog, engines

        model = catalog.model(self._work.model)
        self._engine = engines.load_engine(model, self._work.device, self._work.backend)
        for child in separation.plan(self._work.stems or None, model.name).models[1:]:
            engines.load_engine(child, self._work.device)
        return str(self._engine.backend)

    def warm_up(self) -> None:
        import numpy as np

        shape = (1, 2, self._engine.info.segment_samples)
        # Not zeros, which some kernels take shorter ways for.
        noise = np.random.default_rng(0).standard_normal(shape, np.float32)
        self._engine.separate(noise * np.float32(0.1))

    def separate(self, recording: Path, folder: Path) -> None:
        import separation

        work = self._work
        separation.separate(
            recording,
            folder,
            stems=work.stems or None,
            model=work.model,
            output_format="wav32f",
            preset=work.preset,
            residual=work.residual,
            device=work.device,
            backend=work.backend,
        )


def way_of(work: Work) -> Way:
    """Return the way that a contestant goes."""
    if work.backend == PEER:
        from benchmarks.engine.peer import Peer

        return Peer(work.model, work.device, work.seed)
    return Ours(work)


def cpu_s() -> float:
    """Return the processor time of this process and of those it started, in seconds."""
    own, ended = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    total = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system
    return total


def peak_mb() -> float:
    """Return the most memory that this process held, and that those held which it started, in MB.

    Added up, though they need not have held it at the same time. The kernel's own count for
    `getrusage` would do for the process itself, but begins with what its parent held.
    """
    if sys.platform != "linux":
        unit = 1024**2 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    own = psutil.Process()
    pids = [own.pid, *(child.pid for child in own.children(recursive=True))]
    return sum(_high_water_kb(pid) for pid in pids) / 1024


def _high_water_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def main(work: Work) -> None:
    """Do the work, and say what it took."""
    die_with_parent()
    # Whatever libraries print goes to standard error.
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), 1)

    def say(values: Mapping[str, Any]) -> None:
        events.write(json.dumps(values) + "\n")

    way = way_of(work)
    say({"event": "loaded", "backend": way.load()})
    way.warm_up()
    say({"event": "ready"})
    if not sys.stdin.readline():
        return
    started, cpu_before_s = time.monotonic(), cpu_s()
    folders = [Path(work.output) / str(index) for index in range(len(work.inputs))]
    with ThreadPoolExecutor(len(work.inputs)) as pool:
        list(pool.map(way.separate, map(Path, work.inputs), folders))
    wall_s = time.monotonic() - started
    say({"event": "done", "wall_s": wall_s, "cpu_s": cpu_s() - cpu_before_s, "peak_mb": peak_mb()})


if __name__ == "__main__":
    main(Work.from_json(sys.argv[1]))
