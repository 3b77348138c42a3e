"""The process that separates for this worker: started when first needed, then kept, models and all.

It is a process of its own so that work can be ended at any moment, and so that one that runs out
of memory or crashes takes no worker with it. `separation.host` is its other half.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import IO, Any

import psutil
import structlog

import separation
from separation import AudioInfo, OnProgress, SeparationResult
from separation.errors import OutOfMemory
from separation.host import UnexpectedError, error_of, result_of

log = structlog.get_logger(__name__)

# A cancel has to be seen within a second, together with the heartbeat that brings it.
_LOOK_EVERY_S = 0.05
# From the request to stop to the kill. Segments take longer on a CPU, where a kill is cheap: the
# models are read again in some seconds.
_STOP_PATIENCE_S = 0.4
_KILL_PATIENCE_S = 5
_CHECK_EVERY_S = 5
_READ_BYTES = 1 << 16


class EngineLost(Exception):
    """The process ended in the middle of the work: killed for its memory, or crashed."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


def engine_separate(
    *,
    recording: Path,
    folder: Path,
    info: AudioInfo,
    watch: Callable[[], None],
    on_progress: OnProgress,
    **options: Any,
) -> SeparationResult:
    """As `separation.separate`, in the resident process; raises what that raises, or EngineLost.

    `watch` is called all the time, however long a segment takes. What it raises ends the work at
    once, and comes out here.
    """
    arguments = {
        "input": str(recording.resolve()),
        "output_dir": str(folder.resolve()),
        "info": asdict(info),
        **options,
    }
    return _resident.separate(arguments, watch=watch, on_progress=on_progress)


class EngineProcess:
    """One process, for one caller at a time.

    The kernel ends it with the thread that started it, so that has to be one that stays.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._received = b""

    @property
    def pid(self) -> int | None:
        """Of the process that runs now, if one does."""
        is_running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and is_running else None

    def separate(
        self,
        arguments: Mapping[str, Any],
        *,
        watch: Callable[[], None],
        on_progress: OnProgress,
    ) -> SeparationResult:
        if self.pid is None:
            self._start()
        number = next(self._numbers)
        try:
            self._send(number, command="separate", arguments=arguments)
            ending = self._await_ending(number, watch=watch, on_progress=on_progress)
        except EngineLost:
            self.close()
            raise
        except BaseException:
            self._stop(number)
            raise
        if ending["event"] == "result":
            return result_of(ending)
        error = error_of(ending)
        if isinstance(error, (OutOfMemory, UnexpectedError)):
            # What it holds, and what it broke, must not meet the next job.
            self.close()
        raise error

    def close(self) -> None:
        """Kill the process and all that it started."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it is gone
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            process.wait(_KILL_PATIENCE_S)
        except subprocess.TimeoutExpired:
            # Inside the kernel, which will let go of it some time.
            log.error("engine_not_reaped", pid=process.pid)

    def _start(self) -> None:
        self.close()
        self._received = b""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "separation", "host"],
                cwd=Path(separation.__file__).resolve().parent.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                # A group of its own: what it starts can be ended with it.
                start_new_session=True,
            )
        except OSError as error:
            # As where there is no memory for it.
            raise EngineLost(None) from error
        log.info("engine_started", pid=self._process.pid)

    def _stop(self, number: int) -> None:
        """Have the work end between two segments, else with the process."""
        deadline = time.monotonic() + _STOP_PATIENCE_S

        def watch() -> None:
            if time.monotonic() > deadline:
                raise TimeoutError

        try:
            self._send(number, command="cancel")
            self._await_ending(number, watch=watch, on_progress=_nothing)
        except (EngineLost, TimeoutError):
            log.info("engine_killed", pid=self.pid)
            self.close()

    def _await_ending(
        self, number: int, *, watch: Callable[[], None], on_progress: OnProgress
    ) -> Mapping[str, Any]:
        for event in self._events(watch):
            if event["id"] != number:
                continue  # the end of a separation that was stopped
            if event["event"] != "progress":
                return event
            on_progress(step=event["step"], completed=event["completed"], total=event["total"])
        raise EngineLost(self._exit_status())

    def _events(self, watch: Callable[[], None]) -> Iterator[Mapping[str, Any]]:
        """Yield what the process says until it ends, and look around all the while."""
        _, output = self._streams()
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            next_check = time.monotonic() + _CHECK_EVERY_S
            while True:
                watch()
                line, newline, rest = self._received.partition(b"\n")
                if newline:
                    self._received = rest
                    yield json.loads(line)
                elif selector.select(_LOOK_EVERY_S):
                    chunk = os.read(output.fileno(), _READ_BYTES)
                    if not chunk:
                        return
                    self._received += chunk
                elif time.monotonic() >= next_check:
                    next_check = time.monotonic() + _CHECK_EVERY_S
                    if self._is_stopped():
                        raise EngineLost(None)

    def _send(self, number: int, **values: Any) -> None:
        requests, _ = self._streams()
        try:
            requests.write(json.dumps({"id": number, **values}).encode() + b"\n")
        except OSError as error:
            raise EngineLost(self._exit_status()) from error

    def _streams(self) -> tuple[IO[bytes], IO[bytes]]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise EngineLost(None)
        return process.stdin, process.stdout

    def _is_stopped(self) -> bool:
        """Whether somebody stopped it (SIGSTOP): it would use up the time of the job."""
        try:
            status = psutil.Process(self.pid).status() if self.pid else None
        except psutil.NoSuchProcess:
            return False
        return bool(status == psutil.STATUS_STOPPED)

    def _exit_status(self) -> int | None:
        if self._process is None:
            return None
        try:
            return self._process.wait(_KILL_PATIENCE_S)
        except subprocess.TimeoutExpired:
            return None


def _nothing(*, step: str, completed: int, total: int | None) -> None:
    pass


_resident = EngineProcess()
