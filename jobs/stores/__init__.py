"""Where files can be kept: on a disk, or in a bucket. Only `jobs.storage` uses them."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol


class StorageFailed(OSError):
    """Storage did not do what it was asked to; another try may find it well again."""


class Store(Protocol):
    """All of them raise OSErrors only: FileNotFoundError, or what is wrong with storage."""

    def save(self, key: str, path: Path) -> None:
        """Keep a local file under exactly this key, in place of what is there."""

    def open(self, key: str) -> IO[bytes]:
        """Read a file from any place on, without fetching the whole of it."""

    def path(self, key: str) -> Path | None:
        """Where the file lies on this machine; None if it has to be fetched."""

    def fetch(self, key: str, path: Path) -> None:
        """Copy a file to this machine."""

    def delete(self, key: str) -> None:
        """Remove a file and all its versions; one that is gone already is fine."""

    def delete_tree(self, prefix: str, *, keep: str | None) -> None:
        """Remove all files below a folder but those of its subfolder `keep`."""

    def has(self, key: str) -> bool:
        """Whether anything at all is left of a file."""

    def link(
        self, key: str, *, method: str, seconds: int, content_type: str, disposition: str
    ) -> str | None:
        """A signed address of the file's own; None if there is no such thing here."""

    def keys(self, *, before: datetime) -> Iterator[str]:
        """All that was stored before a moment, unfinished too; a key may come more than once."""

    def probe(self) -> None:
        """Write, read and delete something small, quickly or not at all."""
