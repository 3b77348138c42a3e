from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rate_limits import UNLIMITED
from accounts.scopes import JOBS_READ, JOBS_WRITE
from api.authentication import principal_of, workspace_of
from api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from api.links import timeline_url
from api.native.base import OPEN, NativeApi, StrictSerializer, valid_body
from api.native.job_bodies import JobSerializer, OutputSerializer, job_body
from jobs.models import OutputKind
from jobs.speakers import (
    Speakers,
    merges_left,
    speakers_get_for_workspace,
    speakers_merge,
    speakers_rename,
)
from jobs.timeline_texts import (
    TIMELINE_FORMATS,
    TimelineText,
    timeline_text,
    timeline_text_of_token,
)

_TEXT = {
    (200, content_type.partition(";")[0]): OpenApiResponse(
        # JSON is no text to whoever reads it.
        OpenApiTypes.OBJECT if name == "json" else OpenApiTypes.STR,
        description="The turns, with the names that the speakers have now.",
    )
    for name, content_type in TIMELINE_FORMATS.items()
}


class SpeakerSerializer(serializers.Serializer[Any]):
    """One speaker: how much and how loud, and the files that are still kept."""

    speaker = serializers.CharField(help_text="The label, which never changes: `SPEAKER_0`, …")
    name = serializers.CharField(allow_null=True, help_text="As given by you.")
    turns = serializers.IntegerField()
    talk_s = serializers.FloatField()
    share = serializers.FloatField(help_text="0 to 1, of all that is spoken.")
    longest_turn_s = serializers.FloatField()
    overlap_s = serializers.FloatField(help_text="While others spoke too.")
    mean_confidence = serializers.FloatField(help_text="0 to 1")
    rms_db = serializers.FloatField(allow_null=True, help_text="dBFS, where there is sound.")
    peak = serializers.FloatField(help_text="1 is full scale.")
    lufs = serializers.FloatField(allow_null=True, help_text="Before any gain.")
    gain_db = serializers.FloatField(help_text="What the track was made louder by.")
    track = OutputSerializer(allow_null=True)
    clip = OutputSerializer(allow_null=True)


class OverlapSerializer(serializers.Serializer[Any]):
    start_s = serializers.FloatField()
    end_s = serializers.FloatField()
    speakers = serializers.ListField(child=serializers.CharField())


class TimelineLinksSerializer(serializers.Serializer[Any]):
    """Who speaks when; the links work without a key until they expire."""

    rttm = serializers.URLField()
    json = serializers.URLField()
    csv = serializers.URLField()
    vtt = serializers.URLField()
    labels = serializers.URLField()


class SpeakersSerializer(serializers.Serializer[Any]):
    job = serializers.UUIDField()
    duration_s = serializers.FloatField()
    speakers = SpeakerSerializer(many=True)
    overlaps = OverlapSerializer(many=True)
    timelines = TimelineLinksSerializer()
    merges_left = serializers.IntegerField(help_text="How many more merges are free.")


def speakers_body(speakers: Speakers, request: Request) -> dict[str, Any]:
    row, job = speakers.row, speakers.job
    body = {
        "job": job.uuid,
        "duration_s": speakers.timeline.duration_s,
        "speakers": [
            {
                **statistics,
                "name": row.names.get(statistics["speaker"]),
                "track": speakers.output(statistics["speaker"], OutputKind.TRACK),
                "clip": speakers.output(statistics["speaker"], OutputKind.CLIP),
            }
            for statistics in row.statistics
        ],
        "overlaps": row.overlaps,
        "timelines": {
            name: timeline_url(job, format_name=name, request=request) for name in TIMELINE_FORMATS
        },
        "merges_left": merges_left(job),
    }
    return dict(SpeakersSerializer(body, context={"request": request}).data)


class JobSpeakersApi(NativeApi):
    scopes = {"GET": JOBS_READ, "PATCH": JOBS_WRITE}

    class NamesSerializer(StrictSerializer):
        names = serializers.DictField(
            child=serializers.CharField(allow_blank=True, max_length=400, trim_whitespace=False),
            allow_empty=False,
            help_text="Label to name, of at most 80 characters; an empty one is the label again.",
        )

    @extend_schema(operation_id="job_speakers_read", responses=SpeakersSerializer)
    def get(self, request: Request, job_uuid: UUID) -> Response:
        """The speakers of a job that succeeded: how much each one says, tracks and samples."""
        speakers = speakers_get_for_workspace(workspace=workspace_of(request), job_uuid=job_uuid)
        return Response(speakers_body(speakers, request))

    @extend_schema(
        operation_id="job_speakers_rename",
        request=NamesSerializer,
        responses={200: SpeakersSerializer},
    )
    def patch(self, request: Request, job_uuid: UUID) -> Response:
        """Name speakers. It shows at once in all formats and in the names of files."""
        workspace = workspace_of(request)
        # Whose job it is comes before what is wrong with the body.
        speakers_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
        speakers = speakers_rename(
            workspace=workspace,
            job_uuid=job_uuid,
            names=valid_body(self.NamesSerializer, request)["names"],
        )
        return Response(speakers_body(speakers, request))


class JobSpeakersMergeApi(NativeApi):
    scopes = {"POST": JOBS_WRITE}

    class GroupsSerializer(StrictSerializer):
        groups = serializers.ListField(
            child=serializers.ListField(
                child=serializers.CharField(max_length=64), min_length=2, max_length=20
            ),
            allow_empty=False,
            max_length=20,
            help_text="Labels; each group becomes its first speaker.",
        )

    @extend_schema(
        operation_id="job_speakers_merge",
        parameters=[IDEMPOTENCY_KEY],
        request=GroupsSerializer,
        responses={201: JobSerializer},
    )
    def post(self, request: Request, job_uuid: UUID) -> Response:
        """Order a free job in which several speakers are one; its tracks are made anew."""
        principal = principal_of(request)
        speakers_get_for_workspace(workspace=principal.workspace, job_uuid=job_uuid)
        job = speakers_merge(
            workspace=principal.workspace,
            api_key=principal.api_key,
            person=principal.user,
            job_uuid=job_uuid,
            groups=valid_body(self.GroupsSerializer, request)["groups"],
            idempotency_key=idempotency_key(request),
        )
        return Response(job_body(job, request), status=201)


class JobTimelineApi(NativeApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(
        operation_id="job_timeline",
        parameters=[
            OpenApiParameter(
                "format", enum=list(TIMELINE_FORMATS), description="`rttm` if left out."
            )
        ],
        responses=_TEXT,
    )
    def get(self, request: Request, job_uuid: UUID) -> HttpResponse:
        """Who speaks when, as a text."""
        speakers = speakers_get_for_workspace(workspace=workspace_of(request), job_uuid=job_uuid)
        name = request.query_params.get("format", "rttm")
        return _text_response(timeline_text(speakers, format_name=name))


class TimelineDownloadApi(NativeApi):
    # The link itself is the secret.
    authentication_classes = []
    scopes = {"GET": OPEN}
    rate_limit = UNLIMITED

    @extend_schema(operation_id="timeline_download", auth=[], responses=_TEXT)
    def get(self, request: Request, token: str) -> HttpResponse:
        """Download who speaks when, by a signed link."""
        return _text_response(timeline_text_of_token(token))


def _text_response(text: TimelineText) -> HttpResponse:
    response = HttpResponse(text.content, content_type=text.content_type)
    disposition = content_disposition_header(as_attachment=True, filename=text.filename)
    response.headers["Content-Disposition"] = str(disposition)
    # Names may change at any time.
    response.headers["Cache-Control"] = "private, no-store"
    return response
