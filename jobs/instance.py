"""This cluster of workers, as its supervisor sees it: whether it still works, and shall stop.

The supervisor (`manage.py cluster`) shares a folder with the processes that it started. Not the
database: an outage of that must not look like a hung cluster. A file is touched, never written to:
that works on a full disk too, and the supervisor goes by its own clock.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

FOLDER_VARIABLE = "STEMWRIGHT_INSTANCE_DIR"
BUSY_PREFIX = "busy."


class Pulse(StrEnum):
    """Who says that it lives."""

    # A worker: it took a task, or is busy with a job.
    WORKER = "pulse"
    # A worker that ran the canary; the process that notes outcomes, which then heard of it.
    CANARY = "canary"
    MONITOR = "monitor"
    # The process that replaces others that died.
    SENTINEL = "sentinel"


def worker_name() -> str:
    """This process, as rows name who works at them."""
    return f"{socket.gethostname()}:{os.getpid()}"[:100]


def folder_prepare(folder: Path) -> None:
    """Make the files that are to be touched, while there is room for them."""
    for pulse in Pulse:
        os.utime(_touch(folder / pulse), (0, 0))


def is_supervised() -> bool:
    return _folder() is not None


def pulse_write(pulse: Pulse = Pulse.WORKER) -> None:
    """Say that this part of the cluster lives."""
    folder = _folder()
    if folder is not None:
        # Never a reason for work to fail.
        with suppress(OSError):
            _touch(folder / pulse)


def busy_write() -> None:
    """Say that this worker begins a task, and will take no other until it has ended."""
    folder = _folder()
    if folder is not None:
        with suppress(OSError):
            _touch(folder / f"{BUSY_PREFIX}{os.getpid()}")


def busy_end() -> None:
    folder = _folder()
    if folder is not None:
        with suppress(OSError):
            (folder / f"{BUSY_PREFIX}{os.getpid()}").unlink()


def stop_request(folder: Path) -> None:
    """Ask the workers to claim nothing more and to finish, or give back, what they have."""
    _touch(folder / "stop")


def is_stop_requested() -> bool:
    folder = _folder()
    return folder is not None and (folder / "stop").exists()


@contextmanager
def only_one(duty: str) -> Iterator[bool]:
    """Whether no other worker of this cluster is within; what hangs must not take them all.

    A lock of the kernel's: it ends with the process, however that ends.
    """
    folder = _folder()
    if folder is None:
        yield True
        return
    with (folder / f"only-one.{duty}").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_only_one = False
        else:
            is_only_one = True
        yield is_only_one


def _touch(path: Path) -> Path:
    path.touch()
    return path


def _folder() -> Path | None:
    # Without a supervisor, as in tests and under a bare `qcluster`, there is nobody to tell.
    value = os.environ.get(FOLDER_VARIABLE)
    return Path(value) if value else None
