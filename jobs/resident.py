"""One process that works on recordings, from its start to its end, as those who wait see it."""

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil
import structlog

import separation
from separation.process import environment

log = structlog.get_logger(__name__)

Event = Mapping[str, Any]
# What is said of one separation; None after the end of the process.
Events = SimpleQueue[Event | None]

_TICK_S = 1.0
_CHECK_EVERY_S = 5.0
_READ_BYTES = 1 << 16
_KILL_PATIENCE_S = 5
# From a request to stop to the conclusion that the process hangs. A separation sees the request
# between two of its segments, which on a busy CPU may be many seconds apart.
_HANG_PATIENCE_S = 60.0
# Nor does one see it that waits for a model, which may have to be fetched (20 minutes at most) and
# prepared; others may wait for the same one.
_LOAD_PATIENCE_S = 1500.0
_LOADING = {"load", "prepare"}


class EngineLost(Exception):
    """The process ended in the middle of the work: killed for its memory, or crashed."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class Resident:
    """A process, and the thread that starts it, listens to it and buries it.

    That thread stays for as long as the process: the kernel ends the process with the thread that
    started it. Everything else may be called from any thread.

    Raises
    ------
    EngineLost
        If there is no memory for it, or no process to be had.
    """

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._state = threading.Lock()
        self._sending = threading.Lock()
        self._calls: dict[int, Events] = {}
        # Separations that nobody waits for any more: when they are to have stopped.
        self._left: dict[int, float] = {}
        self._loading: set[int] = set()
        # As `separation.loaded` tells of them.
        self.models: list[dict[str, str]] = []
        self._is_tired = self._is_killed = False
        self._heard_at = time.monotonic()
        started = threading.Event()
        try:
            threading.Thread(target=self._keep, args=(started,), name="engine", daemon=True).start()
        except RuntimeError as error:
            raise EngineLost(None) from error
        started.wait()
        if self._process is None:
            raise EngineLost(None)

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def status(self) -> int | None:
        """The exit status, once it has ended."""
        return self._process.returncode if self._process is not None else None

    @property
    def is_winding_up(self) -> bool:
        """Whether it takes nothing more, and somebody still waits for what it does."""
        with self._state:
            return self._is_tired and bool(self._calls)

    def begin(self, number: int, command: str, arguments: Mapping[str, Any]) -> Events | None:
        """Have it do something; None if it takes nothing more."""
        events: Events = SimpleQueue()
        with self._state:
            if self._is_tired or self.ended.is_set() or self.pid is None:
                return None
            self._calls[number] = events
        self._send(number, command=command, arguments=arguments)
        return events

    def cancel(self, number: int) -> None:
        self._send(number, command="cancel")

    def end(self, number: int) -> None:
        """Nobody waits for this work any more; its end was heard of."""
        with self._state:
            self._calls.pop(number, None)
            is_over = self._is_tired and not self._calls
        if is_over:
            self.kill("tired")

    def leave(self, number: int) -> None:
        """Nobody waits for this work any more, though it goes on."""
        with self._state:
            if number in self._calls:
                patience_s = _LOAD_PATIENCE_S if number in self._loading else _HANG_PATIENCE_S
                self._left[number] = time.monotonic() + patience_s
        self.end(number)

    def retire(self) -> None:
        """Take nothing more; end when those who are within have ended."""
        with self._state:
            self._is_tired = True

    def kill(self, why: str) -> None:
        """End the process and all that it started, at once."""
        process = self._process
        with self._state:
            is_late = self._is_killed or self.ended.is_set()
            self._is_killed = self._is_tired = True
        if process is not None and not is_late:
            log.info("engine_killed", pid=process.pid, why=why)
            _kill_group(process.pid)

    def _keep(self, started: threading.Event) -> None:
        try:
            self._process = _start()
        except OSError:
            log.warning("engine_not_started", exc_info=True)
        finally:
            started.set()
        if self._process is None:
            self.ended.set()
            return
        log.info("engine_started", pid=self._process.pid)
        try:
            self._listen(self._process)
        except Exception:
            # What it says cannot be understood: it is of no use any more.
            log.exception("engine_not_understood")
        finally:
            self._bury(self._process)

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        """Pass on what it says until it ends, and look after it all the while."""
        received = b""
        next_check = time.monotonic() + _CHECK_EVERY_S
        events = process.stdout
        if events is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(events, selectors.EVENT_READ)
            while True:
                if selector.select(_TICK_S):
                    chunk = os.read(events.fileno(), _READ_BYTES)
                    if not chunk:
                        return
                    *lines, received = (received + chunk).split(b"\n")
                    for line in lines:
                        self._tell(json.loads(line))
                elif process.poll() is not None:
                    # Something that it started still holds the other end of the pipe.
                    return
                if self._hangs():
                    self.kill("hangs")
                if time.monotonic() >= next_check:
                    next_check = time.monotonic() + _CHECK_EVERY_S
                    if _is_stopped(process.pid):
                        self.kill("stopped")

    def _tell(self, event: Event) -> None:
        number = event["id"]
        if event["event"] == "loaded":
            self.models = event["models"]
            return
        with self._state:
            self._heard_at = time.monotonic()
            if event["event"] == "progress":
                events = self._calls.get(number)
                self._loading.discard(number)
                if event["step"] in _LOADING:
                    self._loading.add(number)
            else:
                events = self._calls.pop(number, None)
                self._left.pop(number, None)
                self._loading.discard(number)
        if events is not None:
            events.put(event)

    def _hangs(self) -> bool:
        """Whether it did not stop what it was to stop, and is of no use to anybody else.

        It takes nothing more in any case. Others that still get on in it are let finish.
        """
        now = time.monotonic()
        with self._state:
            if not any(until < now for until in self._left.values()):
                return False
            self._is_tired = True
            return not self._calls or now - self._heard_at > _HANG_PATIENCE_S

    def _send(self, number: int, **values: Any) -> None:
        """A process that is gone is not told; those who wait for it hear of its end."""
        line = json.dumps({"id": number, **values}).encode() + b"\n"
        requests = self._process.stdin if self._process is not None else None
        if requests is not None:
            # ValueError: closed by the thread that buries it.
            with self._sending, suppress(OSError, ValueError):
                requests.write(line)

    def _bury(self, process: "subprocess.Popen[bytes]") -> None:
        _kill_group(process.pid)
        with self._sending:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        try:
            process.wait(_KILL_PATIENCE_S)
        except subprocess.TimeoutExpired:
            # Inside the kernel, which will let go of it some time.
            log.error("engine_not_reaped", pid=process.pid)
        with self._state:
            self.ended.set()
            for events in self._calls.values():
                events.put(None)


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "separation", "host"],
        cwd=Path(separation.__file__).resolve().parent.parent,
        env=environment(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        # A group of its own: what it starts can be ended with it.
        start_new_session=True,
    )


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it is gone


def _is_stopped(pid: int) -> bool:
    """Whether somebody stopped it (SIGSTOP): it would use up the time of its jobs."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False
