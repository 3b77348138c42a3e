"""How bodies look, for the description; and what each endpoint may answer."""

from typing import Any

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
)
from rest_framework import serializers

from api.sunoapi.errors import CODES
from api.sunoapi.stems import TWELVE

TASK_ID = OpenApiParameter(
    "taskId", required=True, description="As the order was answered.", examples=[]
)
Fields = serializers.Serializer[Any]


_CODES_HELP = (
    "400 invalid parameters, 401 unauthorized, 404 no such address or method, 405 rate limit "
    "exceeded, 409 the WAV exists, 413 too large, 429 insufficient credits, 430 called too often, "
    "455 maintenance, 500 our fault."
)


def _envelope(name: str, *, code: Any, data: Any) -> Any:
    # Not written as a class: `data` is a name that serializers have themselves.
    fields = {
        "code": code,
        "msg": serializers.CharField(),
        "data": data,
        "success": serializers.BooleanField(required=False, help_text="Of uploads only."),
    }
    return type(f"Suno{name}AnswerSerializer", (serializers.Serializer,), fields)


ERROR: type[Fields] = _envelope(
    "Error",
    code=serializers.ChoiceField(choices=CODES[1:], help_text=_CODES_HELP),
    data=serializers.DictField(allow_null=True, help_text="Null."),
)
_ERROR = OpenApiResponse(
    ERROR,
    examples=[
        OpenApiExample(
            "No key", value={"code": 401, "msg": "This API key is not valid.", "data": None}
        )
    ],
)


def answers(data: Any, name: str, example: Any) -> dict[int, Any]:
    """All statuses of an endpoint. Errors have 200 too, and another `code`."""
    done = _envelope(name, code=serializers.IntegerField(min_value=200, max_value=200), data=data)
    either = PolymorphicProxySerializer(
        component_name=f"Suno{name}OrError",
        serializers=[done, ERROR],
        resource_type_field_name=None,
    )
    examples = [
        OpenApiExample("Done", value={"code": 200, "msg": "success", "data": example}),
        OpenApiExample(
            "Refused", value={"code": 400, "msg": "The request is not valid.", "data": None}
        ),
    ]
    return {200: OpenApiResponse(either, examples=examples), 401: _ERROR}


class SunoTaskSerializer(Fields):
    taskId = serializers.CharField()


class SunoRecordSerializer(Fields):
    taskId = serializers.CharField()
    musicId = serializers.CharField(allow_null=True)
    audioId = serializers.CharField(allow_null=True)
    callbackUrl = serializers.CharField()
    musicIndex = serializers.IntegerField()
    completeTime = serializers.IntegerField(allow_null=True, help_text="Epoch, milliseconds.")
    successFlag = serializers.ChoiceField(
        choices=[
            "PENDING",
            "SUCCESS",
            "CREATE_TASK_FAILED",
            "GENERATE_AUDIO_FAILED",
            "GENERATE_WAV_FAILED",
            "CALLBACK_EXCEPTION",
        ]
    )
    createTime = serializers.IntegerField(help_text="Epoch, milliseconds.")
    errorCode = serializers.IntegerField(allow_null=True)
    errorMessage = serializers.CharField(allow_null=True)


class SunoOriginSerializer(Fields):
    id = serializers.UUIDField(help_text="An audioId of this task.")
    stem_type_group_name = serializers.CharField()
    audio_url = serializers.URLField()
    duration = serializers.FloatField()


SunoStemsSerializer = type(
    "SunoStemsSerializer",
    (serializers.Serializer,),
    {
        "originUrl": serializers.URLField(allow_null=True),
        "instrumentalUrl": serializers.URLField(allow_null=True),
        **{stem.field: serializers.URLField(allow_null=True) for stem in TWELVE},
        "originData": SunoOriginSerializer(many=True),
    },
)


class SunoSeparationSerializer(SunoRecordSerializer):
    response = SunoStemsSerializer(allow_null=True)


class SunoWavUrlSerializer(Fields):
    audioWavUrl = serializers.URLField(allow_null=True)


class SunoWavSerializer(SunoRecordSerializer):
    response = SunoWavUrlSerializer(allow_null=True)


class SunoNoteSerializer(Fields):
    pitch = serializers.IntegerField(help_text="As in MIDI: 69 is 440 Hz.")
    start = serializers.FloatField(help_text="Seconds.")
    end = serializers.FloatField()
    velocity = serializers.FloatField(help_text="0 to 1.")


class SunoInstrumentSerializer(Fields):
    name = serializers.CharField()
    notes = SunoNoteSerializer(many=True)


class SunoNotesSerializer(Fields):
    state = serializers.CharField()
    instruments = SunoInstrumentSerializer(many=True)
    midiUrl = serializers.URLField(allow_null=True, help_text="The MIDI file.")


class SunoMidiSerializer(Fields):
    taskId = serializers.CharField()
    recordTaskId = serializers.IntegerField()
    audioId = serializers.CharField(allow_null=True)
    callbackUrl = serializers.CharField()
    completeTime = serializers.IntegerField(allow_null=True, help_text="Epoch, milliseconds.")
    midiData = SunoNotesSerializer(allow_null=True)
    successFlag = serializers.IntegerField(
        min_value=0, max_value=3, help_text="0 pending, 1 done, 2 not begun, 3 failed."
    )
    createTime = serializers.IntegerField()
    errorCode = serializers.IntegerField(allow_null=True)
    errorMessage = serializers.CharField(allow_null=True)


class SunoFileSerializer(Fields):
    fileName = serializers.CharField()
    filePath = serializers.CharField()
    downloadUrl = serializers.URLField(allow_null=True)
    fileSize = serializers.IntegerField(allow_null=True)
    mimeType = serializers.CharField(allow_null=True)
    uploadedAt = serializers.DateTimeField()
    taskId = serializers.CharField(help_text="Of orders, with `audioId`.")
    audioId = serializers.UUIDField()


RECORD: dict[str, Any] = {
    "taskId": "5c79a3f1e0d24b6c9a7e41c8f2d3be8e",
    "musicId": "e2310f6a-57a4-4a2b-9f0e-6c9d8cadc7dc",
    "audioId": "e2310f6a-57a4-4a2b-9f0e-6c9d8cadc7dc",
    "callbackUrl": "https://api.example.com/callback",
    "musicIndex": 0,
    "completeTime": 1753782937000,
    "successFlag": "SUCCESS",
    "createTime": 1753782854000,
    "errorCode": None,
    "errorMessage": None,
}
FILE: dict[str, Any] = {
    "fileName": "song.mp3",
    "filePath": "music/song.mp3",
    "downloadUrl": "https://api.example.com/song",
    "fileSize": 4194304,
    "mimeType": "audio/mpeg",
    "uploadedAt": "2026-11-21T12:00:00.000000Z",
    "taskId": "e2310f6a57a44a2b9f0e6c9d8cadc7dc",
    "audioId": "e2310f6a-57a4-4a2b-9f0e-6c9d8cadc7dc",
}
# Of several endpoints.
TASK_ANSWERS = answers(SunoTaskSerializer(), "Task", {"taskId": RECORD["taskId"]})
FILE_ANSWERS = answers(SunoFileSerializer(), "File", FILE)
CREDIT_ANSWERS = answers(serializers.IntegerField(), "Credit", 100)
