from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import ASSETS_READ
from api.authentication import workspace_of
from api.native.base import NativeApi, page_response
from jobs.models import Deletion, DeletionReason
from jobs.selectors import deletion_get_for_workspace, deletion_list


class DeletionSerializer(serializers.Serializer[Deletion]):
    """What became of a file that was deleted. Its name is not kept."""

    asset = serializers.UUIDField(source="asset.uuid")
    reason = serializers.ChoiceField(
        choices=DeletionReason.choices,
        help_text="`request`: somebody of the workspace asked for it; `retention`: its time was "
        "over.",
    )
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    requested_at = serializers.DateTimeField(
        help_text="From then on no call and no link of the service reached it."
    )
    removed_at = serializers.DateTimeField(
        allow_null=True, help_text="When storage was told to remove it, and all its versions."
    )
    verified_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When storage was asked for it, and had nothing of it. Null until then.",
    )


class DeletionsApi(NativeApi):
    scopes = {"GET": ASSETS_READ}

    @extend_schema(operation_id="deletion_list", responses=DeletionSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Recordings and stems that were deleted, newest first."""
        rows = deletion_list(workspace=workspace_of(request))
        return page_response(self, rows, DeletionSerializer)


class DeletionApi(NativeApi):
    scopes = {"GET": ASSETS_READ}

    @extend_schema(operation_id="deletion_read", responses=DeletionSerializer)
    def get(self, request: Request, deleted_uuid: UUID) -> Response:
        """What became of a recording or stem that was deleted, by its id."""
        deletion = deletion_get_for_workspace(
            workspace=workspace_of(request), asset_uuid=deleted_uuid
        )
        return Response(DeletionSerializer(deletion).data)
