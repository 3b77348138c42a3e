"""Recordings and what was made of them: one name space, the ids of files."""

from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiKey
from accounts.rate_limits import UNLIMITED
from accounts.scopes import ASSETS_READ, ASSETS_WRITE
from api.authentication import principal_of, workspace_of
from api.links import asset_url
from api.neuralspace.dialect import NeuralSpaceApi, done, refusals
from api.raw_bodies import body_source
from config.errors import NotFound, ValidationFailed
from jobs.models import Asset
from jobs.selectors import asset_get_for_workspace
from jobs.services import asset_create, asset_delete
from jobs.stored_files import StoredFile, file_answer

FILE_ID = OpenApiParameter("fileId", required=True, description="As the upload returned it.")


def id_of(text: str | None, *, name: str) -> UUID | None:
    """The id that a caller sent as `name`; None for what cannot be one."""
    if not text:
        raise ValidationFailed(fields={name: ["This field is required."]})
    try:
        return UUID(text)
    except ValueError:
        return None


def file_of(request: Request, text: str | None) -> Asset:
    asset_uuid = id_of(text, name="fileId")
    try:
        if asset_uuid is not None:
            return asset_get_for_workspace(workspace=workspace_of(request), asset_uuid=asset_uuid)
    except NotFound:
        pass
    raise NotFound("There is no such file.")


def _file_asked_for(request: Request) -> Asset:
    return file_of(request, request.query_params.get("fileId"))


def masked(key: ApiKey | None) -> str:
    """Which key it was; empty for a person who signed in."""
    return f"ap_{key.key_id}{'*' * 8}" if key else ""


def time_text(at: Any) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


class FileIdSerializer(serializers.Serializer[Any]):
    fileId = serializers.UUIDField()


class UploadedSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    message = serializers.CharField()
    data = FileIdSerializer()  # type: ignore[assignment]


class FileDataSerializer(FileIdSerializer):
    class MetadataSerializer(serializers.Serializer[Any]):
        audioDuration = serializers.FloatField(help_text="Seconds.")

    fileName = serializers.CharField()
    fileExt = serializers.CharField()
    fileSize = serializers.IntegerField(help_text="Bytes.")
    metadata = MetadataSerializer()
    apikey = serializers.CharField(help_text="Of the caller, masked.")
    reference = serializers.CharField()
    uploadedAt = serializers.CharField()
    downloadUrl = serializers.CharField(help_text="Opens the file without a token, for an hour.")


class FileSerializer(serializers.Serializer[Any]):
    success = serializers.BooleanField()
    message = serializers.CharField()
    data = FileDataSerializer()  # type: ignore[assignment]


class FileUploadApi(NeuralSpaceApi):
    scopes = {"POST": ASSETS_WRITE}
    parser_classes = [MultiPartParser]

    class NewFileSerializer(serializers.Serializer[Any]):
        # An empty file has an error of its own, made where all media errors are made.
        files = serializers.FileField(allow_empty_file=True, max_length=255)

    @extend_schema(
        operation_id="file_upload",
        request=NewFileSerializer,
        responses={200: UploadedSerializer, **refusals(411, 413, 415)},
    )
    def post(self, request: Request) -> Response:
        """Upload a recording."""
        workspace = workspace_of(request)
        # Decoding the recording takes the thread as well.
        with body_source(request, owner=workspace.pk):
            form = self.NewFileSerializer(data=request.data)
            form.is_valid(raise_exception=True)
            if len(request.FILES.getlist("files")) > 1:
                # The answer has room for one id.
                raise ValidationFailed(fields={"files": ["Send one file at a time."]})
            upload: TemporaryUploadedFile = form.validated_data["files"]
            asset = asset_create(
                workspace=workspace,
                filename=upload.name or "",
                path=Path(upload.temporary_file_path()),
            )
        return Response(done("File uploaded successfully", {"fileId": str(asset.uuid)}))


class FileApi(NeuralSpaceApi):
    scopes = {"GET": ASSETS_READ, "DELETE": ASSETS_WRITE}

    @extend_schema(
        operation_id="file_read",
        parameters=[FILE_ID],
        responses={200: FileSerializer, **refusals(404)},
    )
    def get(self, request: Request) -> Response:
        """What is known of a file."""
        asset = _file_asked_for(request)
        data = {
            "fileId": str(asset.uuid),
            "fileName": asset.filename,
            "fileExt": PurePath(asset.filename).suffix.lower().removeprefix(".") or asset.container,
            "fileSize": asset.size_bytes,
            "metadata": {"audioDuration": round(asset.duration_s, 3)},
            "apikey": masked(principal_of(request).api_key),
            "reference": f"uploads/{asset.uuid}",
            "uploadedAt": time_text(asset.created_at),
            "downloadUrl": asset_url(asset, request=request),
        }
        # The word is misspelt in the contract.
        return Response(done("Data fetched succssfully", data))

    @extend_schema(
        operation_id="file_delete",
        parameters=[FILE_ID],
        responses={200: UploadedSerializer, **refusals(404, 409)},
    )
    def delete(self, request: Request) -> Response:
        """Delete a file for good."""
        asset = _file_asked_for(request)
        asset_delete(workspace=workspace_of(request), asset_uuid=asset.uuid)
        return Response(done("File deleted successfully", {"fileId": str(asset.uuid)}))


class FileDownloadApi(NeuralSpaceApi):
    scopes = {"GET": ASSETS_READ}
    # Large files are fetched in many ranges.
    rate_limit = UNLIMITED

    @extend_schema(
        operation_id="file_download",
        parameters=[FILE_ID],
        responses={
            (200, "audio/*"): OpenApiTypes.BINARY,
            (206, "audio/*"): OpenApiTypes.BINARY,
            304: None,
            416: None,
            **refusals(404),
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        """The bytes of a file. `Range` with one range is honoured."""
        # Never a redirect to a bucket: not all clients of this API follow one, and those that do
        # may send the bucket their token.
        return file_answer(request, StoredFile.of(_file_asked_for(request)))
