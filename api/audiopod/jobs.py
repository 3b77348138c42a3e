"""A job of any service by its number: what their client asks while it waits."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_READ, JOBS_WRITE
from api.audiopod.answers import AudiopodAnyJobSerializer
from api.audiopod.base import AudiopodApi
from api.audiopod.chains import chain_delete, job_get
from api.audiopod.rendering import SERVICES, job_body, user_id
from api.authentication import workspace_of


class AnyJobApi(AudiopodApi):
    scopes = {"GET": JOBS_READ, "DELETE": JOBS_WRITE}

    @extend_schema(operation_id="audiopod_job_read", responses=AudiopodAnyJobSerializer)
    def get(self, request: Request, job_id: int) -> Response:
        """A job of any kind, as the page of its own kind shows it."""
        workspace = workspace_of(request)
        job = job_get(workspace=workspace, number=job_id, services=SERVICES)
        return Response(job_body(job, request, owner=user_id(workspace)))

    @extend_schema(operation_id="audiopod_job_delete", responses={204: None})
    def delete(self, request: Request, job_id: int) -> Response:
        """Delete a job of any kind and its files for good."""
        chain_delete(workspace=workspace_of(request), number=job_id, services=SERVICES)
        return Response(status=204)
