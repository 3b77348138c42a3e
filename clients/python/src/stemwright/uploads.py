"""Large files, in pieces: tus 1.0.0. What has arrived is never sent again.

Written by hand rather than with `tuspy`, which would bring a second and a third HTTP library
(docs/adr/0025-client-library.md in the repository of the service).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from stemwright._files import OnProgress, OpenFile, Source, opened
from stemwright._http import Http, check, json_of, no_answer
from stemwright._polling import poll, recording_of
from stemwright._reading import read
from stemwright.errors import (
    ApiError,
    ConnectionFailed,
    Gone,
    NotFound,
    StemwrightError,
    UploadFailed,
)
from stemwright.models import Asset, Upload

# One request each. A proxy that keeps a body until it is whole loses no more than this.
CHUNK_BYTES = 16 * 1024**2
_TUS = {"Tus-Resumable": "1.0.0"}
_PROBE_BYTES = 64 * 1024


class Uploads:
    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self, upload_id: str) -> Upload:
        return self._http.get(Upload, f"/v1/uploads/{upload_id}")

    def list(self, *, limit: int | None = None) -> Iterator[Upload]:
        """Newest first, whatever has become of them; reads page after page."""
        return self._http.pages(Upload, "/v1/uploads", limit=limit)

    def cancel(self, upload_id: str) -> None:
        """Throw away what has arrived."""
        self._http.call("DELETE", f"/v1/uploads/{upload_id}", headers=_TUS)

    def create(self, *, filename: str, size_bytes: int) -> Upload:
        """Announce a file; `send` brings it."""
        name = base64.b64encode(filename.encode()).decode()
        headers = {
            **_TUS,
            "Upload-Length": str(size_bytes),
            "Upload-Metadata": f"filename {name}",
        }
        # Made twice, one of them stays empty, costs nothing and expires.
        answer = self._http.call("POST", "/v1/uploads", headers=headers, is_repeatable=True)
        return read(Upload, json_of(answer))

    def send(
        self, upload_id: str, source: Source, *, on_progress: OnProgress | None = None
    ) -> None:
        """Send what is missing, from where an earlier `send` stopped, in this or another process.

        A broken connection is taken up again where it broke; `Retries.attempts` of them in a row
        without any progress are an error.
        """
        with opened(source, None) as file:
            self._send(upload_id, file, on_progress or _ignore)

    def wait(self, upload_id: str, *, timeout_s: float | None = None) -> Asset:
        """The recording, once it was decoded.

        Raises
        ------
        UploadFailed
            It is none that can be used.
        WaitTimeout
            It was not ready after `timeout_s`.
        """
        return poll(lambda: recording_of(self.get(upload_id)), timeout_s=timeout_s)

    def _send(self, upload_id: str, file: OpenFile, on_progress: OnProgress) -> None:
        failures = 0
        offset = self._offset(upload_id)
        on_progress(offset, file.size_bytes)
        while offset < file.size_bytes:
            try:
                self._send_chunk(upload_id, file, offset, on_progress)
            except StemwrightError as error:
                if not _goes_on_after(error):
                    raise
                failures += 1
                if not self._http.pause(failures, error):
                    raise
            # The service's word, not ours: more or less may have arrived than was answered for.
            arrived = self._offset(upload_id)
            failures = 0 if arrived > offset else failures
            offset = arrived
            on_progress(offset, file.size_bytes)

    def _offset(self, upload_id: str) -> int:
        answer = self._http.call("HEAD", f"/v1/uploads/{upload_id}", headers=_TUS)
        return int(answer.headers["Upload-Offset"])

    def _send_chunk(
        self, upload_id: str, file: OpenFile, offset: int, on_progress: OnProgress
    ) -> None:
        length = min(CHUNK_BYTES, file.size_bytes - offset)

        def blocks() -> Iterator[bytes]:
            sent = offset
            for block in file.read_from(offset, length):
                yield block
                sent += len(block)
                on_progress(sent, file.size_bytes)

        headers = {
            **_TUS,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(length),
        }
        path = f"/v1/uploads/{upload_id}"
        try:
            check(self._http.api.patch(path, headers=headers, content=blocks()))
        except httpx.HTTPError as error:
            raise no_answer(error) from error


def _goes_on_after(error: StemwrightError) -> bool:
    """Whether what follows may still be sent."""
    if isinstance(error, ApiError):
        # 409: another place than the service's. It is asked for the right one.
        return error.status in (409, 502, 503, 504) or (
            error.status == 429 and error.retry_after_s is not None
        )
    return isinstance(error, ConnectionFailed)


def _ignore(done: int, total: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Memory:
    """Files in a folder that remember which uploads are under way, across processes."""

    folder: Path

    def find(self, file: OpenFile, *, base_url: str) -> str | None:
        try:
            remembered = json.loads(self._path(file, base_url).read_text())
            return str(remembered["upload"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, file: OpenFile, *, base_url: str, upload_id: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(file, base_url)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"upload": upload_id, "filename": file.filename}))
        fresh.replace(path)

    def forget(self, file: OpenFile, *, base_url: str) -> None:
        self._path(file, base_url).unlink(missing_ok=True)

    def _path(self, file: OpenFile, base_url: str) -> Path:
        """The same for the same file as long as it has not been changed."""
        if file.path is None:
            raise ValueError("Only uploads of paths can be remembered.")
        place = file.path.resolve()
        about: list[Any] = [base_url, str(place), file.size_bytes, place.stat().st_mtime_ns]
        digest = hashlib.sha256(json.dumps(about).encode())
        for start in (0, max(0, file.size_bytes - _PROBE_BYTES)):
            for block in file.read_from(start, _PROBE_BYTES):
                digest.update(block)
        return self.folder / f"{digest.hexdigest()[:32]}.json"


def upload_in_pieces(
    uploads: Uploads,
    file: OpenFile,
    *,
    base_url: str,
    memory: Memory | None,
    on_progress: OnProgress | None,
) -> Asset:
    """Send a file, or the rest of one that `memory` knows, and wait until it is a recording."""
    remembers = memory if file.path is not None else None
    known = remembers.find(file, base_url=base_url) if remembers else None
    upload_id = known or _announce(uploads, file, base_url, remembers)
    try:
        uploads._send(upload_id, file, on_progress or _ignore)
        asset = uploads.wait(upload_id)
    except (NotFound, Gone, UploadFailed) as error:
        if remembers:
            remembers.forget(file, base_url=base_url)
        if known is None or (isinstance(error, UploadFailed) and error.upload.state == "failed"):
            raise
        # What was remembered has expired, was cancelled, or belongs to another workspace.
        return upload_in_pieces(
            uploads, file, base_url=base_url, memory=memory, on_progress=on_progress
        )
    if remembers:
        remembers.forget(file, base_url=base_url)
    return asset


def _announce(uploads: Uploads, file: OpenFile, base_url: str, memory: Memory | None) -> str:
    upload = uploads.create(filename=file.filename, size_bytes=file.size_bytes)
    if memory:
        memory.keep(file, base_url=base_url, upload_id=upload.id)
    return upload.id
