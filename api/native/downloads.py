"""Stems by signed link."""

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request

from accounts.rate_limits import UNLIMITED
from api.native.base import OPEN, NativeApi
from jobs.selectors import asset_get_for_download
from jobs.storage import download_token_read
from jobs.stored_files import StoredFile, file_send


class DownloadApi(NativeApi):
    # The link itself is the secret, so that players and browsers can use it.
    authentication_classes = []
    scopes = {"GET": OPEN}
    # Players ask for many small ranges. Whoever has the link can have the file; nothing is guessed.
    rate_limit = UNLIMITED

    @extend_schema(
        operation_id="download",
        auth=[],
        responses={
            (200, "audio/*"): OpenApiTypes.BINARY,
            (206, "audio/*"): OpenApiTypes.BINARY,
            302: OpenApiResponse(
                description="Where files are kept in a bucket: `Location` gives the file itself, "
                "also in part, until this link ends. Do not send it a key."
            ),
            304: OpenApiResponse(description="`If-None-Match` names this file. No body."),
            416: OpenApiResponse(description="`Range` lies outside the file. No body."),
        },
    )
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """Download a stem. `Range` with one range is honoured. Follow a redirect."""
        download = download_token_read(token)
        asset = asset_get_for_download(asset_uuid=download.asset_uuid)
        return file_send(request, StoredFile.of(asset), seconds=download.seconds)
