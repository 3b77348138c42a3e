"""A recording, or a stem of one, as WAV."""

import hashlib
from functools import partial
from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Workspace
from accounts.scopes import JOBS_READ, JOBS_WRITE
from api.authentication import workspace_of
from api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from api.links import asset_url
from api.ordering import job_ordered
from api.sunoapi.base import OrderApi, SunoApi, answer, body_of
from api.sunoapi.dialect import NAME
from api.sunoapi.errors import RecordExists
from api.sunoapi.recordings import recording_named
from api.sunoapi.results import wav_url
from api.sunoapi.schema import (
    RECORD,
    TASK_ANSWERS,
    TASK_ID,
    SunoWavSerializer,
    answers,
)
from api.sunoapi.separations import CallbackSerializer, callback_fields
from api.sunoapi.tasks import (
    LINK_DAYS,
    audio_id,
    has_results,
    record,
    success_flag,
    task_asked_for,
    task_id,
    task_list,
)
from jobs.models import Job, JobState, Service
from jobs.ordering import Repeat
from jobs.services import Order

_SAME_WITHIN_S: Final = 60


class WavOrderSerializer(CallbackSerializer):
    taskId = serializers.CharField(max_length=64)
    audioId = serializers.CharField(max_length=64)


class WavsApi(OrderApi):
    scopes = {"POST": JOBS_WRITE}

    @extend_schema(
        operation_id="wav_generate",
        summary="Convert to WAV",
        parameters=[IDEMPOTENCY_KEY],
        request=WavOrderSerializer,
        responses=TASK_ANSWERS,
    )
    def post(self, request: Request) -> Response:
        """A WAV of an audio, for one credit. While there is one, another is refused (409)."""
        values = body_of(WavOrderSerializer, request)
        workspace = workspace_of(request)
        recording = recording_named(
            workspace=workspace, task_id=values["taskId"], audio_id=values["audioId"]
        )
        last = _check_is_first(workspace, recording, idempotency_key(request))
        order = Order(
            service=Service.CONVERSION,
            tariff="wav_of_clip",
            dialect=NAME,
            dialect_data={"audioId": values["audioId"]},
            **recording,
            **callback_fields(values),
        )
        # Calls that come side by side all find no record; they are one order.
        same = hashlib.sha256(f"wav {recording} after {last}".encode()).hexdigest()
        job = job_ordered(request, order, repeat=Repeat(same, within_s=_SAME_WITHIN_S))
        return answer({"taskId": task_id(job.uuid)})


class WavRecordApi(SunoApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(
        operation_id="wav_record_info",
        summary="Details of a WAV",
        parameters=[TASK_ID],
        responses=answers(
            SunoWavSerializer(),
            "Wav",
            {**RECORD, "response": {"audioWavUrl": "https://api.example.com/wav"}},
        ),
    )
    def get(self, request: Request) -> Response:
        """How far a conversion is, and a link to the file, which holds for 14 days."""
        job = task_asked_for(request, service=Service.CONVERSION)
        flag = success_flag(job, failed="GENERATE_WAV_FAILED")
        link = partial(asset_url, request=request, days=LINK_DAYS)
        return answer(
            {
                **record(job, flag=flag),
                "musicId": audio_id(job),
                "audioId": audio_id(job),
                "musicIndex": 0,
                "response": {"audioWavUrl": wav_url(job, link)} if has_results(flag) else None,
            }
        )


def _check_is_first(workspace: Workspace, recording: dict[str, Any], key: str | None) -> int | None:
    """Refuse a second record of the same audio, unless it is the same order sent again.

    Returns the number of the last one, of which nothing is left.
    """
    by = {"asset_uuid": "asset__uuid", "import_uuid": "ingest__uuid"}
    same = {by[name]: uuid for name, uuid in recording.items()}
    ordered = task_list(workspace=workspace).filter(service=Service.CONVERSION, **same)
    records = ordered.exclude(state__in=[JobState.FAILED, JobState.CANCELLED])
    if any(_is_kept(job) for job in records if key is None or job.idempotency_key != key):
        raise RecordExists
    return ordered.values_list("pk", flat=True).first()


def _is_kept(job: Job) -> bool:
    """Also one that is still to come."""
    return job.state != JobState.SUCCEEDED or bool(job.outputs)  # type: ignore[attr-defined]
