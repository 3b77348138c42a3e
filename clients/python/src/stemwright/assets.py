"""Recordings: brought in from here, or fetched by the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stemwright._files import OnProgress, OpenFile, Source, opened
from stemwright._http import Http, json_of
from stemwright._polling import poll, recording_of
from stemwright._reading import read
from stemwright.models import Asset, Import
from stemwright.uploads import Memory, Uploads, upload_in_pieces

# Above this, a broken connection costs more than the two further calls of a resumable upload.
DIRECT_BYTES = 4 * 1024**2


class Assets:
    def __init__(self, http: Http, uploads: Uploads) -> None:
        self._http = http
        self._uploads = uploads

    def upload(
        self,
        source: Source,
        *,
        filename: str | None = None,
        on_progress: OnProgress | None = None,
        resume_dir: str | Path | None = None,
    ) -> Asset:
        """Bring in a recording: a small one in one call, a large one in pieces.

        Parameters
        ----------
        source
            A path, or a file that is open for reading bytes.
        on_progress
            Called with the bytes that are there, and all.
        resume_dir
            A folder of your own. An upload that a crash or Ctrl-C ended is remembered there and
            goes on where it stopped when the same unchanged path is uploaded again.

        Raises
        ------
        UploadFailed, Unprocessable
            It is no recording that can be used.
        """
        with opened(source, filename) as file:
            if file.size_bytes <= DIRECT_BYTES:
                return self._direct(file, on_progress)
            memory = Memory(Path(resume_dir)) if resume_dir is not None else None
            return upload_in_pieces(
                self._uploads,
                file,
                base_url=self._http.base_url,
                memory=memory,
                on_progress=on_progress,
            )

    def get(self, asset_id: str) -> Asset:
        return self._http.get(Asset, f"/v1/assets/{asset_id}")

    def list(self, *, limit: int | None = None) -> Iterator[Asset]:
        """Newest first; reads page after page."""
        return self._http.pages(Asset, "/v1/assets", limit=limit)

    def delete(self, asset_id: str) -> None:
        """For good. Stems that were made of it stay."""
        self._http.call("DELETE", f"/v1/assets/{asset_id}")

    def _direct(self, file: OpenFile, on_progress: OnProgress | None) -> Asset:
        content = b"".join(file.read_from(0, file.size_bytes))
        files = {"file": (file.filename, content, "application/octet-stream")}
        if on_progress:
            on_progress(0, file.size_bytes)
        # There twice, it costs nothing and expires.
        answer = self._http.call("POST", "/v1/assets", files=files, is_repeatable=True)
        if on_progress:
            on_progress(file.size_bytes, file.size_bytes)
        return read(Asset, json_of(answer))


class Imports:
    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, url: str, *, filename: str | None = None) -> Import:
        """Have a recording fetched from its public address."""
        body: dict[str, Any] = {"url": url}
        if filename:
            body["filename"] = filename
        return read(Import, json_of(self._http.call("POST", "/v1/imports", json=body)))

    def get(self, import_id: str) -> Import:
        return self._http.get(Import, f"/v1/imports/{import_id}")

    def list(self, *, limit: int | None = None) -> Iterator[Import]:
        """Newest first; reads page after page."""
        return self._http.pages(Import, "/v1/imports", limit=limit)

    def cancel(self, import_id: str) -> None:
        self._http.call("DELETE", f"/v1/imports/{import_id}")

    def wait(self, import_id: str, *, timeout_s: float | None = None) -> Asset:
        """The recording, once it is there.

        Raises
        ------
        UploadFailed
            It could not be fetched, or is no recording that can be used.
        WaitTimeout
            It was not there after `timeout_s`.
        """
        return poll(lambda: recording_of(self.get(import_id)), timeout_s=timeout_s)
