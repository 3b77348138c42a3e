"""Vocals and instruments apart: two stems, or as many of the twelve as can be made here."""

from functools import partial
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_READ, JOBS_WRITE
from api.authentication import workspace_of
from api.idempotency import IDEMPOTENCY_KEY
from api.links import asset_url
from api.ordering import job_ordered
from api.sunoapi.base import OrderApi, SunoApi, answer, body_of
from api.sunoapi.dialect import NAME
from api.sunoapi.recordings import recording_named
from api.sunoapi.results import separation_response
from api.sunoapi.schema import (
    RECORD,
    TASK_ANSWERS,
    TASK_ID,
    SunoSeparationSerializer,
    answers,
)
from api.sunoapi.stems import ALL, MODES, SEPARATE_VOCAL, TARIFFS, stems_of_mode
from api.sunoapi.tasks import (
    LINK_DAYS,
    audio_id,
    has_results,
    record,
    success_flag,
    task_asked_for,
    task_id,
)
from jobs.models import Service
from jobs.services import Order


class CallbackSerializer(serializers.Serializer[Any]):
    callBackUrl = serializers.CharField(
        max_length=2000, help_text="Told when the task has ended, well or not."
    )
    callBackSecret = serializers.CharField(
        required=False,
        min_length=8,
        max_length=200,
        trim_whitespace=False,
        help_text="Ours: with one, callbacks carry `X-Webhook-Timestamp` and "
        "`X-Webhook-Signature`: base64 of HMAC-SHA256 over taskId, a dot and the timestamp.",
    )


class SeparationOrderSerializer(CallbackSerializer):
    taskId = serializers.CharField(required=False, max_length=64)
    audioId = serializers.CharField(required=False, max_length=64)
    audioUrl = serializers.CharField(
        required=False, max_length=2000, help_text="Instead of taskId and audioId."
    )
    type = serializers.ChoiceField(choices=MODES, default=SEPARATE_VOCAL)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        names = {"taskId", "audioId"}
        if "audioUrl" in values:
            given = names & set(values)
            problem = "Send either taskId and audioId or audioUrl."
            problems = {name: [problem] for name in sorted(given)}
        else:
            missing = names - set(values)
            problems = {name: ["This field is required."] for name in sorted(missing)}
        if problems:
            raise serializers.ValidationError(problems)
        return values


def callback_fields(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of an Order that say who is told, and how."""
    return {
        "callback_url": values["callBackUrl"],
        "callback_style": NAME,
        "callback_secret": values.get("callBackSecret", ""),
    }


class SeparationsApi(OrderApi):
    scopes = {"POST": JOBS_WRITE}

    @extend_schema(
        operation_id="vocal_removal_generate",
        summary="Separate vocals from music",
        parameters=[IDEMPOTENCY_KEY],
        request=SeparationOrderSerializer,
        examples=[
            OpenApiExample(
                "Two stems",
                request_only=True,
                value={
                    "taskId": RECORD["taskId"],
                    "audioId": RECORD["audioId"],
                    "callBackUrl": RECORD["callbackUrl"],
                    "type": "separate_vocal",
                },
            )
        ],
        responses=TASK_ANSWERS,
    )
    def post(self, request: Request) -> Response:
        """Two stems for 10 credits, or a split for 50. Each call is charged anew."""
        values = body_of(SeparationOrderSerializer, request)
        mode = values["type"]
        recording = (
            {"url": values["audioUrl"]}
            if "audioUrl" in values
            else recording_named(
                workspace=workspace_of(request),
                task_id=values["taskId"],
                audio_id=values["audioId"],
            )
        )
        order = Order(
            service=Service.SEPARATION,
            stems=stems_of_mode(mode),
            tariff=TARIFFS[mode],
            dialect=NAME,
            dialect_data={"type": mode, "audioId": values.get("audioId")},
            **recording,
            **callback_fields(values),
        )
        return answer({"taskId": task_id(job_ordered(request, order).uuid)})


class SeparationRecordApi(SunoApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(
        operation_id="vocal_removal_record_info",
        summary="Details of a separation",
        parameters=[TASK_ID],
        responses=answers(
            SunoSeparationSerializer(),
            "Separation",
            {
                **RECORD,
                "response": {
                    "originUrl": "https://api.example.com/origin",
                    **{stem.field: None for stem in ALL},
                    "vocalUrl": "https://api.example.com/vocals",
                    "instrumentalUrl": "https://api.example.com/instrumental",
                    "originData": [],
                },
            },
        ),
    )
    def get(self, request: Request) -> Response:
        """How far a separation is, and links to its stems, which hold for 14 days."""
        job = task_asked_for(request, service=Service.SEPARATION)
        flag = success_flag(job, failed="GENERATE_AUDIO_FAILED")
        link = partial(asset_url, request=request, days=LINK_DAYS)
        return answer(
            {
                **record(job, flag=flag),
                "musicId": audio_id(job),
                "audioId": audio_id(job),
                "musicIndex": 0,
                "response": separation_response(job, link) if has_results(flag) else None,
            }
        )
