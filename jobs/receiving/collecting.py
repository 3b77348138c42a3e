from collections.abc import Callable
from pathlib import Path
from typing import IO

from jobs.models import Ingest, IngestKind
from jobs.storage import storage_open

_BLOCK_BYTES = 1024 * 1024


def ingest_collect(
    ingest: Ingest, *, path: Path, on_tick: Callable[[], None] = lambda: None
) -> None:
    """Write the complete recording to `path`. OSError: storage does not give what it was given.

    `on_tick` is called at each piece, and each MiB of a larger one, and may raise to stop.
    """
    with path.open("wb") as target:
        position = 0
        for part in ingest.parts.order_by("position"):
            if ingest.kind == IngestKind.TUS and part.position != position:
                raise OSError(f"the parts of upload {ingest.uuid} leave a gap at {position}")
            size_bytes = _copy(part.storage_key, target, on_tick)
            if size_bytes != part.size_bytes:
                raise OSError(f"{part.storage_key} has {size_bytes} bytes")
            position += size_bytes
    if position != ingest.size_bytes:
        raise OSError(f"upload {ingest.uuid} has {position} bytes instead of {ingest.size_bytes}")


def _copy(key: str, target: IO[bytes], on_tick: Callable[[], None]) -> int:
    size_bytes = 0
    with storage_open(key=key) as source:
        while block := source.read(_BLOCK_BYTES):
            on_tick()
            size_bytes += target.write(block)
    return size_bytes
