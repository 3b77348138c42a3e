"""The body of a request, on this machine's disk for a moment on its way into storage."""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from config.errors import NoRoom, Unavailable
from jobs.storage import storage_delete, storage_save

log = structlog.get_logger(__name__)
_BLOCK_BYTES: Final = 256 * 1024
_IS_LINUX: Final = sys.platform == "linux"


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Body:
    """A body of a known length, read in blocks. Its sender may be gone at any of them."""

    def __init__(self, source: Source, *, length: int) -> None:
        self._source = source
        self.left = length
        self.is_broken = False

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end, and none any more once the connection broke."""
        if self.is_broken or not self.left or not size:
            return b""
        try:
            block = self._source.read(min(size, self.left))
        except OSError:
            # Reset, or silent for too long; a client that just closes shows as an early end.
            block = b""
        self.left -= len(block)
        self.is_broken = not block
        return block


@dataclass(frozen=True)
class Piece:
    path: Path
    size_bytes: int
    digest: bytes


def room_check(size_bytes: int) -> str:
    """The folder where bodies arrive, if there is room for so much more."""
    folder = settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir()
    if shutil.disk_usage(folder).free - size_bytes < settings.UPLOAD_SPARE_BYTES:
        raise NoRoom
    return folder


@contextmanager
def spooled(body: Body, *, max_bytes: int, algorithm: str) -> Iterator[Piece]:
    """Up to so many bytes of the body, as a file that lasts as long as the block."""
    folder = room_check(max_bytes)
    # On Linux without a name: a killed process leaves nothing behind. Elsewhere a file could not be
    # opened a second time that way, with a position of its own.
    make: Any = tempfile.TemporaryFile if _IS_LINUX else tempfile.NamedTemporaryFile
    with make(dir=folder) as file:
        digest = hashlib.new(algorithm, usedforsecurity=False)
        size_bytes = _copy(body, file, digest, max_bytes)
        path = Path(f"/proc/self/fd/{file.fileno()}" if _IS_LINUX else file.name)
        yield Piece(path, size_bytes, digest.digest())


def _copy(body: Body, file: IO[bytes], digest: Any, max_bytes: int) -> int:
    size_bytes = 0
    try:
        while block := body.read(min(_BLOCK_BYTES, max_bytes - size_bytes)):
            file.write(block)
            digest.update(block)
            size_bytes += len(block)
        file.flush()
    except OSError as error:
        raise NoRoom from error
    return size_bytes


def piece_store(piece: Piece, *, upload_uuid: UUID, name: str) -> str:
    """Put it into storage under a key that nobody else has."""
    key = f"ingests/{upload_uuid}/{name}-{uuid4().hex}"
    try:
        storage_save(key=key, path=piece.path)
    except OSError as error:
        log.warning("part_not_stored", ingest=str(upload_uuid), exc_info=True)
        piece_remove(key)
        raise Unavailable(_("The bytes could not be stored; send them again.")) from error
    return key


def piece_remove(key: str) -> None:
    """Best done at once; what is left is swept with the whole upload."""
    try:
        storage_delete(key=key)
    except OSError:
        log.warning("part_not_removed", key=key, exc_info=True)
