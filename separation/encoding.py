"""A process that encodes stems for another one, which started it: see `separation.encoders`.

It ends with its parent, however that ends: its side of the socket says so, and what is half
written is removed.
"""

from __future__ import annotations

import mmap
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from separation.audio.encode import StemWriter
from separation.errors import SeparationError


def main() -> None:
    """Serve the socket and the memory whose descriptors are on the command line."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # They reach whole groups of processes and are for the parent to answer.
        signal.signal(number, signal.SIG_IGN)
    connection, memory = Connection(int(sys.argv[1])), mmap.mmap(int(sys.argv[2]), 0)
    Encoding(connection, memory).run()


class Encoding:
    """The stems that this process encodes, by the numbers that the parent gave them.

    Parameters
    ----------
    connection : Connection
        Brings (method, number, arguments...); takes (kind, number or slot, value).
    memory : mmap
        Shared with the parent, which puts samples into it.
    """

    def __init__(self, connection: Connection, memory: mmap.mmap) -> None:
        self._connection = connection
        self._memory = memory
        self._writers: dict[int, StemWriter] = {}

    def run(self) -> None:
        """Do what the parent says until it is gone."""
        try:
            while True:
                method, number, *arguments = self._connection.recv()
                if method == "write":
                    self._write(number, *arguments)
                else:
                    self._answer(method, number, *arguments)
        except (EOFError, OSError):
            pass
        finally:
            for writer in self._writers.values():
                writer.discard()

    def _write(self, number: int, slot: int, at: int, shape: tuple[int, int], kind: str) -> None:
        try:
            writer = self._writers.get(number)
            if writer is not None:
                samples = np.frombuffer(self._memory, kind, shape[0] * shape[1], at)
                writer.write(samples.reshape(shape))
        except Exception as error:
            # Said once; what follows of this stem goes nowhere.
            self._writers.pop(number).discard()
            self._connection.send(("failed", number, plain(error)))
        self._connection.send(("free", slot, None))

    def _answer(self, method: str, number: int, *arguments: Any) -> None:
        value: Any = None
        try:
            if method == "open":
                self._writers[number] = _open(*arguments)
                value = self._writers[number].draft
            elif number in self._writers:
                writer = self._writers[number]
                value = writer.n_clipped
                writer.commit() if method == "commit" else writer.discard()
                del self._writers[number]
        except Exception as error:
            value = plain(error)
        self._connection.send(("answer", number, value))


def _open(path: str, arguments: dict[str, Any]) -> StemWriter:
    return StemWriter(Path(path), **arguments)


def plain(error: Exception) -> Exception:
    """Return an error as one that can be sent to another process."""
    if isinstance(error, SeparationError):
        return type(error)(str(error))
    if isinstance(error, OSError):
        return OSError(error.errno, error.strerror, error.filename)
    if isinstance(error, MemoryError):
        return MemoryError(str(error))
    return RuntimeError("".join(traceback.format_exception(error)))


if __name__ == "__main__":
    main()
