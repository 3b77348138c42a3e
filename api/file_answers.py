"""A stored file as an answer, whole or in part (RFC 9110, section 14)."""

import re
from collections.abc import Iterator

from django.http import (
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    StreamingHttpResponse,
)
from django.utils.http import content_disposition_header, parse_etags
from rest_framework.request import Request

from config.errors import NotFound
from jobs.models import Asset
from jobs.storage import storage_open

_BLOCK_BYTES = 256 * 1024
_CONTENT_TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "midi": "audio/midi",
}


def file_answer(request: Request, asset: Asset) -> HttpResponseBase:
    """The bytes that were asked for; `Range` with one range is honoured."""
    response = _answer(request, asset)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["ETag"] = _etag(asset)
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


def file_is_known(request: Request, asset: Asset) -> bool:
    """Whether the client has this very file already."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in known or _etag(asset) in {tag.removeprefix("W/") for tag in known}


def file_content_type(asset: Asset) -> str:
    return _CONTENT_TYPES.get(asset.container, "application/octet-stream")


def file_disposition(asset: Asset) -> str:
    return str(content_disposition_header(as_attachment=True, filename=asset.filename))


def _answer(request: Request, asset: Asset) -> HttpResponseBase:
    if file_is_known(request, asset):
        return HttpResponseNotModified()
    is_head = request.method == "HEAD"
    # Ranges are defined for GET only.
    span = None if is_head else _asked_range(request, asset)
    if span is not None and not span:
        headers = {"Content-Range": f"bytes */{asset.size_bytes}"}
        return HttpResponse(status=416, headers=headers)
    part = range(asset.size_bytes) if span is None else span
    response = HttpResponse() if is_head else StreamingHttpResponse(_Part(asset, part))
    response.headers["Content-Type"] = file_content_type(asset)
    response.headers["Content-Length"] = str(len(part))
    response.headers["Content-Disposition"] = file_disposition(asset)
    if span is not None:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{asset.size_bytes}"
    return response


def _asked_range(request: Request, asset: Asset) -> range | None:
    """The bytes asked for; empty if they lie outside, None if the whole file is to be sent."""
    if request.headers.get("If-Range", _etag(asset)) != _etag(asset):
        return None
    asked = request.headers.get("Range", "").strip()
    match = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", asked)
    if match is None or match.group(1) == match.group(2) == "":
        # Several ranges and unknown units may be ignored by the standard.
        return None
    first, last = match.groups()
    size = asset.size_bytes
    if not first:
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


class _Part:
    """Bytes of a file. Not a generator: one that never started would not close the file."""

    def __init__(self, asset: Asset, span: range) -> None:
        try:
            self._handle = storage_open(key=asset.storage_key)
        except FileNotFoundError:
            # Deleted in this very moment.
            raise NotFound("This file is no longer kept.") from None
        self._span = span

    def __iter__(self) -> Iterator[bytes]:
        self._handle.seek(self._span.start)
        left = len(self._span)
        while left and (block := self._handle.read(min(left, _BLOCK_BYTES))):
            left -= len(block)
            yield block

    def close(self) -> None:
        self._handle.close()


def _etag(asset: Asset) -> str:
    return f'"{asset.sha256}"'
