"""Files by their links: what has arrived is never fetched again, and nothing false is kept."""

from __future__ import annotations

import hashlib
import os
import re
from email.message import Message
from pathlib import Path

import httpx

from stemwright._files import OnProgress
from stemwright._http import Http
from stemwright.errors import (
    ApiError,
    BadAnswer,
    ChecksumMismatch,
    ConnectionFailed,
    StemwrightError,
)
from stemwright.models import Output

_BLOCK_BYTES = 1024**2


def download(
    http: Http, output: Output, target: Path, *, on_progress: OnProgress | None = None
) -> Path:
    """Fetch a file to `target`, which appears once it is whole and has the service's SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Of this very content: another file of the same name is not gone on with.
    part = target.with_name(f"{target.name}.{output.sha256[:12]}.part")
    was_there = _size(part) > 0
    _fetch(http, output, part, on_progress)
    if _sha256(part) != output.sha256:
        part.unlink()
        if was_there:
            # What an earlier run left may have been damaged on disk.
            return download(http, output, target, on_progress=on_progress)
        raise ChecksumMismatch(f"What arrived of {output.filename} is not what the service made.")
    os.replace(part, target)
    return target


def download_whole(http: Http, path: str, folder: Path, *, on_progress: OnProgress | None) -> Path:
    """Fetch what is made while it is sent: under the service's name for it, and never in part.

    It has no SHA-256 and is not the same twice, so a broken download begins anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    attempt = 1
    while True:
        try:
            return _fetch_whole(http, path, folder, on_progress)
        except StemwrightError as error:
            if not _goes_on_after(error) or not http.pause(attempt, error):
                raise
        attempt += 1


def named_by(response: httpx.Response, otherwise: str) -> str:
    """The file name that comes with an answer."""
    message = Message()
    message["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    return safe_name(message.get_filename() or otherwise)


def _fetch_whole(http: Http, path: str, folder: Path, on_progress: OnProgress | None) -> Path:
    with http.stream(http.api, "GET", path) as response:
        target = folder / named_by(response, "results.zip")
        size_bytes = int(response.headers.get("Content-Length", 0))
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                # Fewer bytes than were announced are an error of the connection.
                for block in response.iter_bytes(_BLOCK_BYTES):
                    file.write(block)
                    if on_progress:
                        on_progress(file.tell(), size_bytes)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    return target


def safe_name(filename: str) -> str:
    """A name that stays in its folder and is legal on every system."""
    name = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", filename).strip(" .")
    return name or "output"


def _fetch(http: Http, output: Output, part: Path, on_progress: OnProgress | None) -> None:
    failures = 0
    part.touch()
    while (before := _size(part)) < output.size_bytes:
        try:
            _fetch_rest(http, output, part, before, on_progress)
            if _size(part) < output.size_bytes:
                raise ConnectionFailed(f"The download of {output.filename} ended early.")
        except StemwrightError as error:
            if not _goes_on_after(error):
                raise
            failures = 0 if _size(part) > before else failures
            failures += 1
            if not http.pause(failures, error):
                raise
    if on_progress:
        on_progress(output.size_bytes, output.size_bytes)


def _fetch_rest(
    http: Http, output: Output, part: Path, start: int, on_progress: OnProgress | None
) -> None:
    # Packed, its places would be others.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with http.stream(http.links, "GET", output.download_url, headers=headers) as response:
        if response.status_code == 200:
            start = 0  # It takes no ranges: from the beginning.
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise BadAnswer("The answer is another part of the file.", status=response.status_code)
        with part.open("r+b") as file:
            file.truncate(start)
            file.seek(start)
            for block in response.iter_raw():
                start += len(block)
                if start > output.size_bytes:
                    # Not stored: what is too long by a little may be so without end.
                    raise ChecksumMismatch(f"More arrived of {output.filename} than it has.")
                file.write(block)
                if on_progress:
                    on_progress(start, output.size_bytes)


def _goes_on_after(error: StemwrightError) -> bool:
    if isinstance(error, ApiError):
        return error.status in (502, 503, 504) or (
            error.status == 429 and error.retry_after_s is not None
        )
    return isinstance(error, ConnectionFailed)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
