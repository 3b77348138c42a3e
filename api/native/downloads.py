"""Stems by signed link, whole or in part (RFC 9110, section 14)."""

import re
from collections.abc import Iterator
from typing import IO, Any

from django.http import HttpResponseBase, StreamingHttpResponse
from django.http.response import HttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from api.native.base import NativeApi
from jobs.models import Asset
from jobs.selectors import asset_get_for_download
from jobs.storage import download_token_read, storage_open

_BLOCK_BYTES = 256 * 1024
_CONTENT_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg"}


class DownloadApi(NativeApi):
    # The link itself is the secret, so that players and browsers can use it.
    authentication_classes = []
    needs_key = False

    @extend_schema(
        operation_id="download",
        auth=[],
        responses={
            (200, "audio/*"): OpenApiTypes.BINARY,
            (206, "audio/*"): OpenApiTypes.BINARY,
            (416, "text/plain"): None,
        },
    )
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """Download a stem. `Range` with one range is honoured."""
        asset = asset_get_for_download(asset_uuid=download_token_read(token))
        span = _asked_range(request, asset)
        if span is None:
            response: HttpResponseBase = _stream(asset, range(asset.size_bytes))
        elif not span:
            response = HttpResponse(status=416)
            response.headers["Content-Range"] = f"bytes */{asset.size_bytes}"
        else:
            response = _stream(asset, span)
            response.status_code = 206
            response.headers["Content-Range"] = (
                f"bytes {span.start}-{span.stop - 1}/{asset.size_bytes}"
            )
        response.headers["Accept-Ranges"] = "bytes"
        response.headers["ETag"] = _etag(asset)
        response.headers["Cache-Control"] = "private, max-age=3600"
        return response


def _asked_range(request: Request, asset: Asset) -> range | None:
    """The bytes asked for; empty if they lie outside, None if the whole file is to be sent."""
    if request.headers.get("If-Range", _etag(asset)) != _etag(asset):
        return None
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", "").strip())
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


def _stream(asset: Asset, span: range) -> StreamingHttpResponse:
    handle = storage_open(key=asset.storage_key)
    response = StreamingHttpResponse(
        _Part(handle, span),
        content_type=_CONTENT_TYPES.get(asset.container, "application/octet-stream"),
    )
    response.headers["Content-Length"] = str(len(span))
    disposition = content_disposition_header(as_attachment=True, filename=asset.filename)
    response.headers["Content-Disposition"] = str(disposition)
    return response


class _Part:
    """Bytes of an open file. Not a generator: one that never started would not close the file."""

    def __init__(self, handle: IO[Any], span: range) -> None:
        self._handle = handle
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
