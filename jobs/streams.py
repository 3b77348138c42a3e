"""Streams of progress, those of the API and those of pages: each holds a server thread."""

from collections.abc import Callable, Iterator
from typing import Final

from django.conf import settings
from django.http import StreamingHttpResponse
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from config.errors import TooManyRequests
from jobs.places import Places

LOOK_EVERY_S: Final = 0.5
# Only writing shows that a client is gone; until then its stream holds a thread.
COMMENT_EVERY_S: Final = 5.0
# A stream holds a server thread: it ends after a while, and the client comes back by itself.
STREAM_AT_MOST_S: Final = 300.0


def _refusal() -> TooManyRequests:
    return TooManyRequests(
        _("Too many progress streams are open; read the job itself meanwhile."),
        headers={"Retry-After": "5"},
    )


_places = Places(
    most=lambda: int(settings.PROGRESS_STREAMS_PER_PROCESS),
    most_of_owner=lambda: int(settings.PROGRESS_STREAMS_PER_WORKSPACE),
    refuse=_refusal,
)


class ProgressStream:
    """Takes a place until it is closed. Not a generator: closing one that never started runs none
    of its code, and the place would be lost."""

    def __init__(self, workspace: Workspace, events: Callable[[], Iterator[bytes]]) -> None:
        _places.take(workspace.pk)
        self._workspace = workspace
        self._events = events
        self._is_open = True

    def __iter__(self) -> Iterator[bytes]:
        return self._events()

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            _places.give_back(self._workspace.pk)


def stream_response(
    *, workspace: Workspace, events: Callable[[], Iterator[bytes]], is_head: bool
) -> StreamingHttpResponse:
    """Server-sent events; whoever asks for the headers alone takes no place."""
    stream = () if is_head else ProgressStream(workspace, events)
    response = StreamingHttpResponse(stream, content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    # Proxies that buffer would keep the events until the end.
    response.headers["X-Accel-Buffering"] = "no"
    return response
