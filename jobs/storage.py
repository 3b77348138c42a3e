"""Files in storage: a folder of this machine's, or a bucket. Nothing else touches them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from django.core.files.storage import FileSystemStorage, storages

from jobs.link_tokens import token_make, token_read
from jobs.stores import StorageFailed as StorageFailed
from jobs.stores import Store
from jobs.stores.files import FileStore

if TYPE_CHECKING:
    from jobs.stores.bucket import BucketStore

_DOWNLOAD_SALT = "jobs.storage.download"


def storage_save(*, key: str, path: Path) -> None:
    """Store a local file under exactly this key, replacing what an earlier try left there."""
    _store().save(key, path)


def sha256_of(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def storage_open(*, key: str) -> IO[bytes]:
    """Read a stored file; `seek` fetches nothing, `read` little more than what is asked for."""
    return _store().open(key)


def storage_fetch(*, key: str, path: Path) -> None:
    """Copy a stored file to this machine."""
    _store().fetch(key, path)


def storage_delete(*, key: str) -> None:
    """Delete a file, and all versions that storage keeps; one that is gone already is fine."""
    _store().delete(key)


def storage_delete_tree(*, prefix: str, keep: str | None = None) -> None:
    """Delete every file below `prefix`, but those below the subfolder named `keep`."""
    _store().delete_tree(prefix, keep=keep)


def storage_has(*, key: str) -> bool:
    """Whether anything is left of a file: it, a version, or parts that were never put together."""
    return _store().has(key)


def storage_keys(*, before: datetime) -> Iterator[str]:
    """All that was stored before a moment, unfinished too; a key may come more than once."""
    return _store().keys(before=before)


def storage_link(
    *, key: str, method: str, seconds: int, content_type: str, disposition: str
) -> str | None:
    """A signed address where storage itself gives the file out, for at most an hour; or None."""
    return _store().link(
        key, method=method, seconds=seconds, content_type=content_type, disposition=disposition
    )


def storage_probe() -> None:
    """Raise unless storage can be written, read and deleted from, within seconds."""
    _store().probe()


def storage_bucket() -> "BucketStore | None":
    """The bucket, for what only a bucket can do; None where files are kept on disk."""
    store = _store()
    return None if isinstance(store, FileStore) else store  # type: ignore[return-value]


@contextmanager
def local_copy(*, key: str, folder: Path) -> Iterator[Path]:
    """A path that holds the stored file for as long as the block runs.

    It lies in `folder`, of which somebody else takes care should this process be killed, unless
    storage is on this machine.
    """
    store = _store()
    path = store.path(key)
    if path is not None:
        yield path
        return
    path = folder / "recording"
    store.fetch(key, path)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def download_token(asset_uuid: str, seconds: int | None = None) -> str:
    """A secret that allows to download one file for a while, at most 14 days."""
    return token_make(asset_uuid, salt=_DOWNLOAD_SALT, seconds=seconds)


@dataclass(frozen=True)
class Download:
    asset_uuid: str
    # How long the token still holds.
    seconds: int


def download_token_read(token: str) -> Download:
    asset_uuid, seconds = token_read(token, salt=_DOWNLOAD_SALT)
    return Download(str(asset_uuid), seconds)


def _store() -> Store:
    backend = storages["default"]
    if isinstance(backend, FileSystemStorage):
        return FileStore(backend)
    # Costs half a second, and is needed with a bucket only.
    from jobs.stores.bucket import BucketStore

    return BucketStore(backend)
