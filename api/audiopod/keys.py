"""API keys, made by people who signed in."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_keys import (
    api_key_create,
    api_key_get_for_workspace,
    api_key_list,
    api_key_revoke,
)
from accounts.models import ApiKey
from accounts.scopes import KEY_SCOPES, KEYS_READ, KEYS_WRITE
from api.audiopod.base import AudiopodApi, body_of
from api.audiopod.rendering import time_text
from api.authentication import principal_of, workspace_of

_NO_STORE = {"Cache-Control": "no-store"}
_DAYS_MAX = 3650


class AudiopodNewKeySerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=32),
        required=False,
        allow_empty=False,
        max_length=32,
        help_text=f"`*` for all, or of: {', '.join(sorted(KEY_SCOPES))}.",
    )
    expires_in_days = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=_DAYS_MAX
    )


class AudiopodKeySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    key_prefix = serializers.CharField(help_text="How the key begins; no secret.")
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class AudiopodNewKeyShownSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    api_key = serializers.CharField(help_text="The key itself. It is shown this once.")
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)


class KeysApi(AudiopodApi):
    scopes = {"GET": KEYS_READ, "POST": KEYS_WRITE}

    @extend_schema(responses=AudiopodKeySerializer(many=True))
    def get(self, request: Request) -> Response:
        """API keys of the workspace, newest first; revoked ones too."""
        return Response([_key(key) for key in api_key_list(workspace=workspace_of(request))])

    @extend_schema(request=AudiopodNewKeySerializer, responses=AudiopodNewKeyShownSerializer)
    def post(self, request: Request) -> Response:
        """Make an API key. Only this answer shows it."""
        values = body_of(AudiopodNewKeySerializer, request)
        principal = principal_of(request)
        days = values.get("expires_in_days")
        key, text = api_key_create(
            workspace=principal.workspace,
            name=values["name"],
            actor=principal.actor,
            scopes=values.get("scopes", ["*"]),
            expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
            created_by=principal.user,
        )
        key = api_key_get_for_workspace(workspace=principal.workspace, key_uuid=key.uuid)
        body = {
            "id": str(key.uuid),
            "name": key.name,
            "api_key": text,
            "scopes": key.scopes,
            "created_at": time_text(key.created_at),
            "expires_at": time_text(key.expires_at),
        }
        return Response(body, headers=_NO_STORE)


class KeyApi(AudiopodApi):
    scopes = {"DELETE": KEYS_WRITE}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, key_uuid: UUID) -> Response:
        """Revoke a key: it is refused from now on."""
        principal = principal_of(request)
        api_key_revoke(workspace=principal.workspace, key_uuid=key_uuid, actor=principal.actor)
        return Response(status=204)


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": str(key.uuid),
        "name": key.name,
        "key_prefix": f"ap_{key.key_id}",
        "scopes": key.scopes,
        "created_at": time_text(key.created_at),
        "expires_at": time_text(key.expires_at),
        "last_used_at": time_text(key.last_used_at),
        "revoked_at": time_text(key.revoked_at),
    }
