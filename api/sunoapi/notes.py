"""The notes of a separation, of one of its stems, or of any audio."""

from functools import partial

from drf_spectacular.utils import extend_schema
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
from api.sunoapi.results import midi_data
from api.sunoapi.schema import (
    RECORD,
    TASK_ANSWERS,
    TASK_ID,
    SunoMidiSerializer,
    answers,
)
from api.sunoapi.separations import CallbackSerializer, callback_fields
from api.sunoapi.tasks import (
    CALLBACK_EXCEPTION,
    CREATE_TASK_FAILED,
    LINK_DAYS,
    PENDING,
    SUCCESS,
    audio_id,
    record,
    success_flag,
    task_asked_for,
    task_id,
)
from jobs.models import Service
from jobs.services import Order

_FAILED = "GENERATE_MIDI_FAILED"
# Here they are numbers, and none is for a callback that did not arrive.
_FLAGS = {PENDING: 0, SUCCESS: 1, CALLBACK_EXCEPTION: 1, CREATE_TASK_FAILED: 2, _FAILED: 3}


class MidiOrderSerializer(CallbackSerializer):
    taskId = serializers.CharField(max_length=64, help_text="Of a separation, or of an upload.")
    audioId = serializers.CharField(
        required=False,
        max_length=64,
        help_text="One of its stems (`originData` of its record); else the whole recording.",
    )


class MidisApi(OrderApi):
    scopes = {"POST": JOBS_WRITE}

    @extend_schema(
        operation_id="midi_generate",
        summary="Notes from audio",
        parameters=[IDEMPOTENCY_KEY],
        request=MidiOrderSerializer,
        responses=TASK_ANSWERS,
    )
    def post(self, request: Request) -> Response:
        """The notes of a recording or of a stem, for one credit."""
        values = body_of(MidiOrderSerializer, request)
        recording = recording_named(
            workspace=workspace_of(request),
            task_id=values["taskId"],
            audio_id=values.get("audioId"),
        )
        order = Order(
            service=Service.TRANSCRIPTION,
            tariff="notes_of_clip",
            dialect=NAME,
            dialect_data={"audioId": values.get("audioId")},
            **recording,
            **callback_fields(values),
        )
        return answer({"taskId": task_id(job_ordered(request, order).uuid)})


class MidiRecordApi(SunoApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(
        operation_id="midi_record_info",
        summary="Details of notes",
        parameters=[TASK_ID],
        responses=answers(
            SunoMidiSerializer(),
            "Midi",
            {
                **{name: RECORD[name] for name in ("taskId", "audioId", "callbackUrl")},
                "recordTaskId": -1,
                "completeTime": 1760335255000,
                "midiData": {
                    "state": "complete",
                    "instruments": [
                        {
                            "name": "Electric Bass (finger)",
                            "notes": [
                                {"pitch": 44, "start": 7.6875, "end": 7.9115, "velocity": 1.0}
                            ],
                        }
                    ],
                    "midiUrl": "https://api.example.com/midi",
                },
                "successFlag": 1,
                "createTime": 1760335251000,
                "errorCode": None,
                "errorMessage": None,
            },
        ),
    )
    def get(self, request: Request) -> Response:
        """How far it is, and all notes that were found."""
        job = task_asked_for(request, service=Service.TRANSCRIPTION)
        flag = _FLAGS[success_flag(job, failed=_FAILED)]
        link = partial(asset_url, request=request, days=LINK_DAYS)
        return answer(
            {
                **record(job, flag=flag),
                "recordTaskId": -1,
                "audioId": audio_id(job),
                "midiData": midi_data(job, link) if flag == 1 else None,
            }
        )
