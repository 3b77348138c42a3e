"""The voice of at most 30 seconds of a clip, while the caller waits."""

import math
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_WRITE
from api.authentication import workspace_of
from api.idempotency import IDEMPOTENCY_KEY
from api.links import asset_url
from api.musicapi.dialect import MusicApi, errors, success
from api.musicapi.errors import NoLongerKept
from api.musicapi.ordering import ClipSerializer, clip_of, job_done, order_of
from api.musicapi.results import made_of, vox_data
from jobs.models import Job, OutputKind
from jobs.waveforms import waveform_peaks

RANGE_AT_MOST_S: Final = 30
# Stretches of 2,048 samples, of twice as many, and so on: as the other service draws them.
_LEVELS: Final = range(11, 21)


class VoxSerializer(ClipSerializer):
    vocal_start_s = serializers.FloatField(required=False, allow_null=True, min_value=0)
    vocal_end_s = serializers.FloatField(
        required=False,
        allow_null=True,
        min_value=0,
        help_text=f"At most {RANGE_AT_MOST_S} seconds after the start.",
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        start = values.get("vocal_start_s") or 0.0
        end = values.get("vocal_end_s")
        if not math.isfinite(start):
            raise serializers.ValidationError({"vocal_start_s": ["This must be a number."]})
        if end is None:
            return values | {"range_s": (start, start + RANGE_AT_MOST_S)}
        if not start < end <= start + RANGE_AT_MOST_S:
            problem = f"This must be up to {RANGE_AT_MOST_S} seconds after vocal_start_s."
            raise serializers.ValidationError({"vocal_end_s": [problem]})
        return values | {"range_s": (start, end)}


class VoxDataSerializer(serializers.Serializer[Any]):
    """For the schema."""

    class WaveSerializer(serializers.Serializer[Any]):
        class AggregateSerializer(serializers.Serializer[Any]):
            data = serializers.ListField(  # type: ignore[assignment]
                child=serializers.ListField(child=serializers.IntegerField()),
                help_text="For each channel: the lowest and the highest sample of each stretch, "
                "in turn, as 16-bit numbers.",
            )
            mip_map_level = serializers.IntegerField(
                help_text="A stretch has 2 to the power of this many samples."
            )

        waveform_aggregates = AggregateSerializer(many=True, required=False)

    vox_audio_id = serializers.UUIDField(help_text="The clip_id of the voice.")
    status = serializers.ChoiceField(choices=["complete"])
    source_clip_id = serializers.UUIDField()
    vocal_start_s = serializers.FloatField()
    vocal_end_s = serializers.FloatField()
    wave_response = WaveSerializer()
    vocal_audio_url = serializers.CharField(help_text="Opens the voice without a key, for an hour.")


class VoxAnswerSerializer(serializers.Serializer[Any]):
    """For the schema."""

    code = serializers.IntegerField()
    data = VoxDataSerializer()  # type: ignore[assignment]
    message = serializers.CharField()


_CLIP, _VOX = "26c9c592-0566-46cf-bb71-91ac1deaa7b5", "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
_ASKED = OpenApiExample(
    "A range",
    value={"clip_id": _CLIP, "vocal_start_s": 0, "vocal_end_s": 30},
    request_only=True,
)
_ANSWERED = OpenApiExample(
    "Success",
    value=success(
        data={
            "vox_audio_id": _VOX,
            "status": "complete",
            "source_clip_id": _CLIP,
            "vocal_start_s": 0,
            "vocal_end_s": 30,
            "wave_response": {"waveform_aggregates": []},
            "vocal_audio_url": "https://stems.example.org/v1/downloads/…",
        }
    ),
    response_only=True,
    status_codes=["200"],
)


class VoxApi(MusicApi):
    scopes = {"POST": JOBS_WRITE}

    @extend_schema(
        operation_id="sonic_vox",
        parameters=[IDEMPOTENCY_KEY],
        request=VoxSerializer,
        responses={200: VoxAnswerSerializer, **errors(404, 409, 411, 413, 415, 504)},
        examples=[_ASKED, _ANSWERED],
    )
    def post(self, request: Request) -> Response:
        """Extract the voice of a range of a clip. Costs one credit, if it succeeds in time."""
        body = VoxSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        clip = clip_of(workspace_of(request), values["clip_id"])
        start_s, end_s = values["range_s"]
        if values.get("vocal_end_s") is None:
            end_s = min(end_s, round(clip.duration_s, 3))
        order = order_of(
            clip,
            kind="vox",
            values={},
            stems=["vocals"],
            range_s=values["range_s"],
            tariff="vocal_range_extraction",
            dialect_data={"start_s": _plain(start_s), "end_s": _plain(end_s)},
        )
        return Response(success(data=_answer(job_done(request, order), request)))


def _answer(job: Job, request: Request) -> dict[str, Any]:
    voice = made_of(job, OutputKind.STEM)
    if voice is None:
        # Under an idempotency key that was used long ago.
        raise NoLongerKept
    data = vox_data(job, lambda asset: asset_url(asset, request=request))
    peaks = waveform_peaks(voice, levels=_LEVELS)
    aggregates = [
        {"data": level_peaks.reshape(len(level_peaks), -1).tolist(), "mip_map_level": level}
        for level, level_peaks in peaks.items()
    ]
    url = data.pop("vocal_audio_url")
    return data | {"wave_response": {"waveform_aggregates": aggregates}, "vocal_audio_url": url}


def _plain(seconds: float) -> float | int:
    """0 and 30 as they were sent, not 0.0 and 30.0."""
    return int(seconds) if seconds.is_integer() else seconds
