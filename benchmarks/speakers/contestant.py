"""A process that says who speaks when in one recording after another: ours, or the peer.

It is started by `runs`, the peer with an interpreter of its own: nothing but the standard library
may be imported here before the choice is made. It is given its name as its only argument, says
`loaded`, and then answers each line with a path with a line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

OURS, PEER = "stemwright", "senko"

Turns = list[tuple[float, float, str]]
Diarize = Callable[[Path], Turns]


def ours() -> Diarize:
    """Return the way of the command line and the service."""
    from separation.errors import NoSpeech
    from separation.speakers import diarization

    def diarize(path: Path) -> Turns:
        try:
            timeline = diarization.diarize(path)
        except NoSpeech:
            return []
        return [(turn.start_s, turn.end_s, turn.speaker) for turn in timeline.turns]

    return diarize


def peer() -> Diarize:
    """Return the way of the package's README."""
    senko: Any = __import__("senko")
    diarizer = senko.Diarizer(device="auto", warmup=True, quiet=True)

    def diarize(path: Path) -> Turns:
        result = diarizer.diarize(str(path), generate_colors=False)
        segments = result["merged_segments"] if result else []
        return [(float(s["start"]), float(s["end"]), str(s["speaker"])) for s in segments]

    return diarize


def cpu_s() -> float:
    """Return the processor time of this process and of the ended ones it started, in seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(times.ru_utime + times.ru_stime for times in used)


def peak_mb() -> float:
    """Return the most memory that this process held, in MB.

    The kernel's count for `getrusage` would begin with what its parent held.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0) / 1024


def main(name: str) -> None:
    """Answer until the input ends."""
    # Whatever libraries print goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), 1)
    diarize = {OURS: ours, PEER: peer}[name]()
    answers.write(json.dumps({"event": "loaded"}) + "\n")
    for line in sys.stdin:
        wall, cpu = time.monotonic(), cpu_s()
        turns = diarize(Path(line.rstrip("\n")))
        done = {
            "event": "done",
            "turns": turns,
            "wall_s": time.monotonic() - wall,
            "cpu_s": cpu_s() - cpu,
            "peak_mb": peak_mb(),
        }
        answers.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
