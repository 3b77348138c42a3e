"""What the description of this API says beyond its forms."""

from typing import Any, Final

from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from api.musicgpt.names import KINDS
from api.schemas import ApiSchema

_ERRORS: Final = {
    400: "The body is not what its content type says.",
    401: "No key, or one that is not valid.",
    402: "Not enough credits, or the cap of the key is reached.",
    403: "The key has not the right to do this.",
    404: "There is no such conversion.",
    409: "It cannot be done in the present state, such as with too many open downloads.",
    413: "The file is too large.",
    415: "A content type that is not read here.",
    422: "A parameter is wrong, or names what is not available here, or the recording is broken.",
    429: "Too many calls; `Retry-After` says in how many seconds to try again.",
    500: "A fault of ours.",
    503: "Not at the moment, such as for lack of room; try again.",
}
# What a call that only reads does not run into.
_OF_ORDERS: Final = {402, 409, 413, 415}


class ErrorSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField(default=False)
    message = serializers.CharField(help_text="One sentence, made for people.")
    error = serializers.CharField(help_text="The same sentence.")
    code = serializers.CharField(help_text="Stable; made for programs.")


class ReplySerializer(serializers.Serializer[Any]):
    """A conversion that was ordered."""

    success = serializers.BooleanField()
    message = serializers.CharField()
    task_id = serializers.UUIDField()
    conversion_id = serializers.UUIDField()
    eta = serializers.IntegerField(help_text="Seconds until it is done; -1: unknown.")
    credit_estimate = serializers.FloatField(
        help_text="Its exact price; -1 while the recording is fetched from its address: it is "
        "known, and held, once the recording has come."
    )
    status = serializers.ChoiceField(choices=["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED"])


class ConversionSerializer(serializers.Serializer[Any]):
    task_id = serializers.UUIDField()
    conversion_id = serializers.UUIDField()
    conversion_type = serializers.ChoiceField(choices=list(KINDS))
    status = serializers.ChoiceField(choices=["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED"])
    status_msg = serializers.CharField(help_text="In words; of one that failed, why.")
    eta = serializers.IntegerField(help_text="Seconds until it is done; -1: unknown.")
    credit_estimate = serializers.FloatField(help_text="Its price; -1: not known yet.")
    conversion_cost = serializers.FloatField(help_text="What was charged: 0 unless it succeeded.")
    conversion_duration = serializers.FloatField(
        allow_null=True, help_text="Seconds of the recording."
    )
    audio_url = serializers.CharField(
        allow_null=True,
        help_text="Once it is done. Of an EXTRACTION the text of a JSON object: the address of "
        "each stem. Else an address.",
    )
    audio_url_wav = serializers.CharField(allow_null=True, help_text="The same, as WAV.")
    conversion_path = serializers.CharField(allow_null=True, help_text="As `audio_url`.")
    conversion_path_wav = serializers.CharField(allow_null=True, help_text="As `audio_url_wav`.")
    dominant_key = serializers.CharField(
        required=False, allow_null=True, help_text="Of a KEY_BPM_EXTRACTION."
    )
    key_changes = serializers.DictField(
        required=False, help_text="Of a KEY_BPM_EXTRACTION; always empty: changes are not found."
    )
    bpm = serializers.FloatField(
        required=False, allow_null=True, help_text="Of a KEY_BPM_EXTRACTION."
    )
    midi_url = serializers.CharField(
        required=False, allow_null=True, help_text="Of an AUDIO_TO_MIDI."
    )
    note_events = serializers.ListField(
        child=serializers.DictField(),
        required=False,
        help_text="Of an AUDIO_TO_MIDI, by `byId`: pitch, start, end (seconds), velocity, "
        "instrument. The first 20,000.",
    )
    title = serializers.CharField(allow_null=True)
    lyrics = serializers.CharField(allow_null=True)
    music_style = serializers.CharField(allow_null=True)
    createdAt = serializers.DateTimeField()  # noqa: N815 - the name over there
    updatedAt = serializers.DateTimeField()  # noqa: N815


class ByIdSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    conversion = ConversionSerializer()


class ByUserSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    conversions = ConversionSerializer(many=True)
    LastEvaluatedKey = serializers.CharField(
        allow_null=True, help_text="Send it to get the next page; null on the last one."
    )


# As the document of the other service shows it.
REPLY_EXAMPLE: Final = OpenApiExample(
    "In queue",
    value={
        "success": True,
        "task_id": "1683c35d-3990-4aac-98da-6847a6893893",
        "conversion_id": "dded3f43-4715-4564-88e0-b66ebc00c466",
        "eta": 147,
        "credit_estimate": 5.55,
        "message": "Message published to queue",
        "status": "IN_QUEUE",
    },
    response_only=True,
    status_codes=["200"],
)


class MusicGptSchema(ApiSchema):
    """Names the statuses, each with the one body that all errors have."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None:
            component: ResolvedComponent = self.resolve_serializer(ErrorSerializer, "response")
            for status, text in _ERRORS.items():
                if self.method == "POST" or status not in _OF_ORDERS:
                    content = {"application/json": {"schema": component.ref}}
                    operation["responses"][str(status)] = {"description": text, "content": content}
        return operation
