"""Noise reduction. One tool does it here, whatever quality is asked for."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_READ, JOBS_WRITE
from api.audiopod.answers import AudiopodDenoiseJobSerializer, AudiopodJobsSerializer
from api.audiopod.base import LIST_PARAMETERS, AudiopodApi
from api.audiopod.chains import chain_delete, chains_list, job_get
from api.audiopod.ordering import RecordingSerializer, Values, job_order
from api.audiopod.rendering import job_body, jobs_page, user_id
from api.authentication import workspace_of
from api.idempotency import IDEMPOTENCY_KEY
from jobs.models import Service
from jobs.services import Order

SERVICES = (Service.ENHANCEMENT,)
QUALITY_MODES = ("balanced", "studio", "ultra")
_TARIFF = "speech_denoising"


class AudiopodDenoiseOrderSerializer(RecordingSerializer):
    quality_mode = serializers.ChoiceField(
        choices=QUALITY_MODES,
        default="studio",
        help_text="All of them are done by the same tool here.",
    )


def _order(values: Values) -> Order:
    return Order(
        service=Service.ENHANCEMENT,
        steps=("denoise",),
        tariff=_TARIFF,
        dialect_data={"quality_mode": values["quality_mode"]},
    )


class DenoiseApi(AudiopodApi):
    scopes = {"POST": JOBS_WRITE}

    @extend_schema(
        operation_id="audiopod_denoise",
        parameters=[IDEMPOTENCY_KEY],
        request={
            "multipart/form-data": AudiopodDenoiseOrderSerializer,
            "application/x-www-form-urlencoded": AudiopodDenoiseOrderSerializer,
        },
        responses=AudiopodDenoiseJobSerializer,
    )
    def post(self, request: Request) -> Response:
        """Order a recording without its noise, of a file or of an address."""
        job = job_order(
            request,
            serializer=AudiopodDenoiseOrderSerializer,
            order=_order,
            failed="Failed to denoise audio",
        )
        return Response(job_body(job, request, owner=user_id(job.workspace)))


class DenoiseJobsApi(AudiopodApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(
        operation_id="audiopod_denoise_jobs",
        parameters=LIST_PARAMETERS,
        responses=AudiopodJobsSerializer,
    )
    def get(self, request: Request) -> Response:
        """Denoise jobs, newest first."""
        jobs = chains_list(workspace=workspace_of(request), services=SERVICES)
        return Response(jobs_page(jobs, request))


class DenoiseJobApi(AudiopodApi):
    scopes = {"GET": JOBS_READ, "DELETE": JOBS_WRITE}

    @extend_schema(operation_id="audiopod_denoise_job_read", responses=AudiopodDenoiseJobSerializer)
    def get(self, request: Request, job_id: int) -> Response:
        """A job and, once it is completed, the link to what it made."""
        workspace = workspace_of(request)
        job = job_get(workspace=workspace, number=job_id, services=SERVICES)
        return Response(job_body(job, request, owner=user_id(workspace)))

    @extend_schema(operation_id="audiopod_denoise_job_delete", responses={204: None})
    def delete(self, request: Request, job_id: int) -> Response:
        """Delete a job and its files for good."""
        chain_delete(workspace=workspace_of(request), number=job_id, services=SERVICES)
        return Response(status=204)
