"""Bodies that are read as they come, never as a whole."""

import re
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from threading import Lock
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


def limit_silence(request: Request) -> None:
    """Have reading the body fail when nothing comes for too long.

    gunicorn sets no limit of its own: a client whose network is gone would hold a thread for ever.
    """
    connection = request.META.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(settings.UPLOAD_IDLE_SECONDS)


@contextmanager
def body_source(request: Request, *, owner: Hashable) -> Iterator[Any]:
    """Something to read the body from. It holds a server thread, so few may at a time."""
    if not body_length(request):
        yield request._request
        return
    limit_silence(request)
    _places.take(owner)
    try:
        yield request._request
    finally:
        _places.give_back(owner)


class _Places:
    """How many bodies are being read in this process, for each owner."""

    def __init__(self) -> None:
        self._lock = Lock()
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
