"""Progress as it happens, as server-sent events."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request

from accounts.models import Workspace
from accounts.scopes import JOBS_READ
from api.authentication import is_still_allowed, workspace_of
from api.native.base import NativeApi
from api.native.job_bodies import job_body
from api.places import Places
from config.errors import NotFound, TooManyRequests
from jobs.models import ENDED
from jobs.selectors import job_get_for_workspace

_LOOK_EVERY_S = 0.5
# Only writing shows that a client is gone; until then its stream holds a thread.
_COMMENT_EVERY_S = 5.0
# A stream holds a server thread: it ends after a while, and the client comes back by itself.
_STREAM_AT_MOST_S = 300.0
# What a running job changes in.
_NEWS = ("status", "progress", "step", "attempt", "cancel_requested_at")


class JobEventsApi(NativeApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(
        operation_id="job_events",
        responses={
            (200, "text/event-stream"): OpenApiResponse(
                OpenApiTypes.STR,
                description="An event `job` with the whole job at once and at each change, until "
                "it has ended. The stream closes then, or after five minutes. The number of open "
                "streams is limited: above it, 429 says how soon to try again.",
            )
        },
    )
    def get(self, request: Request, job_uuid: UUID) -> StreamingHttpResponse:
        """The job as it changes, as server-sent events."""
        workspace = workspace_of(request)
        job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)

        def look() -> tuple[dict[str, Any], bool]:
            # What was revoked since, or taken from the caller, ends the stream.
            if not is_still_allowed(request, scope=JOBS_READ):
                raise NotFound
            job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
            return job_body(job, request), job.state in ENDED

        stream: Iterable[bytes] = () if request.method == "HEAD" else _Stream(workspace, look)
        response = StreamingHttpResponse(stream, content_type="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        # Proxies that buffer would keep the events until the end.
        response.headers["X-Accel-Buffering"] = "no"
        return response


def _refusal() -> TooManyRequests:
    return TooManyRequests(
        "Too many progress streams are open; read the job itself meanwhile.",
        headers={"Retry-After": "5"},
    )


_places = Places(
    most=lambda: int(settings.PROGRESS_STREAMS_PER_PROCESS),
    most_of_owner=lambda: int(settings.PROGRESS_STREAMS_PER_WORKSPACE),
    refuse=_refusal,
)


class _Stream:
    """Takes a place until it is closed. Not a generator: closing one that never started runs none
    of its code, and the place would be lost."""

    def __init__(
        self, workspace: Workspace, look: Callable[[], tuple[dict[str, Any], bool]]
    ) -> None:
        _places.take(workspace.pk)
        self._workspace = workspace
        self._look = look
        self._is_open = True

    def __iter__(self) -> Iterator[bytes]:
        return _events(self._look)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            _places.give_back(self._workspace.pk)


def _events(look: Callable[[], tuple[dict[str, Any], bool]]) -> Iterator[bytes]:
    started = said = time.monotonic()
    last = ""
    # Tells browsers how soon to come back after the stream has ended.
    yield b"retry: 1000\n\n"
    while time.monotonic() - started < _STREAM_AT_MOST_S:
        try:
            body, ended = look()
        except NotFound:
            # Deleted meanwhile, or no longer for this caller: there is nothing more to tell.
            return
        # Links are signed anew each time: they alone are no news.
        news = json.dumps([body[name] for name in _NEWS])
        if news != last:
            last, said = news, time.monotonic()
            yield f"event: job\ndata: {json.dumps(body, default=str)}\n\n".encode()
        elif time.monotonic() - said >= _COMMENT_EVERY_S:
            said = time.monotonic()
            yield b": still here\n\n"
        if ended:
            return
        time.sleep(_LOOK_EVERY_S)
