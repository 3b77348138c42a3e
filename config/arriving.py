"""What a caller still sends. It must not hold a thread of the web server for ever.

gunicorn sets no limits of its own, and returns from reading only once all that was asked for is
there: a byte now and then keeps it waiting for hours, also for what is left of a body after it was
refused. So the time is looked at below that, at each look at the connection.
"""

import socket
import time
from contextlib import suppress
from typing import Any

# For orders and forms. Whoever takes recordings allows more.
_BODY_S = 20.0
# For what is left after the answer. The connection cannot be used again unless all of it comes.
_REST_S = 2.0
_BLOCK_BYTES = 64 * 1024


class Arrival:
    """The limits of one request's body, as `arrival` of its `wsgi.input`."""

    def __init__(self, request: Any) -> None:
        self._unreader = request.unreader
        self._body = request.body
        self._is_over = False
        self.limit(idle_s=_BODY_S, total_s=_BODY_S)
        self._unreader.chunk = self._chunk
        self._body.arrival = self

    def limit(self, *, idle_s: float, total_s: float) -> None:
        """From now on, this is how long to wait: for anything at all, and for all of it."""
        self._idle_s = idle_s
        self._until = time.monotonic() + total_s

    def end(self) -> None:
        """Read the rest, if there is little of it; the next request has limits of its own."""
        self.limit(idle_s=_REST_S, total_s=_REST_S)
        with suppress(Exception):
            while self._body.read(_BLOCK_BYTES):
                pass
        del self._unreader.chunk
        if self._body.failed:
            # gunicorn closes the connection then, and would wait for its end once more, in the
            # thread that all connections need.
            with suppress(OSError):
                self._unreader.sock.shutdown(socket.SHUT_RDWR)

    def _chunk(self, size_hint: int | None = None) -> bytes:
        """Raises TimeoutError when it is over; whoever reads on gets what came of a block."""
        if self._is_over:
            return b""
        connection = self._unreader.sock
        earlier_s = connection.gettimeout()
        left_s = min(self._idle_s, self._until - time.monotonic())
        self._is_over = True
        if left_s <= 0:
            raise TimeoutError("The body came too slowly.")
        connection.settimeout(left_s)
        try:
            data: bytes = type(self._unreader).chunk(self._unreader, size_hint)
        finally:
            connection.settimeout(earlier_s)
        self._is_over = False
        return data
