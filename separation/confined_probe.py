"""`probe` in a process of its own that may use little and reach nothing.

``python -m separation.confined_probe REQUEST`` takes one JSON object (`Request`) and prints one:
the `AudioInfo`, or the name and the message of a `SeparationError`. Whoever starts it keeps the
time, and passes the recording as an open file: its name is of no consequence.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from av.error import FFmpegError

from separation.audio.info import AudioLimits
from separation.audio.probe import probe
from separation.errors import BrokenMedia, OutOfMemory, SeparationError

# Enough for what is open already, the recording and its second look.
_MAX_FILES = 16
_BLOCK_BYTES = 1024 * 1024

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


@dataclass(frozen=True, slots=True)
class Request:
    """What to probe, and within which limits.

    `descriptor` is an open file; `guess` the kind of recording that is claimed; `memory_bytes`
    limits the whole address space, `cpu_s` the time that the process computes; `parent` is the
    process that waits for the answer.
    """

    descriptor: int
    guess: str | None
    max_duration_s: float | None
    max_samples: int | None
    memory_bytes: int
    cpu_s: int
    parent: int


def main(request: Request) -> dict[str, Any]:
    """Probe, and say how it went."""
    confine(memory_bytes=request.memory_bytes, cpu_s=request.cpu_s, parent=request.parent)
    leave_network()
    limits = AudioLimits(max_duration_s=request.max_duration_s, max_samples=request.max_samples)
    try:
        info = probe(f"/dev/fd/{request.descriptor}", limits=limits, guess=request.guess)
    except SeparationError as error:
        return {"error": type(error).__name__, "message": error.message}
    except (MemoryError, OSError) as error:
        if isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
            message = "The recording needs too much memory."
            return {"error": OutOfMemory.__name__, "message": message}
        if not _is_of_the_recording(error, request.descriptor):
            raise
        message = "The recording is damaged: most of it cannot be decoded."
        return {"error": BrokenMedia.__name__, "message": message}
    return {"info": asdict(info)}


def _is_of_the_recording(error: OSError, descriptor: int) -> bool:
    """Whether the error is none of the system's: the file itself can be read to its end.

    FFmpeg's readers say "input/output error" and "not permitted" of what makes no sense to them.
    """
    if not isinstance(error, FFmpegError) or error.errno in {errno.EMFILE, errno.ENFILE}:
        return False
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        file.seek(0)
        while file.read(_BLOCK_BYTES):
            pass
    return True


def confine(
    *,
    memory_bytes: int,
    cpu_s: int,
    parent: int,
    file_bytes: int = 0,
    max_files: int = _MAX_FILES,
) -> None:
    """Give up, for good, more than this: memory, computing, files; and the life after `parent`."""
    for what, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, max_files),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        lowered = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        # A second more until SIGKILL, so that SIGXCPU tells why.
        spare = 1 if what == resource.RLIMIT_CPU and lowered != hard else 0
        resource.setrlimit(what, (lowered, lowered + spare))
    if sys.platform == "linux":
        system = ctypes.CDLL(None, use_errno=True)
        system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # A worker that is killed takes its child along.
        system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # It was killed before it could take us along.
        os._exit(1)


def leave_network() -> None:
    """Move into a network of this process's own, which has nothing in it, where that is allowed.

    Root may, others only where the system lets them. Elsewhere FFmpeg's list of allowed protocols
    must do: files only.
    """
    if sys.platform == "linux":
        system = ctypes.CDLL(None, use_errno=True)
        if system.unshare(_CLONE_NEWNET) != 0:
            system.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


if __name__ == "__main__":
    # What the decoders say of damaged packets is of no interest.
    with suppress(BrokenPipeError):
        answer = main(Request(**json.loads(sys.argv[1])))
        sys.stdout.write(json.dumps(answer))
        sys.stdout.flush()
