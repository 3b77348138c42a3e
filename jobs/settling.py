"""Writing down how an attempt ended, whatever the database goes through meanwhile."""

import time
from collections.abc import Callable

import structlog
from django.db import close_old_connections, connection
from django.db.utils import Error as DatabaseError

log = structlog.get_logger(__name__)

# A restart of PostgreSQL takes seconds; within these the heartbeat keeps the lease if it can.
_PAUSES_S = (0.5, 2, 5, 10)


def connection_renew() -> None:
    """Before the first query after long work: the connection has been idle, and may be dead."""
    if not connection.in_atomic_block:
        close_old_connections()


def settle(write: Callable[[], object]) -> None:
    """Write how an attempt ended, also over a restart of the database in this very moment."""
    connection_renew()
    for pause_s in _PAUSES_S:
        try:
            write()
        except DatabaseError:
            log.warning("end_not_written", exc_info=True)
            connection.close()
            time.sleep(pause_s)
        else:
            return
    write()
