"""A file inside of a JSON body, as base64, of any size: taken out as it comes, never held whole.

No JSON parser gives out a string in pieces. So the body is looked through here for strings alone:
short ones stay where they are, a long one goes to a file and leaves a mark in its place. What
remains is small, and left to the ordinary parser.
"""

import base64
import binascii
import json
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from django.conf import settings
from rest_framework.request import Request

from api.raw_bodies import body_length, body_source
from config.errors import TooLarge, UnsupportedMediaType, UploadInterrupted, ValidationFailed
from jobs.receiving.spool import Body, room_check

FIELD: Final = "base64Data"
_BLOCK_BYTES = 256 * 1024
# A longer string is the file.
_SHORT_BYTES = 8 * 1024
_REST_BYTES = 64 * 1024
_SPACE = b" \t\r\n"
_END_OR_ESCAPE = re.compile(rb'["\\]')


@dataclass(frozen=True)
class Base64Body:
    """All fields but the file itself, and where that lies for the moment."""

    values: dict[str, Any]
    path: Path


@contextmanager
def base64_body(request: Request, *, owner: Any) -> Iterator[Base64Body]:
    """Raises ValidationFailed, TooLarge, UnsupportedMediaType, NoRoom, UploadInterrupted."""
    if request.content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType("Send application/json.")
    length = body_length(request)
    if length * 3 // 4 > settings.UPLOAD_MAX_BYTES + _REST_BYTES:
        raise _too_large()
    with (
        body_source(request, owner=owner) as source,
        tempfile.NamedTemporaryFile(dir=room_check(length)) as file,
    ):
        body = Body(source, length=length)
        sink = Base64Sink(file, max_bytes=settings.UPLOAD_MAX_BYTES)
        scanner = StringScanner(sink.write)
        while block := body.read(_BLOCK_BYTES):
            scanner.feed(block)
        if body.left or body.is_broken:
            raise UploadInterrupted("The body ended early or came too slowly; send it again.")
        values = _parsed(scanner)
        data = values.pop(FIELD, None)
        if not isinstance(data, str) or (scanner.mark and data != scanner.mark):
            raise _invalid("Send the file as base64.")
        if data != scanner.mark:
            sink.write(data.encode())
        sink.close()
        file.flush()
        yield Base64Body(values, Path(file.name))


class StringScanner:
    """Splits JSON into one long string, given to `sink` in pieces, and everything else."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink
        self._rest = bytearray()
        # Of the string at hand; None outside of any.
        self._string: bytearray | None = None
        self._is_long = False
        # The beginning of an escape that the block before ended with.
        self._escape = b""
        # In the place of the long string; empty while none came.
        self.mark = ""

    def feed(self, block: bytes) -> None:
        block, self._escape = self._escape + block, b""
        at = 0
        while at < len(block):
            at = self._outside(block, at) if self._string is None else self._inside(block, at)

    def rest(self) -> bytes:
        return bytes(self._rest)

    def _outside(self, block: bytes, at: int) -> int:
        found = block.find(b'"', at)
        end = len(block) if found < 0 else found + 1
        self._keep(block[at:end])
        if found >= 0:
            self._string = bytearray()
        return end

    def _inside(self, block: bytes, at: int) -> int:
        match = _END_OR_ESCAPE.search(block, at)
        end = match.start() if match else len(block)
        self._add(block[at:end])
        if match is None:
            return end
        if match[0] == b'"':
            self._close()
            return end + 1
        size = 6 if block[end + 1 : end + 2] == b"u" else 2
        escape = block[end : end + size]
        if len(escape) < size:
            self._escape = escape
            return len(block)
        self._add(_unescaped(escape) if self._is_long else escape)
        return end + size

    def _add(self, piece: bytes) -> None:
        if self._is_long:
            self._sink(piece)
            return
        assert self._string is not None  # noqa: S101 - only called inside of one
        self._string += piece
        if len(self._string) > _SHORT_BYTES:
            if self.mark:
                raise _invalid("Only the file may be so long.")
            self._is_long = True
            self.mark = secrets.token_hex(16)
            self._sink(_unescaped(bytes(self._string)))

    def _close(self) -> None:
        string = self.mark.encode() if self._is_long else self._string or b""
        self._keep(bytes(string) + b'"')
        self._string, self._is_long = None, False

    def _keep(self, piece: bytes) -> None:
        self._rest += piece
        if len(self._rest) > _REST_BYTES:
            raise _invalid("There is too much besides the file.")


class Base64Sink:
    """Decodes into a file. A data URL's head is left out, and so is white space."""

    def __init__(self, file: IO[bytes], *, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._written = 0
        self._left = b""
        self._is_at_start = True
        self._is_padded = False

    def write(self, text: bytes) -> None:
        if self._is_at_start and text:
            self._is_at_start = False
            # Of a long string the first piece holds the whole head.
            if text[:5].lower() == b"data:":
                text = text.partition(b",")[2]
        text = self._left + text.translate(None, _SPACE)
        whole = len(text) - len(text) % 4
        self._left = text[whole:]
        self._decode(text[:whole])

    def close(self) -> None:
        # Some encoders leave the padding out.
        self._decode(self._left + b"=" * (-len(self._left) % 4))
        self._left = b""

    def _decode(self, text: bytes) -> None:
        if not text:
            return
        if self._is_padded:
            raise _invalid("This is not base64.")
        self._is_padded = text.endswith(b"=")
        try:
            data = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise _invalid("This is not base64.") from None
        self._written += len(data)
        if self._written > self._max_bytes:
            raise _too_large()
        self._file.write(data)


def _parsed(scanner: StringScanner) -> dict[str, Any]:
    try:
        values = json.loads(scanner.rest())
        # Half of a surrogate pair is no text.
        json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValidationFailed("The body is not what its content type says.") from None
    if not isinstance(values, dict):
        raise ValidationFailed("Send a JSON object.")
    return values


def _unescaped(text: bytes) -> bytes:
    """Some encoders escape `/` or `+`."""
    if b"\\" not in text:
        return text
    try:
        return str(json.loads(b'"' + text + b'"')).encode()
    except ValueError:
        raise _invalid("This is not base64.") from None


def _invalid(problem: str) -> ValidationFailed:
    return ValidationFailed(fields={FIELD: [problem]})


def _too_large() -> TooLarge:
    limit = settings.UPLOAD_MAX_BYTES
    return TooLarge(f"The file is larger than {limit} bytes.", data={"max_bytes": limit})
