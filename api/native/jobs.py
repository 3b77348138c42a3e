from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_READ, JOBS_WRITE
from api.authentication import principal_of, workspace_of
from api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from api.native.base import NativeApi, page_response, valid_body
from api.native.job_bodies import (
    JobChangesSerializer,
    JobFilterSerializer,
    JobSerializer,
    OrderSerializer,
    QuoteSerializer,
    job_body,
)
from api.ordering import job_ordered
from jobs.naming import job_rename
from jobs.selectors import job_get_for_workspace, job_list
from jobs.services import job_cancel, job_delete, job_estimate, job_retry


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
        job = job_ordered(request, serializer.order())
        return Response(job_body(job, request), status=201)

    @extend_schema(
        operation_id="job_list",
        parameters=[JobFilterSerializer],
        responses=JobSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Jobs, newest first."""
        filters: dict[str, Any] = request.query_params.dict()
        for name in ("cursor", "limit"):
            filters.pop(name, None)
        serializer = JobFilterSerializer(data=filters)
        serializer.is_valid(raise_exception=True)
        rows = job_list(workspace=workspace_of(request), **serializer.validated_data)
        return page_response(self, rows, JobSerializer)


class JobEstimateApi(NativeApi):
    scopes = {"POST": JOBS_READ}

    @extend_schema(
        operation_id="job_estimate", request=OrderSerializer, responses={200: QuoteSerializer}
    )
    def post(self, request: Request) -> Response:
        """What an order would cost, and how long it would take. Nothing is made or held."""
        serializer = OrderSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        order = serializer.order()
        quote = job_estimate(workspace=workspace_of(request), order=order)
        context = {"service": order.service}
        return Response(QuoteSerializer(quote, context=context).data)


class JobApi(NativeApi):
    scopes = {"GET": JOBS_READ, "PATCH": JOBS_WRITE, "DELETE": JOBS_WRITE}

    @extend_schema(operation_id="job_read", responses=JobSerializer)
    def get(self, request: Request, job_uuid: UUID) -> Response:
        """A job: its state, progress, price and, once it succeeded, what it made."""
        job = job_get_for_workspace(workspace=workspace_of(request), job_uuid=job_uuid)
        return Response(job_body(job, request))

    @extend_schema(operation_id="job_update", request=JobChangesSerializer, responses=JobSerializer)
    def patch(self, request: Request, job_uuid: UUID) -> Response:
        """Call a job otherwise. The files that it made are called after it."""
        workspace = workspace_of(request)
        job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
        values = valid_body(JobChangesSerializer, request)
        if "name" in values:
            job = job_rename(workspace=workspace, job_uuid=job_uuid, name=values["name"])
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


class JobRetryApi(NativeApi):
    scopes = {"POST": JOBS_WRITE}

    @extend_schema(
        operation_id="job_retry",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={201: JobSerializer},
    )
    def post(self, request: Request, job_uuid: UUID) -> Response:
        """Order anew what failed or was cancelled, at the price of today. It is another job."""
        principal = principal_of(request)
        job = job_retry(
            workspace=principal.workspace,
            api_key=principal.api_key,
            person=principal.user,
            job_uuid=job_uuid,
            idempotency_key=idempotency_key(request),
        )
        return Response(job_body(job, request), status=201)
