"""A stored file as an answer, whole or in part (RFC 9110, section 14): for APIs and pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    StreamingHttpResponse,
)
from django.utils.http import content_disposition_header, parse_etags
from django.utils.translation import gettext_lazy as _

from config.errors import NotFound
from jobs.models import Asset
from jobs.storage import storage_link, storage_open

_BLOCK_BYTES: Final = 256 * 1024
_CONTENT_TYPES: Final = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "midi": "audio/midi",
    "m4a": "audio/mp4",
    # Of stems: nothing else with this ending is made here.
    "mp4": "audio/mp4",
}
_UNNAMED: Final = "application/octet-stream"


@dataclass(frozen=True)
class StoredFile:
    """What has to be known of a file to send it; without a `filename` it is not to be saved."""

    key: str
    size_bytes: int
    # Another for other bytes.
    version: str
    content_type: str = _UNNAMED
    filename: str = ""
    cache_control: str = "private, max-age=3600"

    @classmethod
    def of(cls, asset: Asset) -> "StoredFile":
        return cls(
            key=asset.storage_key,
            size_bytes=asset.size_bytes,
            version=asset.sha256,
            content_type=content_type_of(asset.container),
            filename=asset.filename,
        )

    @property
    def etag(self) -> str:
        return f'"{self.version}"'

    @property
    def disposition(self) -> str:
        if not self.filename:
            return "inline"
        return str(content_disposition_header(as_attachment=True, filename=self.filename))


def content_type_of(container: str) -> str:
    return _CONTENT_TYPES.get(container, _UNNAMED)


def file_is_known(request: HttpRequest, file: StoredFile) -> bool:
    """Whether the client has this very file already."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in known or file.etag in {tag.removeprefix("W/") for tag in known}


def file_send(request: HttpRequest, file: StoredFile, *, seconds: int) -> HttpResponseBase:
    """The file itself or, where a bucket has it, the way there for so long."""
    if not file_is_known(request, file):
        url = storage_link(
            key=file.key,
            method=str(request.method),
            seconds=seconds,
            content_type=file.content_type,
            disposition=file.disposition,
        )
        if url:
            # Each signed address ends sometime, so none may be remembered for longer.
            headers = {"Location": url, "Cache-Control": "private, no-store"}
            return HttpResponse(status=302, headers=headers)
    return file_answer(request, file)


def file_answer(request: HttpRequest, file: StoredFile) -> HttpResponseBase:
    """The bytes that were asked for; `Range` with one range is honoured."""
    response = _answer(request, file)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["ETag"] = file.etag
    response.headers["Cache-Control"] = file.cache_control
    return response


def _answer(request: HttpRequest, file: StoredFile) -> HttpResponseBase:
    if file_is_known(request, file):
        return HttpResponseNotModified()
    is_head = request.method == "HEAD"
    # Ranges are defined for GET only.
    span = None if is_head else _asked_range(request, file)
    if span is not None and not span:
        headers = {"Content-Range": f"bytes */{file.size_bytes}"}
        return HttpResponse(status=416, headers=headers)
    part = range(file.size_bytes) if span is None else span
    response = HttpResponse() if is_head else StreamingHttpResponse(_Part(file, part))
    response.headers["Content-Type"] = file.content_type
    response.headers["Content-Length"] = str(len(part))
    response.headers["Content-Disposition"] = file.disposition
    if span is not None:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{file.size_bytes}"
    return response


def _asked_range(request: HttpRequest, file: StoredFile) -> range | None:
    """The bytes asked for; empty if they lie outside, None if the whole file is to be sent."""
    if request.headers.get("If-Range", file.etag) != file.etag:
        return None
    asked = request.headers.get("Range", "").strip()
    match = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", asked)
    if match is None or match.group(1) == match.group(2) == "":
        # Several ranges and unknown units may be ignored by the standard.
        return None
    first, last = match.groups()
    size = file.size_bytes
    if not first:
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


class _Part:
    """Bytes of a file. Not a generator: one that never started would not close the file."""

    def __init__(self, file: StoredFile, span: range) -> None:
        try:
            self._handle = storage_open(key=file.key)
        except FileNotFoundError:
            # Deleted in this very moment.
            raise NotFound(_("This file is no longer kept.")) from None
        self._span = span

    def __iter__(self) -> Iterator[bytes]:
        self._handle.seek(self._span.start)
        left = len(self._span)
        while left and (block := self._handle.read(min(left, _BLOCK_BYTES))):
            left -= len(block)
            yield block

    def close(self) -> None:
        self._handle.close()
