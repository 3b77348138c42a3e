"""Speaker extraction, as in AudioPod's document, and diarization beside it."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_READ, JOBS_WRITE
from api.audiopod.answers import (
    AudiopodJobSerializer,
    AudiopodJobsSerializer,
    AudiopodSpeakerJobSerializer,
)
from api.audiopod.base import LIST_PARAMETERS, AudiopodApi, query_of
from api.audiopod.chains import STATUSES, chain_delete, chain_retry, chains_list, job_get
from api.audiopod.examples import COMPLETED, LISTED, ORDERED, RETRIED
from api.audiopod.ordering import RecordingSerializer, Values, job_order
from api.audiopod.rendering import JOB_TYPES, job_body, job_head, jobs_page, user_id
from api.authentication import principal_of, workspace_of
from api.idempotency import IDEMPOTENCY_KEY
from jobs.models import OF_SPEAKERS, Service
from jobs.services import Order
from jobs.speaker_options import MAX_SPEAKERS, SpeakerOptions

SERVICES = OF_SPEAKERS
_BY_TYPE = {JOB_TYPES[service]: service for service in SERVICES}
_FAILED = {
    Service.SPEAKER_EXTRACTION: "Failed to extract speakers from audio",
    Service.SPEAKER_DIARIZATION: "Failed to diarize audio",
}


class CountSerializer(serializers.Serializer[Any]):
    num_speakers = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MAX_SPEAKERS
    )


class AudiopodSpeakerOrderSerializer(CountSerializer, RecordingSerializer):
    """A conversation, and how many speak, where that is known."""


class SpeakerOrderApi(AudiopodApi):
    scopes = {"POST": JOBS_WRITE}
    service: ClassVar[Service]

    def post(self, request: Request) -> Response:
        job = job_order(
            request,
            serializer=AudiopodSpeakerOrderSerializer,
            order=self._order,
            failed=_FAILED[self.service],
            # Their document sends the count in the form, their client in the query.
            also=query_of(CountSerializer, request),
        )
        return Response(job_head(job, owner=user_id(job.workspace)))

    def _order(self, values: Values) -> Order:
        # Samples of speakers, which we also make, have no place in their answers.
        speakers = SpeakerOptions(num_speakers=values.get("num_speakers"), clips=False)
        return Order(service=self.service, speakers=speakers, tariff=self.service)


_ORDERED = extend_schema(
    parameters=[
        IDEMPOTENCY_KEY,
        OpenApiParameter("num_speakers", int, description="As the field of the body."),
    ],
    request={
        "multipart/form-data": AudiopodSpeakerOrderSerializer,
        "application/x-www-form-urlencoded": AudiopodSpeakerOrderSerializer,
    },
    responses=AudiopodJobSerializer,
    examples=[ORDERED],
)


class SpeakerExtractApi(SpeakerOrderApi):
    service = Service.SPEAKER_EXTRACTION

    @_ORDERED
    @extend_schema(operation_id="audiopod_speaker_extract")
    def post(self, request: Request) -> Response:
        """Order one track for each speaker, of a file or of an address."""
        return super().post(request)


class SpeakerDiarizeApi(SpeakerOrderApi):
    service = Service.SPEAKER_DIARIZATION

    @_ORDERED
    @extend_schema(operation_id="audiopod_speaker_diarize")
    def post(self, request: Request) -> Response:
        """Order who speaks when, without tracks."""
        return super().post(request)


class SpeakerJobsApi(AudiopodApi):
    scopes = {"GET": JOBS_READ}

    class FilterSerializer(serializers.Serializer[Any]):
        job_type = serializers.ChoiceField(choices=list(_BY_TYPE), required=False)
        status = serializers.ChoiceField(choices=list(STATUSES), required=False)

    @extend_schema(
        operation_id="audiopod_speaker_jobs",
        parameters=[FilterSerializer, *LIST_PARAMETERS],
        responses=AudiopodJobsSerializer,
        examples=[LISTED],
    )
    def get(self, request: Request) -> Response:
        """Speaker jobs, newest first."""
        values = query_of(self.FilterSerializer, request)
        services = (_BY_TYPE[values["job_type"]],) if "job_type" in values else SERVICES
        jobs = chains_list(workspace=workspace_of(request), services=services)
        if "status" in values:
            jobs = jobs.filter(state__in=STATUSES[values["status"]])
        return Response(jobs_page(jobs, request))


class SpeakerJobApi(AudiopodApi):
    scopes = {"GET": JOBS_READ, "DELETE": JOBS_WRITE}

    @extend_schema(
        operation_id="audiopod_speaker_job_read",
        responses=AudiopodSpeakerJobSerializer,
        examples=[COMPLETED],
    )
    def get(self, request: Request, job_id: int) -> Response:
        """A job and, once it is completed, its speakers, tracks and RTTM."""
        workspace = workspace_of(request)
        job = job_get(workspace=workspace, number=job_id, services=SERVICES)
        return Response(job_body(job, request, owner=user_id(workspace)))

    @extend_schema(operation_id="audiopod_speaker_job_delete", responses={204: None})
    def delete(self, request: Request, job_id: int) -> Response:
        """Delete a job and its files for good."""
        chain_delete(workspace=workspace_of(request), number=job_id, services=SERVICES)
        return Response(status=204)


class SpeakerRetryApi(AudiopodApi):
    scopes = {"POST": JOBS_WRITE}

    @extend_schema(
        operation_id="audiopod_speaker_job_retry",
        request=None,
        responses=AudiopodJobSerializer,
        examples=[RETRIED],
    )
    def post(self, request: Request, job_id: int) -> Response:
        """Do a failed job anew, at the price of today. It keeps its id; its task is another."""
        principal = principal_of(request)
        job = chain_retry(
            workspace=principal.workspace,
            api_key=principal.api_key,
            person=principal.user,
            number=job_id,
            services=SERVICES,
        )
        return Response(job_head(job, owner=user_id(principal.workspace)))
