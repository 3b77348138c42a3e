"""Progress as it happens, as server-sent events."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from django.db import connection
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request

from api.authentication import workspace_of
from api.native.base import NativeApi
from api.native.jobs import job_body
from config.errors import AppError
from jobs.models import ENDED
from jobs.selectors import job_get_for_workspace

_LOOK_EVERY_S = 0.5
_COMMENT_EVERY_S = 15.0
# A stream holds a server thread: it ends after a while, and the client comes back by itself.
_STREAM_AT_MOST_S = 300.0


class JobEventsApi(NativeApi):
    @extend_schema(
        operation_id="job_events",
        responses={
            (200, "text/event-stream"): OpenApiResponse(
                OpenApiTypes.STR,
                description="An event `job` with the whole job at once and at each change, until "
                "it has ended. The stream closes then, or after five minutes.",
            )
        },
    )
    def get(self, request: Request, job_uuid: UUID) -> StreamingHttpResponse:
        """The job as it changes, as server-sent events."""
        workspace = workspace_of(request)
        job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)

        def look() -> tuple[dict[str, Any], bool]:
            job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
            return job_body(job, request), job.state in ENDED

        response = StreamingHttpResponse(_events(look), content_type="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        # Proxies that buffer would keep the events until the end.
        response.headers["X-Accel-Buffering"] = "no"
        return response


def _events(look: Callable[[], tuple[dict[str, Any], bool]]) -> Iterator[bytes]:
    started = said = time.monotonic()
    last = ""
    # Tells browsers how soon to come back after the stream has ended.
    yield b"retry: 1000\n\n"
    try:
        while time.monotonic() - started < _STREAM_AT_MOST_S:
            body, ended = look()
            # Links are signed anew each time: they alone are no news.
            news = json.dumps(
                [body["status"], body["progress"], body["attempt"], body["cancel_requested_at"]]
            )
            if news != last:
                last, said = news, time.monotonic()
                yield f"event: job\ndata: {json.dumps(body, default=str)}\n\n".encode()
            elif time.monotonic() - said > _COMMENT_EVERY_S:
                said = time.monotonic()
                yield b": still here\n\n"
            if ended:
                return
            time.sleep(_LOOK_EVERY_S)
    except AppError:
        # Deleted meanwhile: there is nothing more to tell.
        return
    finally:
        connection.close()
