"""Ways in for a caller's own files: as a form, by address, inside of JSON.

Theirs know no other audio than what they made; here an upload is a task with one audio.
"""

from collections.abc import Callable
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import ASSETS_WRITE
from api.authentication import principal_of, workspace_of
from api.links import asset_url
from api.raw_bodies import body_source
from api.sunoapi.base import SunoApi, body_of
from api.sunoapi.base64_bodies import FIELD, base64_body
from api.sunoapi.fetching import import_wait
from api.sunoapi.recordings import recording_named
from api.sunoapi.schema import FILE_ANSWERS, SunoFileSerializer
from api.sunoapi.tasks import LINK_DAYS, task_id
from jobs.filenames import plain_filename
from jobs.importing import import_create
from jobs.models import Asset, Ingest
from jobs.selectors import asset_get_for_workspace
from jobs.services import asset_create


class PlaceSerializer(serializers.Serializer[Any]):
    uploadPath = serializers.CharField(
        required=False, allow_blank=True, max_length=500, help_text="Given back in `filePath`."
    )
    fileName = serializers.CharField(required=False, allow_blank=True, max_length=255)


class StreamUploadSerializer(PlaceSerializer):
    # An empty file has an error of its own, made where all media errors are made.
    file = serializers.FileField(allow_empty_file=True)


class UrlUploadSerializer(PlaceSerializer):
    fileUrl = serializers.CharField(max_length=2000)


class UploadApi(SunoApi):
    scopes = {"POST": ASSETS_WRITE}

    def get_exception_handler(self) -> Callable[..., Any]:
        handle = super().get_exception_handler()

        def handle_upload(*args: Any) -> Response:
            response: Response = handle(*args)
            response.data = {"success": False, **response.data}
            return response

        return handle_upload


class StreamUploadApi(UploadApi):
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="file_stream_upload",
        summary="Upload a file as a form",
        request={"multipart/form-data": StreamUploadSerializer},
        responses=FILE_ANSWERS,
    )
    def post(self, request: Request) -> Response:
        """Its `taskId` and `audioId` are for orders."""
        workspace = workspace_of(request)
        with body_source(request, owner=workspace.pk):
            values = body_of(StreamUploadSerializer, request)
            upload: TemporaryUploadedFile = values["file"]
            asset = asset_create(
                workspace=workspace,
                filename=_filename(values) or upload.name or "",
                path=Path(upload.temporary_file_path()),
            )
        return _uploaded(request, asset, values)


class Base64UploadApi(UploadApi):
    @extend_schema(
        operation_id="file_base64_upload",
        summary="Upload a file as base64",
        request=inline_serializer(
            "SunoBase64Upload",
            {
                FIELD: serializers.CharField(help_text="Base64, or a data URL of it."),
                "uploadPath": serializers.CharField(required=False, max_length=500),
                "fileName": serializers.CharField(required=False, max_length=255),
            },
        ),
        responses=FILE_ANSWERS,
    )
    def post(self, request: Request) -> Response:
        """As large as any upload. Its `taskId` and `audioId` are for orders."""
        workspace = workspace_of(request)
        with base64_body(request, owner=workspace.pk) as body:
            place = PlaceSerializer(data=body.values)
            place.is_valid(raise_exception=True)
            values = dict(place.validated_data)
            asset = asset_create(workspace=workspace, filename=_filename(values), path=body.path)
        return _uploaded(request, asset, values)


class UrlUploadApi(UploadApi):
    @extend_schema(
        operation_id="file_url_upload",
        summary="Upload a file by its address",
        request=UrlUploadSerializer,
        responses=FILE_ANSWERS,
    )
    def post(self, request: Request) -> Response:
        """Waits for the file for some seconds. Should it take longer, its size, type and link are
        null, and orders with its `taskId` and `audioId` wait for it."""
        values = body_of(UrlUploadSerializer, request)
        principal = principal_of(request)
        workspace = principal.workspace
        ordered = import_create(
            workspace=workspace,
            api_key=principal.api_key,
            url=values["fileUrl"],
            filename=_filename(values),
        )
        ingest = import_wait(workspace=workspace, import_uuid=ordered.uuid)
        # Refuses one that failed, in its own words.
        found = recording_named(workspace=workspace, task_id=task_id(ingest.uuid))
        if "asset_uuid" not in found:
            return _expected(ingest, values)
        asset = asset_get_for_workspace(workspace=workspace, asset_uuid=found["asset_uuid"])
        return _uploaded(request, asset, values)


def _uploaded(request: Request, asset: Asset, values: dict[str, Any]) -> Response:
    file = {
        "fileName": asset.filename,
        "filePath": _place(values, asset.filename),
        "downloadUrl": asset_url(asset, request=request, days=LINK_DAYS),
        "fileSize": asset.size_bytes,
        "mimeType": guess_type(asset.filename)[0] or _MIME_TYPES.get(asset.container, _UNKNOWN),
        "uploadedAt": asset.created_at,
        "taskId": task_id(asset.uuid),
        "audioId": asset.uuid,
    }
    return _answer(file, "File uploaded successfully")


def _expected(ingest: Ingest, values: dict[str, Any]) -> Response:
    """Of a file that is still being fetched."""
    filename = ingest.filename or plain_filename(ingest.url.partition("?")[0])
    file = {
        "fileName": filename,
        "filePath": _place(values, filename),
        "downloadUrl": None,
        "fileSize": None,
        "mimeType": None,
        "uploadedAt": ingest.created_at,
        "taskId": task_id(ingest.uuid),
        "audioId": ingest.uuid,
    }
    return _answer(file, "File is being fetched")


def _answer(file: dict[str, Any], message: str) -> Response:
    data = SunoFileSerializer(file).data
    return Response({"success": True, "code": 200, "msg": message, "data": data})


_UNKNOWN = "application/octet-stream"
_MIME_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "ogg": "audio/ogg"}


def _filename(values: dict[str, Any]) -> str:
    return plain_filename(values.get("fileName", ""))


def _place(values: dict[str, Any], filename: str) -> str:
    folder = values.get("uploadPath", "").strip("/")
    return f"{folder}/{filename}" if folder else filename
