"""Files in object storage, behind Django's storage API; nothing else touches it."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from django.conf import settings
from django.core import signing
from django.core.files import File
from django.core.files.storage import default_storage

from config.errors import NotFound

_DOWNLOAD_SALT = "jobs.storage.download"


def storage_save(*, key: str, path: Path) -> None:
    """Store a local file under exactly this key, replacing what an earlier try left there."""
    storage_delete(key=key)
    with path.open("rb") as handle:
        saved = default_storage.save(key, File(handle))
    if saved != key:
        default_storage.delete(saved)
        raise OSError(f"storage already holds {key}")


def sha256_of(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def storage_open(*, key: str) -> IO[Any]:
    return default_storage.open(key, "rb")


def storage_delete(*, key: str) -> None:
    """Delete a file; one that is gone already is fine."""
    default_storage.delete(key)


def storage_delete_tree(*, prefix: str, keep: str | None = None) -> None:
    """Delete every file below `prefix`, but those below the subfolder named `keep`."""
    try:
        folders, files = default_storage.listdir(prefix)
    except FileNotFoundError:
        return
    for name in files:
        storage_delete(key=f"{prefix}/{name}")
    for name in folders:
        if name != keep:
            storage_delete_tree(prefix=f"{prefix}/{name}")
    if keep is None:
        # Removes the empty folder where storage has folders; elsewhere there is nothing to remove.
        default_storage.delete(prefix)


@contextmanager
def local_copy(*, key: str) -> Iterator[Path]:
    """A path that holds the stored file for as long as the block runs."""
    try:
        yield Path(default_storage.path(key))
    except NotImplementedError:
        with TemporaryDirectory(prefix="stemwright-") as folder:
            path = Path(folder) / "recording"
            with storage_open(key=key) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
            yield path


def download_token(asset_uuid: str) -> str:
    """A secret that allows to download one file for a while."""
    return signing.dumps(asset_uuid, salt=_DOWNLOAD_SALT)


def download_token_read(token: str) -> str:
    try:
        return str(signing.loads(token, salt=_DOWNLOAD_SALT, max_age=settings.DOWNLOAD_URL_SECONDS))
    except signing.BadSignature:
        # Expired or forged: both are the same "nothing here" for a stranger.
        raise NotFound("This link is not valid or no longer valid.") from None
