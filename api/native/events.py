"""Progress as it happens, as server-sent events."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request

from accounts.scopes import JOBS_READ
from api.authentication import is_still_allowed, workspace_of
from api.native.base import NativeApi
from api.native.job_bodies import job_body
from config.errors import NotFound
from jobs.models import ENDED
from jobs.selectors import job_get_for_workspace
from jobs.streams import COMMENT_EVERY_S, LOOK_EVERY_S, STREAM_AT_MOST_S, stream_response

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

        return stream_response(
            workspace=workspace,
            events=lambda: _events(look),
            is_head=request.method == "HEAD",
        )


def _events(look: Callable[[], tuple[dict[str, Any], bool]]) -> Iterator[bytes]:
    started = said = time.monotonic()
    last = ""
    # Tells browsers how soon to come back after the stream has ended.
    yield b"retry: 1000\n\n"
    while time.monotonic() - started < STREAM_AT_MOST_S:
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
        elif time.monotonic() - said >= COMMENT_EVERY_S:
            said = time.monotonic()
            yield b": still here\n\n"
        if ended:
            return
        time.sleep(LOOK_EVERY_S)
