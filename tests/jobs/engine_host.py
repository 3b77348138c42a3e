"""The real host with a separation that does as it is told, for tests of what is around it.

A separation says in which process it ran as the `model` of its result. `gate` is a path: it waits
until there is such a file.
"""

from pathlib import Path

import pytest

from tests.e2e.processes import ROOT

_CUSTOM = """
import os, signal, sys, threading, time
import separation
from separation import errors

meeting = threading.Barrier(2)

def separate(input, output_dir, *, work, on_progress, gate=None, **_):
    def say():
        step = "load" if work == "load" and not is_open() else "separate"
        on_progress(step=step, completed=next(numbers), total=None)

    numbers = iter(range(10**9))
    is_open = lambda: gate is None or os.path.exists(gate)
    if work == "meet":
        meeting.wait()
    say()
    while not is_open():
        time.sleep(0.002)
        if work == "segments":
            say()
    if work == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if work == "fail":
        raise RuntimeError("nobody knows this one")
    if work == "memory":
        raise errors.OutOfMemory("Too much.")
    say()
    return separation.SeparationResult(
        {"vocals": "x"}, 44100, 1, 1, str(os.getpid()), 0.0, {"vocals": 0}
    )

separation.separate = separate
"""


def use_obedient_host(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, for processes that are started by this one."""
    (folder / "sitecustomize.py").write_text(_CUSTOM)
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{ROOT}")
