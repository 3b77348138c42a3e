"""What a process that separates needs before it starts, and how it ends with its parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# Set in a process that was started with the environment below.
_GUARD = "STEMWRIGHT_PROCESS_PREPARED"
# Threads that spin while they wait take the core that another process needs.
_EVERYWHERE = {"OMP_WAIT_POLICY": "PASSIVE"}
# NumPy's linear algebra: its threads spin whatever that says. With one, to find the speakers of two
# minutes took 8.5 CPU seconds instead of 13.5 beside two busy processes on two cores, and a quarter
# less time. On other processors PyTorch has the same library, and would be slowed down.
if platform.machine().lower() in ("x86_64", "amd64"):
    _EVERYWHERE["OPENBLAS_NUM_THREADS"] = "1"
# Each segment takes and returns hundreds of large blocks. glibc would fetch them from the kernel
# and give them back each time, page by page; these keep them, in huge pages where the kernel has
# some. The last one needs glibc 2.35; an older one ignores it.
_LINUX = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
    "MALLOC_ARENA_MAX": "1",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
_PR_SET_PDEATHSIG = 1


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a process that separates: `values`, and what they leave open."""
    ours = _EVERYWHERE | (_LINUX if sys.platform == "linux" else {})
    return {**ours, **values}


def restart_prepared() -> None:
    """Start this program anew, once, if its environment lacks something; it keeps its process.

    The C library and OpenMP read their variables before the first line of Python runs.
    """
    prepared = environment(os.environ)
    is_restarted = os.environ.pop(_GUARD, "")
    if is_restarted or prepared == dict(os.environ):
        return
    if os.name != "posix" or not sys.executable:
        # On Windows another process would go on, and whoever waits for this one would not know.
        # An embedded interpreter has no program of its own.
        return
    # Where that cannot be, it goes on without, slower.
    with contextlib.suppress(OSError):
        # This very interpreter, with its own arguments: there is nothing to escape.
        os.execve(  # noqa: S606
            sys.executable, [sys.executable, *sys.orig_argv[1:]], {**prepared, _GUARD: "1"}
        )


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package; see `module_environment`."""
    return [sys.executable, "-P", "-m", module, *arguments]


def module_environment() -> dict[str, str]:
    """Return this process's environment, in which this package is found from any folder."""
    root = str(Path(__file__).resolve().parent.parent)
    paths = filter(None, [root, os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def run_aside(module: str, *arguments: str) -> None:
    """Run a module of this package that prepares something, in a process of its own.

    It stays in this process's folder: what the environment names may be relative to that.
    """
    subprocess.run(  # noqa: S603 - this very interpreter
        module_command(module, *arguments),
        check=True,
        stdin=subprocess.DEVNULL,
        env=module_environment(),
    )


def plain_environment() -> dict[str, str]:
    """Return this process's environment for a program that does not separate."""
    ours = _EVERYWHERE | _LINUX
    return {name: value for name, value in os.environ.items() if ours.get(name) != value}


def die_with_parent() -> None:
    """Let the kernel end this process with the thread that started it, even while it hangs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
