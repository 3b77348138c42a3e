from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import TemporaryUploadedFile
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import ASSETS_READ, ASSETS_WRITE
from api.authentication import workspace_of
from api.native.base import NativeApi, page_response
from api.raw_bodies import body_source
from jobs.models import Asset
from jobs.selectors import asset_get_for_workspace, asset_list
from jobs.services import asset_create, asset_delete


class AssetSerializer(serializers.ModelSerializer[Asset]):
    id = serializers.UUIDField(source="uuid")
    duration_s = serializers.FloatField(help_text="n_samples / sample_rate")

    class Meta:
        model = Asset
        fields = [
            "id",
            "filename",
            "size_bytes",
            "sha256",
            "codec",
            "container",
            "sample_rate",
            "channels",
            "n_samples",
            "duration_s",
            "created_at",
            "expires_at",
        ]
        extra_kwargs = {
            "expires_at": {"help_text": "When it is deleted by itself, unless a job works on it."}
        }


class AssetsApi(NativeApi):
    scopes = {"GET": ASSETS_READ, "POST": ASSETS_WRITE}
    parser_classes = [MultiPartParser]

    class NewAssetSerializer(serializers.Serializer[Any]):
        # An empty file has an error of its own, made where all media errors are made.
        file = serializers.FileField(allow_empty_file=True, max_length=255)

    @extend_schema(
        operation_id="asset_create", request=NewAssetSerializer, responses={201: AssetSerializer}
    )
    def post(self, request: Request) -> Response:
        """Upload a recording. Its length is counted by decoding it, not read from a header."""
        workspace = workspace_of(request)
        # Decoding the recording takes the thread as well.
        with body_source(request, owner=workspace.pk):
            serializer = self.NewAssetSerializer(data=request.data)
            serializer.is_valid(raise_exception=True)
            upload: TemporaryUploadedFile = serializer.validated_data["file"]
            asset = asset_create(
                workspace=workspace,
                filename=upload.name or "",
                path=Path(upload.temporary_file_path()),
            )
        return Response(AssetSerializer(asset).data, status=201)

    @extend_schema(operation_id="asset_list", responses=AssetSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Uploaded recordings, newest first."""
        return page_response(self, asset_list(workspace=workspace_of(request)), AssetSerializer)


class AssetApi(NativeApi):
    scopes = {"GET": ASSETS_READ, "DELETE": ASSETS_WRITE}

    @extend_schema(operation_id="asset_read", responses=AssetSerializer)
    def get(self, request: Request, asset_uuid: UUID) -> Response:
        """A recording that was uploaded."""
        asset = asset_get_for_workspace(workspace=workspace_of(request), asset_uuid=asset_uuid)
        return Response(AssetSerializer(asset).data)

    @extend_schema(operation_id="asset_delete", responses={204: None})
    def delete(self, request: Request, asset_uuid: UUID) -> Response:
        """Delete a recording for good. Stems that were made of it stay."""
        asset_delete(workspace=workspace_of(request), asset_uuid=asset_uuid)
        return Response(status=204)
