from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_READ, JOBS_WRITE
from api.authentication import principal_of, workspace_of
from api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from api.links import asset_url
from api.native.base import NativeApi, StrictSerializer, page_response
from billing.pricing import credits_text
from jobs.models import Asset, Job, OutputKind, Service
from jobs.selectors import job_get_for_workspace, job_list
from jobs.separating import format_name
from jobs.services import Order, Quote, job_cancel, job_create, job_delete, job_estimate
from jobs.speaker_options import (
    MAX_LUFS,
    MAX_SPEAKERS,
    MIN_LUFS,
    OVERLAPS,
    PAUSES,
    SpeakerOptions,
)


class SpeakerOptionsSerializer(StrictSerializer):
    """How a conversation is taken apart. Leave the counts out unless you know them."""

    num_speakers = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MAX_SPEAKERS
    )
    min_speakers = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MAX_SPEAKERS
    )
    max_speakers = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MAX_SPEAKERS
    )
    pauses = serializers.ChoiceField(
        required=False,
        choices=PAUSES,
        help_text="`keep`: each track is as long as the recording; `close`: only what is said.",
    )
    loudness = serializers.FloatField(
        required=False,
        allow_null=True,
        min_value=MIN_LUFS,
        max_value=MAX_LUFS,
        help_text="LUFS that each track is brought to; left as it is without.",
    )
    denoise = serializers.BooleanField(required=False)
    overlap = serializers.ChoiceField(
        required=False,
        choices=OVERLAPS,
        help_text="Where several speak at once.",
    )
    clips = serializers.BooleanField(
        required=False, help_text="Whether a sample of each speaker is made."
    )


class OrderSerializer(StrictSerializer):
    """What is to be made of which recording."""

    asset = serializers.UUIDField(help_text="The id that the upload returned.")
    service = serializers.ChoiceField(choices=Service.choices, default=Service.SEPARATION)
    stems = serializers.ListField(
        child=serializers.CharField(max_length=64),
        required=False,
        allow_empty=False,
        max_length=32,
        help_text="Names from the catalogue; without them, all stems of the model.",
    )
    model = serializers.CharField(
        required=False, max_length=64, help_text="A model of the catalogue; chosen if left out."
    )
    format = serializers.CharField(
        default="wav",
        max_length=16,
        help_text="`wav` (in the recording's own depth), `wav16`, `wav24`, `wav32f`, `flac`, "
        "`flac16`, `flac24` or `mp3`.",
    )
    options = SpeakerOptionsSerializer(
        required=False, help_text="Of `speaker_extraction` only; it has no `stems`."
    )
    callback_url = serializers.CharField(
        required=False,
        max_length=2000,
        help_text="Told when the job ends, besides the webhooks of the workspace.",
    )

    def order(self) -> Order:
        values = self.validated_data
        options = values.get("options")
        return Order(
            asset_uuid=values["asset"],
            service=values["service"],
            stems=values.get("stems"),
            model=values.get("model"),
            output_format=values["format"],
            callback_url=values.get("callback_url", ""),
            speakers=None if options is None else SpeakerOptions(**options),
        )


class QuoteSerializer(serializers.Serializer[Quote]):
    """What an order would cost and make."""

    asset = serializers.UUIDField(source="asset.uuid")
    stems = serializers.ListField(child=serializers.CharField())
    model = serializers.CharField()
    duration_s = serializers.FloatField(source="asset.duration_s")
    credits = serializers.SerializerMethodField()
    credits_mcr = serializers.IntegerField(source="price_mcr")

    def get_credits(self, quote: Quote) -> str:
        return credits_text(quote.price_mcr)


class OutputSerializer(serializers.Serializer[Asset]):
    """A file that was made. The link works without a key until it expires."""

    id = serializers.UUIDField(
        source="uuid", help_text="Also the `asset` of a further job, to take the file apart."
    )
    kind = serializers.ChoiceField(
        choices=OutputKind.choices,
        help_text="`track`: all that one speaker says; `clip`: a few seconds of it.",
    )
    stem = serializers.CharField(help_text="Or the label of a speaker.")
    filename = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    format = serializers.SerializerMethodField(help_text="As it is ordered: `wav16`, `mp3`, …")
    sample_rate = serializers.IntegerField()
    channels = serializers.IntegerField()
    n_samples = serializers.IntegerField()
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="When it is deleted by itself, unless a job works on it."
    )
    download_url = serializers.SerializerMethodField()

    def get_format(self, asset: Asset) -> str:
        return format_name(asset)

    def get_download_url(self, asset: Asset) -> str:
        return asset_url(asset, request=self.context["request"])


class JobErrorSerializer(serializers.Serializer[Job]):
    code = serializers.CharField(source="error_code")
    message = serializers.CharField(source="error_message")


class JobSerializer(serializers.Serializer[Job]):
    id = serializers.UUIDField(source="uuid")
    status = serializers.ChoiceField(
        source="state", choices=["waiting", "queued", "running", "succeeded", "failed", "cancelled"]
    )
    service = serializers.CharField()
    asset = serializers.UUIDField(source="asset.uuid", default=None, allow_null=True)
    stems = serializers.ListField(child=serializers.CharField())
    model = serializers.CharField()
    format = serializers.CharField(source="output_format")
    options = serializers.DictField(help_text="As ordered; empty for a `separation`.")
    source_job = serializers.UUIDField(
        source="source_job.uuid",
        default=None,
        allow_null=True,
        help_text="Of a job that merged speakers: the one that was paid.",
    )
    progress = serializers.FloatField(help_text="0 to 1")
    step = serializers.CharField(
        help_text="What is being done while it runs: `load`, `separate`; of a "
        "`speaker_extraction`: `load`, `listen`, `cluster`, `denoise`, `tracks`."
    )
    attempt = serializers.IntegerField()
    price_mcr = serializers.IntegerField(help_text="Held while the job runs.")
    charged_mcr = serializers.IntegerField(help_text="0 unless the job succeeded.")
    credits_charged = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    outputs = OutputSerializer(
        many=True,
        help_text="What is still kept: files that expired or were deleted are not listed "
        "(`/v1/deletions` lists them).",
    )
    cancel_requested_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_credits_charged(self, job: Job) -> str:
        return credits_text(job.charged_mcr)

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, job: Job) -> dict[str, Any] | None:
        return dict(JobErrorSerializer(job).data) if job.error_code else None


def job_body(job: Job, request: Request) -> dict[str, Any]:
    return dict(JobSerializer(job, context={"request": request}).data)


class JobsApi(NativeApi):
    scopes = {"GET": JOBS_READ, "POST": JOBS_WRITE}

    @extend_schema(
        operation_id="job_create",
        parameters=[IDEMPOTENCY_KEY],
        request=OrderSerializer,
        responses={201: JobSerializer},
    )
    def post(self, request: Request) -> Response:
        """Order a job. Its price is held now, and charged only if it succeeds."""
        serializer = OrderSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        principal = principal_of(request)
        job = job_create(
            workspace=principal.workspace,
            api_key=principal.api_key,
            order=serializer.order(),
            idempotency_key=idempotency_key(request),
        )
        return Response(job_body(job, request), status=201)

    @extend_schema(operation_id="job_list", responses=JobSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Jobs, newest first."""
        return page_response(self, job_list(workspace=workspace_of(request)), JobSerializer)


class JobEstimateApi(NativeApi):
    scopes = {"POST": JOBS_READ}

    @extend_schema(
        operation_id="job_estimate", request=OrderSerializer, responses={200: QuoteSerializer}
    )
    def post(self, request: Request) -> Response:
        """What an order would cost. Nothing is made or held."""
        serializer = OrderSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        quote = job_estimate(workspace=workspace_of(request), order=serializer.order())
        return Response(QuoteSerializer(quote).data)


class JobApi(NativeApi):
    scopes = {"GET": JOBS_READ, "DELETE": JOBS_WRITE}

    @extend_schema(operation_id="job_read", responses=JobSerializer)
    def get(self, request: Request, job_uuid: UUID) -> Response:
        """A job: its state, progress, price and, once it succeeded, what it made."""
        job = job_get_for_workspace(workspace=workspace_of(request), job_uuid=job_uuid)
        return Response(job_body(job, request))

    @extend_schema(operation_id="job_delete", responses={204: None})
    def delete(self, request: Request, job_uuid: UUID) -> Response:
        """Delete an ended job and all that it made for good."""
        job_delete(workspace=workspace_of(request), job_uuid=job_uuid)
        return Response(status=204)


class JobCancelApi(NativeApi):
    scopes = {"POST": JOBS_WRITE}

    @extend_schema(operation_id="job_cancel", request=None, responses={200: JobSerializer})
    def post(self, request: Request, job_uuid: UUID) -> Response:
        """Stop a job. A waiting one ends at once, a running one after the segment at hand."""
        job = job_cancel(workspace=workspace_of(request), job_uuid=job_uuid)
        return Response(job_body(job, request))
