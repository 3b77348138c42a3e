"""Waiting for a file that a worker fetches, since these callers expect it in the answer."""

import time
from typing import Final
from uuid import UUID

from django.conf import settings

from accounts.models import Workspace
from config.errors import NoRoom
from jobs.importing import import_get_for_workspace
from jobs.models import INGEST_ENDED, Ingest
from jobs.places import Places

# Clients of theirs give up soon after.
AT_MOST_S: Final = 20
_LOOK_EVERY_S = 0.25
# Whoever waits holds a server thread. Nobody is refused: the file is not needed for the answer.
_AT_ONCE = 2
_places = Places(
    most=lambda: min(_AT_ONCE, settings.SYNC_WAITS_PER_PROCESS),
    most_of_owner=lambda: int(settings.SYNC_WAITS_PER_WORKSPACE),
    refuse=NoRoom,
)


def import_wait(*, workspace: Workspace, import_uuid: UUID) -> Ingest:
    """The import, as it is when it has ended or when it was waited for long enough."""

    def look() -> Ingest:
        return import_get_for_workspace(workspace=workspace, import_uuid=import_uuid)

    try:
        with _places.place(workspace.pk):
            until = time.monotonic() + min(AT_MOST_S, settings.SYNC_WAIT_SECONDS)
            while (ingest := look()).state not in INGEST_ENDED and time.monotonic() < until:
                _pause()
            return ingest
    except NoRoom:
        return look()


def _pause() -> None:
    time.sleep(_LOOK_EVERY_S)
