"""Processes that encode stems, so that a fast engine does not wait for Python.

A CPU engine needs none: there the stems are encoded beside the model, in the thread that joins
its segments. See docs/adr/0018-segments-of-several-recordings.md.
"""

from __future__ import annotations

import atexit
import itertools
import mmap
import os
import queue
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from separation.errors import EncoderLost
from separation.process import module_command, module_environment

# Samples on their way to one process: enough that it does not wait between two of its turns.
_N_SLOTS = 8
_SLOT_BYTES = 1 << 20

MAX_ENCODERS = 64
_MAX_BY_DEFAULT = 4

Samples = npt.NDArray[np.floating] | npt.NDArray[np.int32]


class Writer(Protocol):
    """One stem on its way into a file, as `StemWriter` is."""

    n_clipped: int

    def write(self, samples: Samples) -> None: ...

    def commit(self) -> None: ...

    def discard(self) -> None: ...


MakeWriter = Callable[..., Writer]


def default_encoders(device: str) -> int:
    """Return how many processes encode for an engine on a device."""
    if device == "cpu":
        return 0
    return min(_MAX_BY_DEFAULT, (os.cpu_count() or 1) // 2)


class EncoderPool:
    """Processes that encode stems, each several at a time.

    One that ends by itself takes the stems that it had with it (EncoderLost) and is replaced.
    Safe for threads.

    Parameters
    ----------
    n_processes : int
        1 or more; they start at once and in the background.
    """

    def __init__(self, n_processes: int) -> None:
        self._lock = threading.Lock()
        self._processes: list[_Process] = []
        self.grow(n_processes)

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [process.pid for process in self._processes]

    def grow(self, n_processes: int) -> None:
        """Have at least so many processes."""
        with self._lock:
            while len(self._processes) < n_processes:
                self._processes.append(_Process())

    def writer(self, path: Path, form: Any, **arguments: Any) -> Writer:
        """Open a stem; takes what `StemWriter` takes.

        Raises
        ------
        EncoderLost
            If the process ends.
        """
        with self._lock:
            for index, process in enumerate(self._processes):
                if process.is_lost:
                    self._processes[index] = _Process()
            process = min(self._processes, key=lambda process: process.n_stems)
            number = process.open_stem()
        return _RemoteWriter(process, number, path, {"form": form, **arguments})

    def close(self) -> None:
        """End the processes; files that they had not finished are removed."""
        with self._lock:
            for process in self._processes:
                process.end()
            self._processes.clear()


class _RemoteWriter:
    """One stem that another process encodes."""

    def __init__(
        self, process: _Process, number: int, path: Path, arguments: dict[str, Any]
    ) -> None:
        self.n_clipped = 0
        self._process = process
        self._number = number
        self._path = path
        self._is_committed = self._is_over = self._asked_to_commit = False
        self._before: int | None = None
        try:
            self._draft: Path = process.ask("open", number, str(path), arguments)
        except BaseException:
            self._end()
            raise

    def write(self, samples: Samples) -> None:
        """Hand on (channels, n) samples; an error of an earlier call may come out here."""
        if not samples.shape[1]:
            return
        width = max(1, _SLOT_BYTES // (samples.shape[0] * samples.itemsize))
        for start in range(0, samples.shape[1], width):
            self._process.write(self._number, samples[:, start : start + width])

    def commit(self) -> None:
        """Wait until all is encoded, finish the file and give it its final name."""
        self._before, self._asked_to_commit = _identity(self._path), True
        self.n_clipped += self._process.ask("commit", self._number)
        self._is_committed = True
        self._end()

    def discard(self) -> None:
        """Remove whatever was written, under either name."""
        if not self._is_over:
            try:
                self._process.ask("discard", self._number)
            except Exception:  # noqa: S110 - whatever failed there, the file goes here
                pass
            self._draft.unlink(missing_ok=True)
            self._end()
            # Who was interrupted while waiting for a commit, or lost the process, did not hear
            # that the file has its final name by now.
            if self._asked_to_commit and _identity(self._path) != self._before:
                self._is_committed = True
        if self._is_committed:
            self._path.unlink(missing_ok=True)

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._process.close_stem(self._number)


class _Process:
    """One process: a socket for words, shared memory for samples, a thread that listens."""

    def __init__(self) -> None:
        self.is_lost = False
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._numbers = itertools.count()
        self._free = list(range(_N_SLOTS))
        self._answers: dict[int, queue.SimpleQueue[Any]] = {}
        self._failures: dict[int, Exception] = {}
        ours, theirs = socket.socketpair()
        memory = _shared_memory(_N_SLOTS * _SLOT_BYTES)
        try:
            self._memory = mmap.mmap(memory, _N_SLOTS * _SLOT_BYTES)
            self._process = _start(theirs.fileno(), memory)
        finally:
            theirs.close()
            os.close(memory)
        self._connection = Connection(ours.detach())
        self._thread = threading.Thread(target=self._listen, name="encoder", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def n_stems(self) -> int:
        """How many are in work."""
        return len(self._answers)

    def open_stem(self) -> int:
        """Return a number for a stem; `close_stem` forgets it."""
        with self._changed:
            number = next(self._numbers)
            self._answers[number] = queue.SimpleQueue()
            return number

    def close_stem(self, number: int) -> None:
        with self._changed:
            self._answers.pop(number, None)
            self._failures.pop(number, None)

    def ask(self, method: str, number: int, *arguments: Any) -> Any:
        """Let the process do something and return what it says.

        Raises
        ------
        EncoderLost
            If it ends meanwhile.
        Exception
            What it met in this stem, now or before.
        """
        self._check(number)
        answers = self._answers[number]
        self._send(method, number, *arguments)
        answer = answers.get()
        self._check(number)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def write(self, number: int, samples: Samples) -> None:
        """Put samples where the process finds them; wait for a place."""
        with self._changed:
            while not self._free and not self.is_lost:
                self._changed.wait()
            self._check(number)
            slot = self._free.pop()
        at = slot * _SLOT_BYTES
        place = np.frombuffer(self._memory, samples.dtype, samples.size, at)
        place.reshape(samples.shape)[...] = samples
        self._send("write", number, slot, at, samples.shape, samples.dtype.str)

    def end(self) -> None:
        """Let the process end, and wait for it; a second call does nothing."""
        with self._sending:
            if not self._connection.closed:
                # The descriptor is the listener's to close: it reads from it.
                socket_of = socket.socket(fileno=os.dup(self._connection.fileno()))
                with socket_of:
                    socket_of.shutdown(socket.SHUT_WR)
        self._thread.join()

    def _check(self, number: int) -> None:
        failure = self._failures.get(number)
        if failure is not None:
            raise failure
        if self.is_lost:
            raise EncoderLost("A process that encodes stems ended by itself.")

    def _send(self, *words: Any) -> None:
        try:
            with self._sending:
                self._connection.send(words)
        except OSError as error:
            raise EncoderLost("A process that encodes stems ended by itself.") from error

    def _listen(self) -> None:
        try:
            while True:
                kind, number, value = self._connection.recv()
                self._hear(kind, number, value)
        except (EOFError, OSError):
            pass
        finally:  # whatever it was: who waits for an answer must not wait for ever
            with self._changed:
                self.is_lost = True
                for answers in self._answers.values():
                    answers.put(None)  # `ask` looks whether there is anybody
                self._changed.notify_all()
            with self._sending:
                self._connection.close()
            self._process.wait()

    def _hear(self, kind: str, number: int, value: Any) -> None:
        with self._changed:
            if kind == "free":
                self._free.append(number)
                self._changed.notify()
            elif kind == "failed":
                self._failures[number] = value
            elif number in self._answers:
                self._answers[number].put(value)


def _identity(path: Path) -> int | None:
    """Tell a file from another one of its name; None if there is none."""
    return path.stat().st_ino if path.exists() else None


def _start(channel: int, memory: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - this very interpreter
        module_command("separation.encoding", str(channel), str(memory)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(channel, memory),
        env=module_environment(),
    )


def _shared_memory(n_bytes: int) -> int:
    """Return the descriptor of memory without a name, which goes with its last user."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("stemwright-encoder")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, n_bytes)
    return descriptor


_pool: EncoderPool | None = None
_lock = threading.Lock()


def encoder_pool(n_processes: int) -> EncoderPool:
    """Return the pool of this process, with at least so many processes in it."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = EncoderPool(n_processes)
        _pool.grow(n_processes)
        return _pool


def close_encoders() -> None:
    """End the pool of this process, if there is one."""
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.close()


atexit.register(close_encoders)
