"""Bodies that are read as they come, never as a whole."""

import re
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from rest_framework.request import Request

from config.errors import ValidationFailed
from jobs.receiving.bodies import body_place


def body_length(request: Request) -> int:
    """As the server told; bodies of unknown length were refused before."""
    text = str(request.META.get("CONTENT_LENGTH") or "0")
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValidationFailed(fields={"Content-Length": ["This must be a number of bytes."]})
    return int(text)


@contextmanager
def body_source(request: Request, *, owner: Hashable) -> Iterator[Any]:
    """Something to read the body from. It holds a server thread, so few may at a time."""
    if not body_length(request):
        yield request._request
        return
    with body_place(request.META, owner=owner):
        yield _Source(request._request)


class _Source:
    """A body whose sender may be gone: what has come until then is not lost."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except OSError:
            # The server holds back what came of a block, and gives it out now.
            return bytes(self._stream.read(size))
