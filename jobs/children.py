"""Programs that work on files of strangers: a process of their own, with limits, and no secrets."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1.0
_COMPLAINTS_MAX_BYTES = 8 * 1024
# From the end of its output to its own end.
_EXIT_S = 5.0


class ChildOverTime(Exception):
    """It took longer than it may."""


class ChildOverflow(Exception):
    """It said more than it may."""


@dataclass(frozen=True)
class ChildEnd:
    # As in `subprocess`: negative if a signal ended it.
    returncode: int
    output: bytes
    # The beginning of its standard error.
    complaints: str


def child_run(
    arguments: Sequence[str],
    *,
    folder: Path,
    total_s: float,
    max_output_bytes: int,
    descriptors: Sequence[int] = (),
    environ: Mapping[str, str] | None = None,
    on_tick: Callable[[], None] = lambda: None,
) -> ChildEnd:
    """Run a program to its end. `on_tick` is called about once a second and may raise to stop it.

    Raises ChildOverTime and ChildOverflow; nothing of it runs afterwards, whatever happens.
    """
    # A fixed program, and no shell.
    child = subprocess.Popen(  # noqa: S603
        arguments,
        cwd=folder,
        # Nothing of ours: neither passwords nor proxies.
        env={"PATH": os.defpath, "LANG": "C.UTF-8", **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=descriptors,
        # A group of its own, so that it ends with all that it may have started.
        start_new_session=True,
    )
    with child:
        try:
            output, complaints = _listen(
                child, time.monotonic() + total_s, max_output_bytes, on_tick
            )
            with suppress(subprocess.TimeoutExpired):
                child.wait(_EXIT_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    return ChildEnd(child.returncode, output, complaints.decode(errors="replace"))


def _listen(
    child: subprocess.Popen[bytes],
    end: float,
    max_output_bytes: int,
    on_tick: Callable[[], None],
) -> tuple[bytes, bytes]:
    """Read what it says, on both its outputs, until it closes them."""
    output, complaints = bytearray(), bytearray()
    ticked = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for stream, heard in ((child.stdout, output), (child.stderr, complaints)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, heard)
        while selector.get_map():
            now = time.monotonic()
            if now >= end:
                raise ChildOverTime
            if now - ticked >= _TICK_S:
                ticked = now
                on_tick()
            for key, _ in selector.select(min(_TICK_S, end - now)):
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                key.data.extend(data)
                if len(output) > max_output_bytes:
                    raise ChildOverflow
                del complaints[_COMPLAINTS_MAX_BYTES:]
    return bytes(output), bytes(complaints)
