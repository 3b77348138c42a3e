"""Waiting for a file that a worker fetches, since these callers expect it in the answer."""

import time
from threading import BoundedSemaphore
from uuid import UUID

from accounts.models import Workspace
from jobs.importing import import_get_for_workspace
from jobs.models import INGEST_ENDED, Ingest

_WAIT_S = 20.0
_LOOK_EVERY_S = 0.25
# Whoever waits holds a server thread.
_places = BoundedSemaphore(3)


def import_wait(*, workspace: Workspace, import_uuid: UUID) -> Ingest:
    """The import, as it is when it has ended or when it was waited for long enough."""
    ingest = import_get_for_workspace(workspace=workspace, import_uuid=import_uuid)
    if not _places.acquire(blocking=False):
        return ingest
    try:
        until = time.monotonic() + _WAIT_S
        while ingest.state not in INGEST_ENDED and time.monotonic() < until:
            _pause()
            ingest = import_get_for_workspace(workspace=workspace, import_uuid=import_uuid)
    finally:
        _places.release()
    return ingest


def _pause() -> None:
    time.sleep(_LOOK_EVERY_S)
