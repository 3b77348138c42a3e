"""The mix as it is set in the player, made into a file. The player's script calls these."""

import json
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.principal import Principal
from accounts.scopes import JOBS_READ
from config.errors import AppError, ValidationFailed
from jobs.mixing import MixLane, MixOrder, mix_create, mix_file, mix_get
from jobs.models import Mix
from jobs.stored_files import file_send
from web.app.player import error_json
from web.views import app_page

_LINK_SECONDS: Final = 600


@app_page(JOBS_READ, methods=("POST",))
def mix(request: HttpRequest, principal: Principal, job_uuid: UUID) -> HttpResponseBase:
    try:
        order = _order(request.body)
        made = mix_create(workspace=principal.workspace, job_uuid=job_uuid, order=order)
    except AppError as error:
        return error_json(error)
    return _shown(made, job_uuid, status=202)


@app_page(JOBS_READ)
def status(
    request: HttpRequest, principal: Principal, job_uuid: UUID, mix_uuid: UUID
) -> HttpResponseBase:
    try:
        found = mix_get(workspace=principal.workspace, job_uuid=job_uuid, mix_uuid=mix_uuid)
    except AppError as error:
        return error_json(error)
    return _shown(found, job_uuid)


@app_page(JOBS_READ)
def file(
    request: HttpRequest, principal: Principal, job_uuid: UUID, mix_uuid: UUID
) -> HttpResponseBase:
    found = mix_get(workspace=principal.workspace, job_uuid=job_uuid, mix_uuid=mix_uuid)
    return file_send(request, mix_file(found), seconds=_LINK_SECONDS)


def _order(body: bytes) -> MixOrder:
    """What the player sent: of values only their places are looked at here."""
    try:
        asked = json.loads(body)
        start, end = asked.get("range") or (None, None)
        lanes = [
            MixLane(str(lane["id"]), lane.get("gain", 1), lane.get("pan", 0))
            for lane in asked["lanes"]
        ]
        return MixOrder(
            lanes=lanes,
            form=str(asked.get("format", "wav")),
            master=asked.get("master", 1),
            start=_whole(start),
            end=_whole(end),
            is_normalised=asked.get("normalise", False) is True,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValidationFailed from None


def _whole(value: Any) -> int | None:
    if value is None or type(value) is int:
        return value
    raise TypeError


def _shown(made: Mix, job_uuid: UUID, status: int = 200) -> JsonResponse:
    body: dict[str, Any] = {
        "id": str(made.uuid),
        "state": made.state,
        "progress": made.progress,
        "status_url": reverse("job-mix-status", args=[job_uuid, made.uuid]),
    }
    if made.is_ready:
        body |= {
            "download_url": reverse("job-mix-file", args=[job_uuid, made.uuid]),
            "filename": made.filename,
            "size_bytes": made.size_bytes,
            "peak": made.peak,
            # Beyond full scale; ordered with `normalise` there are none.
            "clipped_samples": made.clipped_samples,
        }
    elif made.state == "failed":
        body["message"] = _("The mix could not be made. Try again a little later.")
    return JsonResponse(body, status=status)
