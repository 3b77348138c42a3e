"""This cluster of workers, as its supervisor sees it: whether it still works, and shall stop.

The supervisor (`manage.py cluster`) shares a folder with the processes that it started. Not the
database: an outage of that must not look like a hung cluster.
"""

import os
import time
from pathlib import Path

FOLDER_VARIABLE = "STEMWRIGHT_INSTANCE_DIR"


def pulse_write() -> None:
    """Say that a worker of this cluster lives: it took a task, or is busy with a job."""
    folder = _folder()
    if folder is not None:
        draft = folder / f"pulse.{os.getpid()}"
        # The clock that all processes of a machine share, and nobody sets.
        draft.write_text(str(time.monotonic()))
        draft.replace(folder / "pulse")


def pulse_age_s(folder: Path) -> float | None:
    """How long ago that was; None if it never was."""
    try:
        return time.monotonic() - float((folder / "pulse").read_text())
    except FileNotFoundError:
        return None


def stop_request(folder: Path) -> None:
    """Ask the workers to claim nothing more and to finish, or give back, what they have."""
    (folder / "stop").touch()


def is_stop_requested() -> bool:
    folder = _folder()
    return folder is not None and (folder / "stop").exists()


def _folder() -> Path | None:
    # Without a supervisor, as in tests and under a bare `qcluster`, there is nobody to tell.
    value = os.environ.get(FOLDER_VARIABLE)
    return Path(value) if value else None
