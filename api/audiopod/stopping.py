"""Waiting for a running job to stop, since these callers expect DELETE to delete it."""

import time
from typing import Final
from uuid import UUID

from django.conf import settings

from accounts.models import Workspace
from config.errors import NoRoom
from jobs.models import Job, JobState
from jobs.places import Places
from jobs.selectors import job_get_for_workspace

AT_WORK: Final = (JobState.WAITING, JobState.QUEUED, JobState.RUNNING)

# A worker looks more often than once a second whether it is to stop; their client waits 30 s.
_AT_MOST_S: Final = 10
_LOOK_EVERY_S = 0.2
# Whoever waits holds a server thread. Who finds no place gets the answer of a job that goes on.
_AT_ONCE = 2
_places = Places(
    most=lambda: min(_AT_ONCE, settings.SYNC_WAITS_PER_PROCESS),
    most_of_owner=lambda: int(settings.SYNC_WAITS_PER_WORKSPACE),
    refuse=NoRoom,
)


def job_stopped(*, workspace: Workspace, job_uuid: UUID) -> Job:
    """A job that was told to stop, as it is when it has, or when it was waited for long enough."""

    def look() -> Job:
        return job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)

    try:
        with _places.place(workspace.pk):
            until = time.monotonic() + min(_AT_MOST_S, settings.SYNC_WAIT_SECONDS)
            while (job := look()).state in AT_WORK and time.monotonic() < until:
                pause()
            return job
    except NoRoom:
        return look()


def pause() -> None:
    time.sleep(_LOOK_EVERY_S)
