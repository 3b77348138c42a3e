from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.audit import audit_list
from accounts.models import AuditEvent
from accounts.scopes import AUDIT_READ
from api.authentication import workspace_of
from api.native.base import NativeApi, StrictSerializer, page_response


class AuditFilterSerializer(StrictSerializer):
    action = serializers.CharField(required=False, max_length=64, help_text="Such as key.created.")
    actor = serializers.UUIDField(required=False, help_text="The id of a person or a key.")
    since = serializers.DateTimeField(required=False, help_text="This moment and later.")
    until = serializers.DateTimeField(required=False, help_text="Before this moment.")


class AuditActorSerializer(serializers.Serializer[AuditEvent]):
    kind = serializers.CharField(
        source="actor_kind",
        help_text="`user`, `key`, `operator`, `onlooker`, `system` or `anonymous`.",
    )
    id = serializers.UUIDField(source="actor_uuid", allow_null=True)
    label = serializers.CharField(  # type: ignore[assignment]
        source="actor_label", help_text="Their name at that time."
    )


class AuditTargetSerializer(serializers.Serializer[AuditEvent]):
    kind = serializers.CharField(source="target_kind")
    id = serializers.UUIDField(source="target_uuid", allow_null=True)


class AuditEventSerializer(serializers.Serializer[AuditEvent]):
    id = serializers.UUIDField(source="uuid")
    action = serializers.CharField()
    actor = AuditActorSerializer(source="*")
    target = AuditTargetSerializer(source="*")
    data = serializers.DictField()  # type: ignore[assignment]
    ip_address = serializers.IPAddressField(allow_null=True)
    request_id = serializers.CharField()
    created_at = serializers.DateTimeField()


class AuditApi(NativeApi):
    scopes = {"GET": AUDIT_READ}

    @extend_schema(
        operation_id="audit_list",
        parameters=[AuditFilterSerializer],
        responses=AuditEventSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Who did what that matters to security or money, newest first."""
        filters: dict[str, Any] = request.query_params.dict()
        for name in ("cursor", "limit"):
            filters.pop(name, None)
        serializer = AuditFilterSerializer(data=filters)
        serializer.is_valid(raise_exception=True)
        rows = audit_list(workspace=workspace_of(request), **serializer.validated_data)
        return page_response(self, rows, AuditEventSerializer)
