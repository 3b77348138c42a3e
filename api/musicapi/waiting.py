"""Calls that answer with what was made, or with a recording that was fetched.

Each holds a server thread, so that few may wait at a time. Nothing is ordered for a call that finds
no place, and nothing is charged to one whose work is not done in time.
"""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Final, TypeVar
from uuid import UUID

from django.conf import settings

from accounts.models import ApiKey, User, Workspace
from api.musicapi.errors import TaskFailed, TaskTimedOut, UploadFailed
from config.errors import TooManyRequests, WrongState
from jobs.importing import import_cancel, import_create, import_get_for_workspace
from jobs.models import ENDED, INGEST_ENDED, Ingest, IngestState, Job, JobState
from jobs.places import Places
from jobs.selectors import job_get_for_workspace
from jobs.services import Order, job_cancel, job_create

_LOOK_EVERY_S = 0.25
# Clients of the other service are used to about twenty.
UPLOAD_AT_MOST_S: Final = 25
T = TypeVar("T")


def _refusal() -> TooManyRequests:
    text = "Too many calls wait for their results; try again shortly, or send a webhook_url."
    return TooManyRequests(text, headers={"Retry-After": "3"})


_places = Places(
    most=lambda: int(settings.SYNC_WAITS_PER_PROCESS),
    most_of_owner=lambda: int(settings.SYNC_WAITS_PER_WORKSPACE),
    refuse=_refusal,
)


def pause() -> None:
    sleep(_LOOK_EVERY_S)


def job_now(
    *,
    workspace: Workspace,
    api_key: ApiKey | None,
    person: User | None,
    order: Order,
    idempotency_key: str | None,
) -> Job:
    """Order a job and wait for its success. Raises TaskFailed, or TaskTimedOut and cancels it."""
    with _places.place(workspace.pk):
        job = job_create(
            workspace=workspace,
            api_key=api_key,
            order=order,
            person=person,
            idempotency_key=idempotency_key,
        )

        def look() -> Job:
            return job_get_for_workspace(workspace=workspace, job_uuid=job.uuid)

        ended = _wait(look, lambda job: job.state in ENDED, settings.SYNC_WAIT_SECONDS)
        if ended is None:
            ended = _cancelled(workspace, job.uuid)
    if ended.state == JobState.SUCCEEDED:
        return ended
    if ended.state == JobState.FAILED:
        raise TaskFailed(f"Task failed. {ended.error_message} Credits were previously refunded.")
    # Or it is about to be: no job succeeds after its cancel.
    raise TaskTimedOut


def clip_now(*, workspace: Workspace, api_key: ApiKey | None, url: str) -> UUID:
    """Have a recording fetched and wait for it; return its id. Raises as `job_now` does."""
    with _places.place(workspace.pk):
        ingest = import_create(workspace=workspace, api_key=api_key, url=url)

        def look() -> Ingest:
            return import_get_for_workspace(workspace=workspace, import_uuid=ingest.uuid)

        seconds = min(UPLOAD_AT_MOST_S, settings.SYNC_WAIT_SECONDS)
        ended = _wait(look, lambda ingest: ingest.state in INGEST_ENDED, seconds)
        if ended is None:
            try:
                import_cancel(workspace=workspace, import_uuid=ingest.uuid)
            except WrongState:
                # It came in this very moment.
                pass
            ended = look()
    if ended.state == IngestState.READY and ended.asset is not None:
        return ended.asset.uuid
    if ended.state == IngestState.FAILED:
        raise UploadFailed(ended.error_message)
    raise TaskTimedOut("Task failed due to timeout.")


def _cancelled(workspace: Workspace, job_uuid: UUID) -> Job:
    try:
        return job_cancel(workspace=workspace, job_uuid=job_uuid)
    except WrongState:
        # It ended in this very moment.
        return job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)


def _wait(look: Callable[[], T], is_over: Callable[[T], bool], seconds: float) -> T | None:
    """What was seen last, once it is over; None when time is up."""
    until = monotonic() + seconds
    while not is_over(seen := look()):
        if monotonic() >= until:
            return None
        pause()
    return seen
