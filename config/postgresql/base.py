"""Connections that are looked at instead of asked, and statements that are planned once.

Django asks a connection that it takes up again with a statement whether it still works, and has
each statement parsed and planned anew. Of a call that reads a job, both took a fifth of the CPU.
"""

import select
import time
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper

# One that lay unused for longer is asked: where a machine on the way has died, nothing arrives that
# could be seen.
_TRUSTED_S = 5
_PREPARED = "prepared"


class DatabaseWrapper(base.DatabaseWrapper):
    _seen_well_at = -float("inf")

    def prepared_cursor(self) -> CursorWrapper:
        """For statements that many calls make with other values only.

        The server binds the values, and keeps the plan of a statement for as long as the connection
        lasts, unless `prepare_threshold` is None in the settings. So the text must not be put
        together from what differs between calls.
        """
        cursor: CursorWrapper = self._cursor(_PREPARED)  # type: ignore[attr-defined]
        return cursor

    def create_cursor(self, name: str | None = None) -> Any:
        if name != _PREPARED:
            return super().create_cursor(name)
        if self.queries_logged:
            # Only statements whose values are bound here can be shown with them.
            return super().create_cursor()
        return base.ServerBindingCursor(self.connection)  # type: ignore[call-arg]

    def is_usable(self) -> bool:
        now = time.monotonic()
        if now - self._seen_well_at > _TRUSTED_S or self._has_news():
            if not super().is_usable():
                return False
            now = time.monotonic()
        self._seen_well_at = now
        return True

    def _has_news(self) -> bool:
        """A server that hangs up says so, or closes; else it is silent until it is asked."""
        if self.connection is None or self.connection.closed:
            return True
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))
