"""Stems by signed link, whole or in part (RFC 9110, section 14)."""

import re
from collections.abc import Iterator

from django.http import (
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    StreamingHttpResponse,
)
from django.utils.http import content_disposition_header, parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request

from accounts.rate_limits import UNLIMITED
from api.native.base import OPEN, NativeApi
from config.errors import NotFound
from jobs.models import Asset
from jobs.selectors import asset_get_for_download
from jobs.storage import download_token_read, storage_link, storage_open

_BLOCK_BYTES = 256 * 1024
_CONTENT_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg"}


class DownloadApi(NativeApi):
    # The link itself is the secret, so that players and browsers can use it.
    authentication_classes = []
    scopes = {"GET": OPEN}
    # Players ask for many small ranges. Whoever has the link can have the file; nothing is guessed.
    rate_limit = UNLIMITED

    @extend_schema(
        operation_id="download",
        auth=[],
        responses={
            (200, "audio/*"): OpenApiTypes.BINARY,
            (206, "audio/*"): OpenApiTypes.BINARY,
            302: OpenApiResponse(
                description="Where files are kept in a bucket: `Location` gives the file itself, "
                "also in part, until this link ends. Do not send it a key."
            ),
            304: OpenApiResponse(description="`If-None-Match` names this file. No body."),
            416: OpenApiResponse(description="`Range` lies outside the file. No body."),
        },
    )
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """Download a stem. `Range` with one range is honoured. Follow a redirect."""
        download = download_token_read(token)
        asset = asset_get_for_download(asset_uuid=download.asset_uuid)
        if not _is_known(request, asset) and (url := _link(request, asset, download.seconds)):
            # Each signed address ends with the token, so none may be remembered for longer.
            headers = {"Location": url, "Cache-Control": "private, no-store"}
            return HttpResponse(status=302, headers=headers)
        response = _answer(request, asset)
        response.headers["Accept-Ranges"] = "bytes"
        response.headers["ETag"] = _etag(asset)
        response.headers["Cache-Control"] = "private, max-age=3600"
        return response


def _link(request: Request, asset: Asset, seconds: int) -> str | None:
    return storage_link(
        key=asset.storage_key,
        method=str(request.method),
        seconds=seconds,
        content_type=_content_type(asset),
        disposition=_disposition(asset),
    )


def _content_type(asset: Asset) -> str:
    return _CONTENT_TYPES.get(asset.container, "application/octet-stream")


def _disposition(asset: Asset) -> str:
    return str(content_disposition_header(as_attachment=True, filename=asset.filename))


def _answer(request: Request, asset: Asset) -> HttpResponseBase:
    if _is_known(request, asset):
        return HttpResponseNotModified()
    is_head = request.method == "HEAD"
    # Ranges are defined for GET only.
    span = None if is_head else _asked_range(request, asset)
    if span is not None and not span:
        headers = {"Content-Range": f"bytes */{asset.size_bytes}"}
        return HttpResponse(status=416, headers=headers)
    part = range(asset.size_bytes) if span is None else span
    response = HttpResponse() if is_head else StreamingHttpResponse(_Part(asset, part))
    response.headers["Content-Type"] = _content_type(asset)
    response.headers["Content-Length"] = str(len(part))
    response.headers["Content-Disposition"] = _disposition(asset)
    if span is not None:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{asset.size_bytes}"
    return response


def _is_known(request: Request, asset: Asset) -> bool:
    """Whether the client has this very file already."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in known or _etag(asset) in {tag.removeprefix("W/") for tag in known}


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
