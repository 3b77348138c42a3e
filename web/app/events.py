"""What changes in the jobs on a page: as one stream for all of them, or as an answer to one look.

Both say the same, in the words and the markup of the page itself; static/js/live.js takes either.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.utils import translation

from accounts.principal import Principal
from accounts.scopes import JOBS_READ, JOBS_WRITE
from config.errors import AppError
from jobs.models import Job
from jobs.searching import jobs_of
from jobs.streams import COMMENT_EVERY_S, STREAM_AT_MOST_S, stream_response
from web.app.jobs import job_uuids_of
from web.app.jobs_rows import JobRow
from web.views import app_page, principal_of

_LOOK_EVERY_S: Final = 1.0
# What of a job a page shows.
_TEMPLATES: Final = {"row": "app/_job_row.html", "status": "app/_job_status.html"}


@app_page(JOBS_READ)
def events(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """An event `job` for each job at once and at each change, `gone` for one that was deleted, and
    `end` when nothing can change any more."""
    looks = _Looks(request, principal)
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"jobs": looks.changes(), "gone": looks.gone, "end": looks.is_end})
    if looks.is_end:
        # Tells browsers not to come back.
        return HttpResponse(status=204)
    return stream_response(
        workspace=principal.workspace,
        events=lambda: _events(looks, request.headers.get("Last-Event-ID", "")),
        is_head=request.method == "HEAD",
    )


class _Looks:
    """Looks at all jobs of a page at once, and remembers what it has told of them."""

    def __init__(self, request: HttpRequest, principal: Principal) -> None:
        self._request = request
        self._workspace = principal.workspace
        self._may_write = JOBS_WRITE in principal.scopes
        self._template = _TEMPLATES.get(request.GET.get("as", ""), _TEMPLATES["row"])
        # The stream goes on when the middleware is long done with the language of the call.
        self._language = translation.get_language()
        self._csrf_token = get_token(request)
        self._left = set(job_uuids_of(request.GET.get("jobs", "").split(",")))
        self._told: dict[UUID, Any] = {}
        self.gone: list[str] = []

    @property
    def is_end(self) -> bool:
        return not self._left

    @property
    def digest(self) -> str:
        """Of all that was told: who has seen this very state need not be told it again."""
        told = sorted((str(job_uuid), str(news)) for job_uuid, news in self._told.items())
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def is_allowed(self) -> bool:
        """Whether who asked may still look: signed in, a member, of a role that sees jobs."""
        session = self._request.session
        if session.session_key is None or not session.exists(session.session_key):
            return False
        try:
            del self._request.principal  # type: ignore[attr-defined]
            principal = principal_of(self._request)
        except AppError:
            return False
        return principal.workspace == self._workspace and JOBS_READ in principal.scopes

    def changes(self) -> list[dict[str, Any]]:
        with translation.override(self._language):
            rows = {
                job.uuid: JobRow(job, may_write=self._may_write)
                for job in jobs_of(workspace=self._workspace, job_uuids=self._left)
            }
            self.gone = [str(job_uuid) for job_uuid in self._left - rows.keys()]
            news = {job_uuid: row.news for job_uuid, row in rows.items()}
            changed = [
                self._body(row)
                for job_uuid, row in rows.items()
                if self._told.get(job_uuid) != news[job_uuid]
            ]
        self._told = {**self._told, **news}
        self._left = {job_uuid for job_uuid, row in rows.items() if row.is_active}
        return changed

    def _body(self, row: JobRow) -> dict[str, Any]:
        job: Job = row.job
        return {
            "id": row.id,
            "state": job.state,
            "progress": job.progress,
            "stage": row.stage,
            "said": f"{row.name}: {row.stage}",
            "html": render_to_string(
                self._template, {"row": row, "csrf_token": self._csrf_token, "is_part": True}
            ),
        }


def _events(looks: _Looks, seen: str) -> Iterator[bytes]:
    started = said = time.monotonic()
    # Tells browsers how soon to come back after the stream has ended.
    yield b"retry: 1000\n\n"
    while time.monotonic() - started < STREAM_AT_MOST_S:
        if not looks.is_allowed():
            return
        changes = looks.changes()
        # Who comes back and has missed nothing is told nothing; whatever was told last has an id.
        if seen != looks.digest:
            for body in changes:
                said = time.monotonic()
                yield _event("job", body, looks.digest)
        seen = ""
        for job_uuid in looks.gone:
            yield _event("gone", {"id": job_uuid}, looks.digest)
        if looks.is_end:
            yield _event("end", {}, looks.digest)
            return
        if time.monotonic() - said >= COMMENT_EVERY_S:
            said = time.monotonic()
            yield b": still here\n\n"
        time.sleep(_LOOK_EVERY_S)


def _event(name: str, body: dict[str, Any], digest: str) -> bytes:
    return f"id: {digest}\nevent: {name}\ndata: {json.dumps(body)}\n\n".encode()
