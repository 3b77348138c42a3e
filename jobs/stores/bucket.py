"""Files in a bucket of an S3 server.

django-storages makes the connections. Saving, reading, deleting and signing speak to the server
themselves: its own ways spool whole files for one range, and know nothing of versions.
"""

import errno
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final
from uuid import uuid4

from boto3.exceptions import Boto3Error
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from storages.backends.s3 import S3Storage

from jobs.stores import StorageFailed

LINK_MAX_SECONDS: Final = 3600
_NOT_FOUND = {"404", "NoSuchKey", "NoSuchUpload", "NoSuchVersion"}
# What one call can delete.
_DELETE_AT_ONCE = 1000
_READ_BLOCK_BYTES = 1024 * 1024
# Probes must answer in a few seconds, whatever storage does.
_PROBE = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
_SMALL = b"ready"
# Never what the name suggests: a browser must not run what somebody uploaded.
_CONTENT_TYPE = "application/octet-stream"


@contextmanager
def storage_errors(key: str = "") -> Iterator[None]:
    """Errors of the S3 client become OSErrors, which callers know how to handle."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _NOT_FOUND:
            raise FileNotFoundError(errno.ENOENT, "There is no such file", key) from error
        raise StorageFailed(f"storage refused {error.operation_name}: {code}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageFailed(f"storage failed: {error}") from error


class BucketStore:
    def __init__(self, backend: S3Storage) -> None:
        self._backend = backend
        self.name: str = backend.bucket_name

    @property
    def client(self) -> Any:
        return self._backend.connection.meta.client

    @property
    def signer(self) -> Any:
        """A client that signs addresses as callers outside reach them."""
        return _client(self._backend, settings.S3_PUBLIC_ENDPOINT or None, None)

    @property
    def write_parameters(self) -> dict[str, Any]:
        """Of each write, also of one in parts: encryption and type."""
        return {**self._backend.object_parameters, "ContentType": _CONTENT_TYPE}

    def save(self, key: str, path: Path) -> None:
        with storage_errors(key):
            # In parts if it is large, each read from disk as it is sent; given up as a whole.
            self.client.upload_file(
                str(path),
                self.name,
                key,
                ExtraArgs=self.write_parameters,
                Config=self._backend.transfer_config,
            )

    def open(self, key: str) -> IO[bytes]:
        with storage_errors(key):
            head = self.client.head_object(Bucket=self.name, Key=key)
        raw = _RangeReader(self.client, self.name, key, head["ContentLength"], head["ETag"])
        return io.BufferedReader(raw, _READ_BLOCK_BYTES)

    def path(self, key: str) -> None:
        return None

    def fetch(self, key: str, path: Path) -> None:
        with storage_errors(key):
            transfer = self._backend.transfer_config
            self.client.download_file(self.name, key, str(path), Config=transfer)

    def delete(self, key: str) -> None:
        with storage_errors(key):
            self._remove(item for item in self._versions(key) if item["Key"] == key)
            self._abort(item for item in self._unfinished(key) if item["Key"] == key)

    def delete_tree(self, prefix: str, *, keep: str | None) -> None:
        kept = None if keep is None else f"{prefix}/{keep}/"

        def is_victim(item: dict[str, Any]) -> bool:
            return kept is None or not item["Key"].startswith(kept)

        with storage_errors(prefix):
            self._remove(filter(is_victim, self._versions(f"{prefix}/")))
            self._abort(filter(is_victim, self._unfinished(f"{prefix}/")))

    def has(self, key: str) -> bool:
        with storage_errors(key):
            traces = (*self._versions(key), *self._unfinished(key))
            return any(item["Key"] == key for item in traces)

    def link(
        self, key: str, *, method: str, seconds: int, content_type: str, disposition: str
    ) -> str:
        parameters = {
            "Bucket": self.name,
            "Key": key,
            "ResponseContentType": content_type,
            "ResponseContentDisposition": disposition,
        }
        with storage_errors(key):
            url = self.signer.generate_presigned_url(
                # A signature holds for one method.
                "head_object" if method == "HEAD" else "get_object",
                Params=parameters,
                ExpiresIn=max(1, min(seconds, LINK_MAX_SECONDS)),
            )
        return str(url)

    def keys(self, *, before: datetime) -> Iterator[str]:
        with storage_errors():
            for item in self._versions(""):
                if item["LastModified"] < before:
                    yield item["Key"]
            for item in self._unfinished(""):
                if item["Initiated"] < before:
                    yield item["Key"]

    def probe(self) -> None:
        client = _client(self._backend, None, _PROBE)
        with self.small_object(client) as place, storage_errors():
            if client.get_object(**place)["Body"].read() != _SMALL:
                raise StorageFailed("storage gave back something else than it was given")

    @contextmanager
    def small_object(self, client: Any = None) -> Iterator[dict[str, str]]:
        """Bucket and key of something small, that is there for as long as the block runs."""
        client = client or self.client
        place = {"Bucket": self.name, "Key": f"readyz/{uuid4()}"}
        with storage_errors():
            saved = client.put_object(**place, Body=_SMALL, **self.write_parameters)
        # Where versions are kept, this one must go for good.
        version = {"VersionId": saved["VersionId"]} if saved.get("VersionId") else {}
        try:
            yield place
        finally:
            with storage_errors():
                client.delete_object(**place, **version)

    def stranger(self) -> Any:
        """A client of somebody who has no rights."""
        return _client(self._backend, None, Config(signature_version=UNSIGNED))

    def _versions(self, prefix: str) -> Iterator[dict[str, Any]]:
        """All that stands in the bucket under a prefix: versions, and marks of deletions."""
        pages = self.client.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self.name, Prefix=prefix):
            yield from page.get("Versions", [])
            yield from page.get("DeleteMarkers", [])

    def _unfinished(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Uploads in parts that nobody completed: their parts are kept, and unseen."""
        pages = self.client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self.name, Prefix=prefix):
            yield from page.get("Uploads", [])

    def _remove(self, items: Iterable[dict[str, Any]]) -> None:
        # Listed before anything is deleted: a page must not begin at a key that is gone.
        rest = iter(list(items))
        while batch := list(islice(rest, _DELETE_AT_ONCE)):
            objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in batch]
            answer = self.client.delete_objects(
                Bucket=self.name, Delete={"Objects": objects, "Quiet": True}
            )
            failures = {error.get("Code") for error in answer.get("Errors", [])} - _NOT_FOUND
            if failures:
                raise StorageFailed(f"storage refused to delete: {sorted(map(str, failures))}")

    def _abort(self, uploads: Iterable[dict[str, Any]]) -> None:
        for upload in list(uploads):
            try:
                self.client.abort_multipart_upload(
                    Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"]
                )
            except ClientError as error:
                # Completed or given up by another in this very moment.
                if error.response["Error"]["Code"] not in _NOT_FOUND:
                    raise


# One for each endpoint: they may be shared by threads, and are slow to make.
@lru_cache(maxsize=8)
def _client(backend: S3Storage, endpoint: str | None, config: Config | None) -> Any:
    # The session of django-storages, with the keys that were set or those of the machine.
    return backend._create_session().client(
        "s3",
        region_name=backend.region_name,
        endpoint_url=endpoint or backend.endpoint_url,
        config=backend.client_config.merge(config) if config else backend.client_config,
    )


class _RangeReader(io.RawIOBase):
    """Reads an object from where it is told to; fetches what is read, not the whole of it."""

    def __init__(self, client: Any, bucket: str, key: str, size_bytes: int, etag: str) -> None:
        self._client, self._bucket, self._key = client, bucket, key
        self._size_bytes, self._etag = size_bytes, etag
        self._position = 0
        self._body: Any = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}
        position = start[whence] + offset
        if position < 0:
            raise OSError(errno.EINVAL, "Negative position", self._key)
        if position != self._position:
            self._drop()
            self._position = position
        return position

    def readinto(self, buffer: Any, /) -> int:
        if self._position >= self._size_bytes or not len(buffer):
            return 0
        with storage_errors(self._key):
            if self._body is None:
                # The same object all along, though it be replaced meanwhile.
                self._body = self._client.get_object(
                    Bucket=self._bucket,
                    Key=self._key,
                    Range=f"bytes={self._position}-",
                    IfMatch=self._etag,
                )["Body"]
            block = self._body.read(len(buffer))
        if not block:
            raise StorageFailed(f"storage ended {self._key} before its end")
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
