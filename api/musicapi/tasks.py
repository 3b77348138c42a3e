"""Stems of a clip, and how far a task has come."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_READ, JOBS_WRITE
from api.authentication import workspace_of
from api.idempotency import IDEMPOTENCY_KEY
from api.links import asset_url
from api.musicapi.clips import OrderedSerializer
from api.musicapi.dialect import DIALECT, MusicApi, errors, success
from api.musicapi.errors import TaskMissing, TaskNotFound
from api.musicapi.names import BASIC, full_stems
from api.musicapi.ordering import OrderSerializer, clip_of, order_of
from api.musicapi.results import STATES, task_data, task_message
from api.ordering import job_ordered
from jobs.models import Job
from jobs.selectors import job_list

_ERRORS = errors(404, 409, 411, 413, 415)


class _StemsApi(MusicApi):
    scopes = {"POST": JOBS_WRITE}

    def order(self, request: Request, *, stems: tuple[str, ...], tariff: str) -> Response:
        body = OrderSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        clip = clip_of(workspace_of(request), values["clip_id"])
        order = order_of(clip, kind="stems", values=values, stems=list(stems), tariff=tariff)
        return Response(success(task_id=str(job_ordered(request, order).uuid)))


class StemsBasicApi(_StemsApi):
    @extend_schema(
        operation_id="sonic_stems_basic",
        parameters=[IDEMPOTENCY_KEY],
        request=OrderSerializer,
        responses={200: OrderedSerializer, **_ERRORS},
    )
    def post(self, request: Request) -> Response:
        """The voice of a clip, and what is left without it."""
        return self.order(request, stems=tuple(BASIC), tariff="two_stem_set")


class StemsFullApi(_StemsApi):
    @extend_schema(
        operation_id="sonic_stems_full",
        parameters=[IDEMPOTENCY_KEY],
        request=OrderSerializer,
        responses={200: OrderedSerializer, **_ERRORS},
    )
    def post(self, request: Request) -> Response:
        """As many of the twelve stems of a clip as there are models for."""
        return self.order(request, stems=full_stems(), tariff="all_stem_set")


class TaskSerializer(serializers.Serializer[Any]):
    """For the schema."""

    class EntrySerializer(serializers.Serializer[Any]):
        """Of stems: one for each; else one, with what the call itself would have answered."""

        clip_id = serializers.UUIDField(
            allow_null=True, help_text="Null until the stem is made, and once it is not kept."
        )
        state = serializers.ChoiceField(choices=sorted(set(STATES.values())))
        title = serializers.CharField(required=False)
        stem = serializers.CharField(required=False)
        tags = serializers.CharField(required=False)
        lyrics = serializers.CharField(required=False)
        image_url = serializers.CharField(required=False, allow_null=True)
        audio_url = serializers.CharField(required=False, allow_null=True)
        video_url = serializers.CharField(required=False, allow_null=True)
        created_at = serializers.DateTimeField(required=False)
        mv = serializers.CharField(required=False, help_text="The model.")
        gpt_description_prompt = serializers.CharField(required=False, allow_null=True)
        duration = serializers.FloatField(required=False, help_text="Seconds.")
        wav_url = serializers.CharField(required=False, allow_null=True)
        avg_bpm = serializers.FloatField(required=False, allow_null=True)
        max_bpm = serializers.FloatField(required=False, allow_null=True)
        min_bpm = serializers.FloatField(required=False, allow_null=True)
        midi_url = serializers.CharField(required=False, allow_null=True)
        instruments = serializers.ListField(child=serializers.DictField(), required=False)
        download_urls = serializers.DictField(child=serializers.CharField(), required=False)

    code = serializers.IntegerField()
    data = EntrySerializer(many=True)  # type: ignore[assignment]
    message = serializers.CharField(help_text="`success`, or why the task failed.")


class TaskApi(MusicApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(operation_id="sonic_task", responses={200: TaskSerializer, **errors()})
    def get(self, request: Request, task_id: str) -> Response:
        """How far a task has come, and what it made. Ask every 15 seconds or so."""
        job = _job_of(request, task_id)
        data = task_data(job, lambda asset: asset_url(asset, request=request))
        return Response({"code": 200, "data": data, "message": task_message(job)})


class NoTaskApi(MusicApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        raise TaskMissing


def _job_of(request: Request, text: str) -> Job:
    try:
        task_uuid = UUID(text)
    except ValueError:
        raise TaskNotFound from None
    # What was ordered through another API has results that this one has no words for.
    jobs = job_list(workspace=workspace_of(request)).filter(dialect=DIALECT.name)
    job = jobs.filter(uuid=task_uuid).first()
    if job is None:
        raise TaskNotFound
    return job
