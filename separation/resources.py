"""What each way of taking a recording apart checks before, and names when it runs out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from separation.audio.encode import raise_if_disk_full
from separation.audio.info import AudioInfo, AudioLimits
from separation.audio.probe import probe
from separation.errors import InvalidRequest, OutOfMemory, is_out_of_memory
from separation.progress import OnProgress


def check_output(path: Path, folder: Path, stems: Collection[str], *, kind: str = "stem") -> None:
    """Say before the work what would fail, or destroy the recording, after it.

    Parameters
    ----------
    path : path
        The recording.
    folder : path
        Where the files go; need not exist.
    stems : collection of str
        Their names without extension.
    kind : str
        What one of them is called.

    Raises
    ------
    InvalidRequest
    """
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InvalidRequest(f"Cannot write into '{folder}'.")
    if path.resolve().parent == folder.resolve() and path.stem in stems:
        raise InvalidRequest(
            f"The recording '{path.name}' lies where a {kind} would be written; "
            "choose another output folder."
        )


def probed(path: Path, limits: AudioLimits | None, on_progress: OnProgress) -> AudioInfo:
    """Probe a recording; the step `probe` says how far that is."""

    def on_decoded(n_samples: int) -> None:
        on_progress(step="probe", completed=n_samples, total=None)

    on_decoded(0)
    return probe(path, limits=limits, on_decoded=on_decoded)


@contextmanager
def named_resource_errors() -> Iterator[None]:
    """Turn running out of memory or disk, wherever it happens, into its named error."""
    try:
        yield
    except OSError as error:
        raise_if_disk_full(error)
        raise
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            message = "There was not enough memory; free some, or choose a smaller model."
            raise OutOfMemory(message) from error
        raise
