"""Recordings by address, and what is told of a single clip: WAV, tempo, notes, other formats."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import ASSETS_WRITE, JOBS_WRITE
from api.authentication import principal_of, workspace_of
from api.idempotency import IDEMPOTENCY_KEY
from api.links import asset_url
from api.musicapi.dialect import MusicApi, errors, success
from api.musicapi.ordering import OrderSerializer, clip_of, job_done, order_of
from api.musicapi.results import Link, bpm_data, midi_data, wav_data
from api.musicapi.waiting import clip_now
from api.ordering import job_ordered
from jobs.models import Job, Service
from jobs.outbound import URL_MAX_CHARS


class UploadApi(MusicApi):
    scopes = {"POST": ASSETS_WRITE}

    class NewUploadSerializer(serializers.Serializer[Any]):
        url = serializers.CharField(
            max_length=URL_MAX_CHARS, help_text="Public, http or https, of the recording itself."
        )
        callback_url = serializers.CharField(
            required=False, allow_blank=True, help_text="Not offered: uploads answer by themselves."
        )
        webhook_url = serializers.CharField(
            required=False, allow_blank=True, help_text="As `callback_url`."
        )

        def validate(self, values: dict[str, Any]) -> dict[str, Any]:
            # Better said than never told: who waits for a message would wait for ever.
            problem = "Uploads are answered with their clip_id at once; leave this out."
            named = [name for name in ("callback_url", "webhook_url") if values.get(name)]
            if named:
                raise serializers.ValidationError({name: [problem] for name in named})
            return values

    class UploadedSerializer(serializers.Serializer[Any]):
        code = serializers.IntegerField()
        clip_id = serializers.UUIDField()
        message = serializers.CharField()

    @extend_schema(
        operation_id="sonic_upload",
        request=NewUploadSerializer,
        responses={200: UploadedSerializer, **errors(409, 411, 413, 415, 504)},
    )
    def post(self, request: Request) -> Response:
        """Have a recording fetched from its address, for nothing."""
        body = self.NewUploadSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        principal = principal_of(request)
        clip_id = clip_now(
            workspace=principal.workspace,
            api_key=principal.api_key,
            url=body.validated_data["url"],
        )
        return Response(success(clip_id=str(clip_id)))


class OrderedSerializer(serializers.Serializer[Any]):
    """For the schema."""

    code = serializers.IntegerField()
    task_id = serializers.UUIDField()
    message = serializers.CharField()


class _ToolApi(MusicApi):
    """Makes something of a clip: while the caller waits, or to be told where there is an address
    to tell."""

    scopes = {"POST": JOBS_WRITE}
    kind: ClassVar[str]
    service: ClassVar[str]
    tariff: ClassVar[str]

    def data(self, job: Job, link: Link) -> dict[str, Any]:
        raise NotImplementedError

    def make(self, request: Request) -> Response:
        body = OrderSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        clip = clip_of(workspace_of(request), values["clip_id"])
        order = order_of(
            clip, kind=self.kind, values=values, service=self.service, tariff=self.tariff
        )
        if order.callback_url:
            return Response(success(task_id=str(job_ordered(request, order).uuid)))
        job = job_done(request, order)
        data = self.data(job, lambda asset: asset_url(asset, request=request))
        return Response(success(data=data))


_ERRORS = errors(404, 409, 411, 413, 415, 504)


class WavApi(_ToolApi):
    kind, service, tariff = "wav", Service.CONVERSION, "wav_of_clip"

    def data(self, job: Job, link: Link) -> dict[str, Any]:
        return wav_data(job, link)

    class WavSerializer(serializers.Serializer[Any]):
        class WavDataSerializer(serializers.Serializer[Any]):
            wav_url = serializers.CharField(
                allow_null=True, help_text="Null once the file is no longer kept."
            )

        code = serializers.IntegerField()
        data = WavDataSerializer(required=False)  # type: ignore[assignment]
        task_id = serializers.UUIDField(required=False, help_text="With a `webhook_url`.")
        message = serializers.CharField()

    @extend_schema(
        operation_id="sonic_wav",
        parameters=[IDEMPOTENCY_KEY],
        request=OrderSerializer,
        responses={200: WavSerializer, **_ERRORS},
    )
    def post(self, request: Request) -> Response:
        """A clip as WAV."""
        return self.make(request)


class BpmApi(_ToolApi):
    kind, service, tariff = "bpm", Service.ANALYSIS, "tempo_of_clip"

    def data(self, job: Job, link: Link) -> dict[str, Any]:
        return bpm_data(job, link)

    class BpmSerializer(serializers.Serializer[Any]):
        class BpmDataSerializer(serializers.Serializer[Any]):
            avg_bpm = serializers.FloatField(allow_null=True)
            max_bpm = serializers.FloatField(allow_null=True)
            min_bpm = serializers.FloatField(allow_null=True)

        code = serializers.IntegerField()
        data = BpmDataSerializer(required=False)  # type: ignore[assignment]
        task_id = serializers.UUIDField(required=False, help_text="With a `webhook_url`.")
        message = serializers.CharField()

    @extend_schema(
        operation_id="sonic_bpm",
        parameters=[IDEMPOTENCY_KEY],
        request=OrderSerializer,
        responses={200: BpmSerializer, **_ERRORS},
    )
    def post(self, request: Request) -> Response:
        """The tempo of a clip."""
        return self.make(request)


class MidiApi(_ToolApi):
    kind, service, tariff = "midi", Service.TRANSCRIPTION, "notes_of_clip"

    def data(self, job: Job, link: Link) -> dict[str, Any]:
        return midi_data(job, link)

    class MidiSerializer(serializers.Serializer[Any]):
        class MidiDataSerializer(serializers.Serializer[Any]):
            class InstrumentSerializer(serializers.Serializer[Any]):
                class NoteSerializer(serializers.Serializer[Any]):
                    pitch = serializers.IntegerField()
                    start = serializers.FloatField(help_text="Seconds.")
                    end = serializers.FloatField()
                    velocity = serializers.FloatField()

                name = serializers.CharField()
                notes = NoteSerializer(many=True)

            midi_url = serializers.CharField(
                allow_null=True, help_text="Null once the file is no longer kept."
            )
            instruments = InstrumentSerializer(many=True)

        code = serializers.IntegerField()
        data = MidiDataSerializer(required=False)  # type: ignore[assignment]
        task_id = serializers.UUIDField(required=False, help_text="With a `webhook_url`.")
        message = serializers.CharField()

    @extend_schema(
        operation_id="sonic_midi",
        parameters=[IDEMPOTENCY_KEY],
        request=OrderSerializer,
        responses={200: MidiSerializer, **_ERRORS},
    )
    def post(self, request: Request) -> Response:
        """The notes of a clip."""
        return self.make(request)
