"""All that a job made, as one zip."""

from uuid import UUID

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from accounts.rate_limits import UNLIMITED
from accounts.scopes import JOBS_READ
from api.authentication import workspace_of
from api.native.base import OPEN, NativeApi
from jobs.archives import archive_answer, archive_get_for_workspace, archive_of_token

_ZIP = {(200, "application/zip"): OpenApiTypes.BINARY}


class JobArchiveApi(NativeApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(operation_id="job_archive", responses=_ZIP)
    def get(self, request: Request, job_uuid: UUID) -> HttpResponseBase:
        """All that a job made and that is still kept, as one zip."""
        archive = archive_get_for_workspace(workspace=workspace_of(request), job_uuid=job_uuid)
        return archive_answer(archive, is_head=request.method == "HEAD")


class ArchiveDownloadApi(NativeApi):
    # The link itself is the secret.
    authentication_classes = []
    scopes = {"GET": OPEN}
    rate_limit = UNLIMITED

    @extend_schema(operation_id="archive_download", auth=[], responses=_ZIP)
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """Download all that a job made as one zip, by a signed link."""
        return archive_answer(archive_of_token(token), is_head=request.method == "HEAD")
