"""Files on a disk of this machine's."""

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO
from uuid import uuid4

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage

from jobs.stores import StorageFailed


class FileStore:
    def __init__(self, backend: FileSystemStorage) -> None:
        self._backend = backend

    def save(self, key: str, path: Path) -> None:
        self._backend.delete(key)
        with path.open("rb") as handle:
            saved = self._backend.save(key, File(handle))
        if saved != key:
            self._backend.delete(saved)
            raise StorageFailed(f"storage already holds {key}")

    def open(self, key: str) -> IO[bytes]:
        return Path(self._backend.path(key)).open("rb")

    def path(self, key: str) -> Path:
        return Path(self._backend.path(key))

    def fetch(self, key: str, path: Path) -> None:
        shutil.copyfile(self.path(key), path)

    def delete(self, key: str) -> None:
        self._backend.delete(key)
        self._tidy(Path(key))

    def _tidy(self, key: Path) -> None:
        """Remove the folders that held nothing but this file.

        Of attempts only (jobs/<id>/<attempt>/…): into others somebody may be about to write.
        """
        if len(key.parts) < 4:
            return
        for folder in list(key.parents)[:2]:
            try:
                self.path(str(folder)).rmdir()
            except OSError:
                # Others are in it, or it is gone.
                return

    def delete_tree(self, prefix: str, *, keep: str | None) -> None:
        try:
            folders, files = self._backend.listdir(prefix)
        except FileNotFoundError:
            return
        for name in files:
            self._backend.delete(f"{prefix}/{name}")
        for name in folders:
            if name != keep:
                self.delete_tree(f"{prefix}/{name}", keep=None)
        if keep is None:
            # The folder, which is empty now.
            self._backend.delete(prefix)

    def has(self, key: str) -> bool:
        return self.path(key).exists()

    def link(
        self, key: str, *, method: str, seconds: int, content_type: str, disposition: str
    ) -> None:
        return None

    def keys(self, *, before: datetime) -> Iterator[str]:
        root = self.path("")
        for folder, _, names in os.walk(root):
            for name in names:
                path = Path(folder, name)
                try:
                    is_older = path.lstat().st_mtime < before.timestamp()
                except FileNotFoundError:
                    continue
                if is_older:
                    yield path.relative_to(root).as_posix()

    def probe(self) -> None:
        # A full disk or a lost right shows in nothing less than a write.
        content = b"ready"
        name = self._backend.save(f"readyz-{uuid4()}", ContentFile(content))
        try:
            with self._backend.open(name) as handle:
                if handle.read() != content:
                    raise StorageFailed("storage gave back something else than it was given")
        finally:
            self._backend.delete(name)
