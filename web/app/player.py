"""What the player of a job asks for: what there is to play, and the files themselves."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.principal import Principal
from accounts.scopes import JOBS_READ
from config.errors import AppError
from jobs.listening import Lane, Playing, listening_file, listening_get, peak_levels, playing_of
from jobs.models import Listening, OutputKind
from jobs.selectors import job_get_for_workspace
from jobs.stored_files import file_send
from web.views import app_page

# Where the bucket sends a file: for one range of it.
_LINK_SECONDS: Final = 600
# Of a file that is ready, and of its part, the address.
FileUrl = Callable[[Listening, str], str]


@app_page(JOBS_READ)
def manifest(request: HttpRequest, principal: Principal, job_uuid: UUID) -> HttpResponseBase:
    def url(listening: Listening, part: str) -> str:
        return reverse("job-player-file", args=[job_uuid, listening.uuid, part])

    try:
        job = job_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
        return JsonResponse(playing_json(playing_of(job), url))
    except AppError as error:
        return error_json(error)


@app_page(JOBS_READ, may_be_kept=True)
def file(
    request: HttpRequest,
    principal: Principal,
    job_uuid: UUID,
    listening_uuid: UUID,
    part: str,
) -> HttpResponseBase:
    job = job_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
    listening = listening_get(job=job, listening_uuid=listening_uuid)
    return file_send(request, listening_file(listening, part), seconds=_LINK_SECONDS)


def playing_json(playing: Playing, url: FileUrl) -> dict[str, Any]:
    """As the player reads it."""
    original = playing.original
    body: dict[str, Any] = {
        "state": playing.state,
        "progress": playing.progress,
        "sample_rate": playing.sample_rate,
        "n_samples": playing.n_samples,
        "segment_samples": playing.segment_samples,
        "lanes": [_lane(lane, number, url) for number, lane in enumerate(playing.lanes)],
        "original": _lane(original, len(playing.lanes), url) if original else None,
    }
    if playing.speakers:
        # They have no sound of their own: when they speak is shown beside the recording.
        body["speakers"] = [
            {
                "name": speaker.label,
                "label": speaker.title or _speaker_label(number),
                "lane": number,
                "turns": [list(turn) for turn in speaker.turns],
            }
            for number, speaker in enumerate(playing.speakers)
        ]
    return body


def error_json(error: AppError) -> JsonResponse:
    body = {"error": {"code": error.code, "message": error.text}}
    return JsonResponse(body, status=error.status, headers=error.headers)


def _lane(lane: Lane, number: int, url: FileUrl) -> dict[str, Any]:
    listening = lane.listening
    body: dict[str, Any] = {
        "id": str(lane.asset.uuid),
        "kind": lane.kind.value,
        "name": lane.name,
        "label": _label(lane, number),
        "lane": number,
    }
    if lane.turns:
        body["turns"] = [list(turn) for turn in lane.turns]
    if listening is None or not listening.is_ready:
        return body
    return body | {
        "audio": {"url": url(listening, "audio"), "offsets": listening.offsets},
        "peaks": {
            "url": url(listening, "peaks"),
            "levels": [
                {"per_second": level.per_second, "offset": level.offset, "count": level.count}
                for level in peak_levels(listening)
            ],
        },
        "gain": listening.gain,
    }


def _label(lane: Lane, number: int) -> str:
    if lane.title:
        return _(lane.title) if lane.kind == OutputKind.STEM else lane.title
    if lane.kind == OutputKind.TRACK:
        return _speaker_label(number)
    return _("Original") if lane.is_original else _("Recording")


def _speaker_label(number: int) -> str:
    return _("Speaker %(number)s") % {"number": number + 1}
