"""What a worker does with a listening copy or a mix that it has claimed."""

from pathlib import Path
from typing import Any

import structlog
from django.db.utils import Error as DatabaseError

from config.errors import AppError, MediaError
from jobs.deriving import (
    derived_claim,
    derived_fail,
    derived_hand_back,
    derived_retry_or_fail,
    derived_succeed,
)
from jobs.heartbeat import Heartbeat, StopRequested, TimeLimitReached
from jobs.leases import LeaseLost
from jobs.listening_making import listening_make
from jobs.mixing import mix_make
from jobs.models import Derived, Listening, Mix
from jobs.scratch import scratch_folder
from jobs.settling import connection_renew, settle
from jobs.storage import storage_delete_tree

log = structlog.get_logger(__name__)


def run_next_derived() -> bool:
    """Claim something and make it; False when nothing waits."""
    row = derived_claim()
    if row is None:
        return False
    with structlog.contextvars.bound_contextvars(
        derived=str(row.uuid),
        kind=type(row).__name__.lower(),
        attempt=row.attempt,
        workspace=str(row.workspace.uuid),
    ):
        derived_run(row)
    return True


def derived_run(row: Derived) -> None:
    """Make what was claimed. Whatever goes wrong ends in the row, never in the caller."""
    try:
        try:
            with Heartbeat(row) as heartbeat, scratch_folder(row) as folder:
                _make(row, heartbeat, folder)
        except (LeaseLost, DatabaseError):
            raise
        except Exception as error:
            _end_badly(row, error)
        else:
            log.info("derived_succeeded")
    except LeaseLost:
        log.warning("derived_lease_lost")
    except DatabaseError:
        # Nothing can be written now. The lease will end, and another attempt will follow.
        log.exception("derived_left_to_the_reaper")


def _make(row: Derived, heartbeat: Heartbeat, folder: Path) -> None:
    try:
        values = _values(row, heartbeat, folder)
        connection_renew()
        settle(lambda: derived_succeed(row, **values))
    except LeaseLost:
        # Its files were deleted, or another makes it: nobody would ever ask for these.
        storage_delete_tree(prefix=f"{row.folder}/{row.attempt}")
        raise


def _values(row: Derived, heartbeat: Heartbeat, folder: Path) -> dict[str, Any]:
    """Make it and store it; returns what the row says of it."""
    if isinstance(row, Mix):
        return mix_make(row, heartbeat, folder)
    if isinstance(row, Listening):
        return listening_make(row, heartbeat, folder)
    raise TypeError(type(row))


def _end_badly(row: Derived, error: Exception) -> None:
    match error:
        case StopRequested():
            settle(lambda: derived_hand_back(row))
        case MediaError():
            log.warning("derived_impossible", code=error.code)
            settle(lambda: derived_fail(row, code=error.code, is_hopeless=True))
        case TimeLimitReached():
            _retry(row, "timeout")
        case AppError():
            _retry(row, error.code)
        case OSError():
            log.error("derived_storage_failed", exc_info=error)
            _retry(row, "storage")
        case _:
            log.error("derived_broke", exc_info=error)
            _retry(row, "internal")


def _retry(row: Derived, code: str) -> None:
    settle(lambda: derived_retry_or_fail(row, code=code))
    log.warning("derived_attempt_failed", code=code)
