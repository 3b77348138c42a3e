"""A clip in other formats: ordered by the first call, given out by a later one."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_WRITE
from api.authentication import principal_of, workspace_of
from api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from api.links import asset_url
from api.musicapi.dialect import DIALECT, MusicApi, errors, success
from api.musicapi.errors import NoLongerKept, TaskFailed
from api.musicapi.ordering import ClipSerializer, clip_of, order_of
from api.musicapi.results import download_data, is_all_kept, task_message
from jobs.models import Asset, Job, JobState, Service
from jobs.ordering import Repeat
from jobs.selectors import job_list
from jobs.services import job_create

_FORMATS_MAX = 8
# Calls that come side by side are one order.
_SAME_WITHIN_S = 60
_BAD = (JobState.FAILED, JobState.CANCELLED)


class DownloadApi(MusicApi):
    scopes = {"POST": JOBS_WRITE}

    class DownloadSerializer(ClipSerializer):
        formats = serializers.ListField(
            child=serializers.CharField(max_length=16),
            allow_empty=False,
            max_length=_FORMATS_MAX,
            help_text="`wav`, `wav16`, `wav24`, `wav32f`, `flac`, `flac16`, `flac24`, `mp3`.",
        )

    class ReadySerializer(serializers.Serializer[Any]):
        code = serializers.IntegerField()
        data = serializers.DictField(  # type: ignore[assignment]
            child=serializers.CharField(), help_text="Links, by format."
        )
        message = serializers.CharField()

    class PreparingSerializer(serializers.Serializer[Any]):
        code = serializers.IntegerField()
        task_id = serializers.UUIDField()
        message = serializers.ChoiceField(choices=["preparing"])

    @extend_schema(
        operation_id="sonic_download",
        parameters=[IDEMPOTENCY_KEY],
        request=DownloadSerializer,
        responses={
            200: ReadySerializer,
            202: PreparingSerializer,
            **errors(404, 409, 411, 413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """A clip in other formats. Repeat the call until it is answered with 200; it is paid once,
        as long as the files are kept."""
        body = self.DownloadSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        clip = clip_of(workspace_of(request), body.validated_data["clip_id"])
        formats = list(dict.fromkeys(body.validated_data["formats"]))
        job = _known(request, clip, formats) or _ordered(request, clip, formats)
        if job.state in _BAD:
            raise TaskFailed(task_message(job))
        if job.state != JobState.SUCCEEDED:
            preparing = {"code": 202, "task_id": str(job.uuid), "message": "preparing"}
            return Response(preparing, status=202)
        urls = download_data(job, lambda asset: asset_url(asset, request=request))["download_urls"]
        if set(urls) != set(formats):
            raise NoLongerKept
        return Response(success(data=urls))


def _known(request: Request, clip: Asset, formats: list[str]) -> Job | None:
    """An earlier call's job, unless it came to nothing or its files are gone."""
    if idempotency_key(request) is not None:
        return None
    jobs = (
        job_list(workspace=workspace_of(request))
        .filter(dialect=DIALECT.name, asset=clip)
        .filter(dialect_data={"kind": "download", "formats": formats})
        .exclude(state__in=_BAD)
    )
    job = jobs.first()
    if job is not None and job.state == JobState.SUCCEEDED and not is_all_kept(job):
        return None
    return job


def _ordered(request: Request, clip: Asset, formats: list[str]) -> Job:
    principal = principal_of(request)
    order = order_of(
        clip,
        kind="download",
        values={},
        service=Service.CONVERSION,
        tariff="wav_of_clip",
        output_format=formats[0],
        more_formats=formats[1:],
        dialect_data={"formats": formats},
    )
    return job_create(
        workspace=principal.workspace,
        api_key=principal.api_key,
        person=principal.user,
        order=order,
        idempotency_key=idempotency_key(request),
        repeat=Repeat(order.sha256, within_s=_SAME_WITHIN_S),
    )
