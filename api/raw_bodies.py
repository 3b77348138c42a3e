"""Bodies that are read as they come, never as a whole."""

import re
import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from rest_framework.request import Request

from config.errors import NoRoom, ValidationFailed


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
    _places.take(owner)
    try:
        # Of config/gunicorn.py.
        arrival = getattr(request.META["wsgi.input"], "arrival", None)
        if arrival is not None:
            arrival.limit(
                idle_s=settings.UPLOAD_IDLE_SECONDS, total_s=settings.UPLOAD_REQUEST_SECONDS
            )
        yield _Source(request._request)
    finally:
        _places.give_back(owner)


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


class _Places:
    """How many bodies are being read in this process, for each owner."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[Hashable] = Counter()

    def take(self, owner: Hashable) -> None:
        with self._lock:
            if (
                self._taken.total() >= settings.UPLOAD_BODIES_PER_PROCESS
                or self._taken[owner] >= settings.UPLOAD_BODIES_PER_OWNER
            ):
                # Not 429, which clients of tus take for final.
                raise NoRoom(
                    "Too many bodies are being received; try again shortly.",
                    headers={"Retry-After": "2"},
                )
            self._taken[owner] += 1

    def give_back(self, owner: Hashable) -> None:
        with self._lock:
            self._taken[owner] -= 1
            # Forgets owners without bodies, which would add up.
            self._taken = +self._taken


_places = _Places()
