"""What is uploaded: a path, or an open file whose size is known or found out."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Union

# A path, or a file that is open for reading bytes.
Source = Union[str, "os.PathLike[str]", IO[bytes]]
# Called with the bytes that are there, and all.
OnProgress = Callable[[int, int], None]

BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True)
class OpenFile:
    handle: IO[bytes]
    filename: str
    size_bytes: int
    # Where it is on disk; None of what was handed over open.
    path: Path | None

    def read_from(self, offset: int, size_bytes: int) -> Iterator[bytes]:
        self.handle.seek(offset)
        left = size_bytes
        while left and (block := self.handle.read(min(left, BLOCK_BYTES))):
            left -= len(block)
            yield block


@contextmanager
def opened(source: Source, filename: str | None) -> Iterator[OpenFile]:
    """The file, closed afterwards unless it was open before."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        with path.open("rb") as handle:
            yield OpenFile(handle, filename or path.name, _size(handle), path)
        return
    name = filename or os.path.basename(str(getattr(source, "name", "") or "recording"))
    if source.seekable():
        yield OpenFile(source, name, _size(source), None)
        return
    # Of a pipe nobody knows the length, nor can anything be sent twice.
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(source, copy)
        yield OpenFile(copy, name, _size(copy), None)


def _size(handle: IO[bytes]) -> int:
    size_bytes = handle.seek(0, os.SEEK_END)
    handle.seek(0)
    return size_bytes
