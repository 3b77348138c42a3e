from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import ASSETS_WRITE
from api.authentication import principal_of, workspace_of
from api.native.assets import AssetSerializer
from api.native.base import NativeApi, StrictSerializer, page_response, valid_body
from api.native.uploads import UploadErrorSerializer
from jobs.importing import (
    import_cancel,
    import_create,
    import_get_for_workspace,
    import_list,
)
from jobs.models import AssetState, Ingest
from jobs.outbound import URL_MAX_CHARS


class ImportSerializer(serializers.Serializer[Ingest]):
    id = serializers.UUIDField(source="uuid")
    state = serializers.ChoiceField(choices=["waiting", "running", "ready", "failed", "cancelled"])
    url = serializers.CharField()
    filename = serializers.CharField(help_text="As it was given, or as the server named it.")
    received_bytes = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    asset = serializers.SerializerMethodField(help_text="Once the state is `ready`.")
    error = serializers.SerializerMethodField(help_text="Of one that failed.")

    @extend_schema_field(AssetSerializer(allow_null=True))
    def get_asset(self, ingest: Ingest) -> dict[str, Any] | None:
        asset = ingest.asset
        # It may have been deleted since.
        is_there = asset is not None and asset.state == AssetState.READY
        return dict(AssetSerializer(asset).data) if is_there else None

    @extend_schema_field(UploadErrorSerializer(allow_null=True))
    def get_error(self, ingest: Ingest) -> dict[str, Any] | None:
        return dict(UploadErrorSerializer(ingest).data) if ingest.error_code else None


# Addresses may hold secrets: they are for those who may import, not for all who may listen.
class ImportsApi(NativeApi):
    scopes = {"GET": ASSETS_WRITE, "POST": ASSETS_WRITE}

    class NewImportSerializer(StrictSerializer):
        url = serializers.CharField(
            max_length=URL_MAX_CHARS, help_text="Public, http or https, of the recording itself."
        )
        filename = serializers.CharField(required=False, allow_blank=True, max_length=255)

    @extend_schema(
        operation_id="import_create", request=NewImportSerializer, responses={202: ImportSerializer}
    )
    def post(self, request: Request) -> Response:
        """Have a recording fetched from its address; read from the answer's id how that goes."""
        body = valid_body(self.NewImportSerializer, request)
        ingest = import_create(
            workspace=workspace_of(request), api_key=principal_of(request).api_key, **body
        )
        return Response(ImportSerializer(ingest).data, status=202)

    @extend_schema(operation_id="import_list", responses=ImportSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Imports, newest first, whatever has become of them."""
        return page_response(self, import_list(workspace=workspace_of(request)), ImportSerializer)


class ImportApi(NativeApi):
    scopes = {"GET": ASSETS_WRITE, "DELETE": ASSETS_WRITE}

    @extend_schema(operation_id="import_read", responses=ImportSerializer)
    def get(self, request: Request, import_uuid: UUID) -> Response:
        """How far an import has come, and the asset that was made of it."""
        ingest = import_get_for_workspace(workspace=workspace_of(request), import_uuid=import_uuid)
        return Response(ImportSerializer(ingest).data)

    @extend_schema(operation_id="import_cancel", responses={204: None})
    def delete(self, request: Request, import_uuid: UUID) -> Response:
        """Give an import up, also one that is being fetched."""
        import_cancel(workspace=workspace_of(request), import_uuid=import_uuid)
        return Response(status=204)
