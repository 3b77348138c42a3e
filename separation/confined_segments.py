"""`write_segments` in a process of its own that may use little and reach nothing.

``python -m separation.confined_segments REQUEST`` takes one JSON object (`Request`) and prints one:
what was written, or the name and the message of a `SeparationError`. As in `confined_probe`,
whoever starts it keeps the time, and passes the files open.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from separation.audio.segments import write_segments
from separation.confined_probe import confine, leave_network
from separation.errors import BrokenMedia, OutOfMemory, SeparationError


@dataclass(frozen=True, slots=True)
class Request:
    """What to write, and within which limits.

    `descriptor`, `audio` and `peaks` are open files: the recording, and where it goes. Neither may
    become longer than `file_bytes`. The other limits are those of `confined_probe.Request`.
    """

    descriptor: int
    audio: int
    peaks: int
    start: int
    end: int
    file_bytes: int
    memory_bytes: int
    cpu_s: int
    parent: int


def main(request: Request) -> dict[str, Any]:
    """Write the files, and say how it went."""
    confine(
        memory_bytes=request.memory_bytes,
        cpu_s=request.cpu_s,
        parent=request.parent,
        file_bytes=request.file_bytes,
    )
    leave_network()
    try:
        with os.fdopen(request.audio, "wb") as audio, os.fdopen(request.peaks, "wb") as peaks:
            written = write_segments(
                f"/dev/fd/{request.descriptor}",
                audio=audio,
                peaks=peaks,
                start=request.start,
                end=request.end,
            )
    except SeparationError as error:
        return {"error": type(error).__name__, "message": error.message}
    except (MemoryError, OSError) as error:
        if isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
            return {"error": OutOfMemory.__name__, "message": "It needs too much memory."}
        if error.errno == errno.EFBIG:
            return {"error": BrokenMedia.__name__, "message": "It is longer than it said."}
        raise
    return {"written": asdict(written)}


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        answer = main(Request(**json.loads(sys.argv[1])))
        sys.stdout.write(json.dumps(answer))
        sys.stdout.flush()
