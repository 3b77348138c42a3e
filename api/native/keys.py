from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_keys import (
    GRACE_AT_MOST,
    api_key_create,
    api_key_list,
    api_key_revoke,
    api_key_roll,
    api_key_state,
    api_key_update,
)
from accounts.models import ApiKey, Workspace
from accounts.scopes import KEY_SCOPES, KEYS_READ, KEYS_WRITE
from api.authentication import principal_of, workspace_of
from api.native.base import NativeApi, StrictSerializer, page_response, valid_body
from billing.key_spending import with_spending
from config.errors import NotFound

_CAP_AT_MOST_MCR = 10**15
_ALL = sorted(KEY_SCOPES)


class KeyChangesSerializer(StrictSerializer):
    """What is left out stays as it is."""

    name = serializers.CharField(required=False, max_length=100)
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=32),
        required=False,
        max_length=32,
        help_text=f"`*` for all, or of: {', '.join(_ALL)}. An existing key can only be narrowed.",
    )
    monthly_cap_mcr = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=_CAP_AT_MOST_MCR,
        help_text="What it may spend in a calendar month (UTC); null: as much as there is.",
    )
    rate_limit_per_minute = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        help_text="Calls a minute and endpoint, below the usual limit; null: the usual limit.",
    )

    def validate_rate_limit_per_minute(self, limit: int | None) -> int | None:
        # More than the usual is for the operator to give.
        if limit is not None and limit > settings.RATE_LIMIT_PER_MINUTE:
            most = settings.RATE_LIMIT_PER_MINUTE
            raise serializers.ValidationError(f"This must be at most {most}.")
        return limit


class NewKeySerializer(KeyChangesSerializer):
    """Without `scopes`, the key may do all that a key may ever do; without a cap, spend it all."""

    name = serializers.CharField(max_length=100)
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Null: it does not expire."
    )


class RollSerializer(StrictSerializer):
    grace_seconds = serializers.IntegerField(
        required=False,
        default=86_400,
        min_value=0,
        max_value=int(GRACE_AT_MOST.total_seconds()),
        help_text="How long the old secret still works.",
    )


class KeySerializer(serializers.Serializer[ApiKey]):
    id = serializers.UUIDField(source="uuid")
    name = serializers.CharField()
    prefix = serializers.SerializerMethodField(help_text="How the key begins; no secret.")
    last_four = serializers.CharField(
        help_text="How it ends; empty of keys made before this was kept."
    )
    status = serializers.SerializerMethodField(help_text="`active`, `expired` or `revoked`.")
    scopes = serializers.ListField(child=serializers.CharField())
    monthly_cap_mcr = serializers.IntegerField(allow_null=True)
    spent_mcr = serializers.IntegerField(
        help_text="Held or spent this month, with the keys that it was rolled from or into."
    )
    rate_limit_per_minute = serializers.IntegerField(allow_null=True)
    created_by = serializers.UUIDField(source="created_by.uuid", default=None, allow_null=True)
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute.")
    last_used_ip = serializers.IPAddressField(
        allow_null=True, help_text="From which address it was used then."
    )
    expires_at = serializers.DateTimeField(allow_null=True)
    grace_until = serializers.DateTimeField(
        allow_null=True, help_text="Of a key that was rolled: it works no longer than this."
    )
    revoked_at = serializers.DateTimeField(allow_null=True)

    def get_prefix(self, key: ApiKey) -> str:
        return f"ap_{key.key_id}"

    def get_status(self, key: ApiKey) -> str:
        return api_key_state(key)


class NewKeyShownSerializer(KeySerializer):
    key = serializers.CharField(help_text="The key itself. It is shown this once.")


class KeysApi(NativeApi):
    scopes = {"GET": KEYS_READ, "POST": KEYS_WRITE}

    @extend_schema(operation_id="key_list", responses=KeySerializer(many=True))
    def get(self, request: Request) -> Response:
        """API keys, newest first; those that no longer open anything, too."""
        return page_response(self, _keys(workspace_of(request)), KeySerializer)

    @extend_schema(
        operation_id="key_create", request=NewKeySerializer, responses={201: NewKeyShownSerializer}
    )
    def post(self, request: Request) -> Response:
        """Make an API key. Only this answer shows it."""
        values = valid_body(NewKeySerializer, request)
        principal = principal_of(request)
        key, text = api_key_create(
            workspace=principal.workspace,
            actor=principal.actor,
            created_by=principal.user,
            **values,
        )
        return _shown(key, text)


class KeyApi(NativeApi):
    scopes = {"GET": KEYS_READ, "PATCH": KEYS_WRITE, "DELETE": KEYS_WRITE}

    @extend_schema(operation_id="key_read", responses=KeySerializer)
    def get(self, request: Request, key_uuid: UUID) -> Response:
        """An API key; never its secret."""
        return Response(_body(workspace_of(request), key_uuid))

    @extend_schema(operation_id="key_update", request=KeyChangesSerializer, responses=KeySerializer)
    def patch(self, request: Request, key_uuid: UUID) -> Response:
        """Rename a key, change its limits, or take rights away from it.

        Cap, limit and rights change for all keys that it was rolled from or into, too.
        """
        values = valid_body(KeyChangesSerializer, request)
        principal = principal_of(request)
        api_key_update(
            workspace=principal.workspace,
            key_uuid=key_uuid,
            actor=principal.actor,
            **values,
        )
        return Response(_body(principal.workspace, key_uuid))

    @extend_schema(operation_id="key_revoke", responses={204: None})
    def delete(self, request: Request, key_uuid: UUID) -> Response:
        """Revoke a key: it is refused from now on."""
        principal = principal_of(request)
        api_key_revoke(workspace=principal.workspace, key_uuid=key_uuid, actor=principal.actor)
        return Response(status=204)


class KeyRollApi(NativeApi):
    scopes = {"POST": KEYS_WRITE}

    @extend_schema(
        operation_id="key_roll", request=RollSerializer, responses={201: NewKeyShownSerializer}
    )
    def post(self, request: Request, key_uuid: UUID) -> Response:
        """Replace a key by one of the same rights. The old one works on for a while."""
        values = valid_body(RollSerializer, request)
        principal = principal_of(request)
        key, text = api_key_roll(
            workspace=principal.workspace,
            key_uuid=key_uuid,
            grace=timedelta(seconds=values["grace_seconds"]),
            actor=principal.actor,
        )
        return _shown(key, text)


def _keys(workspace: Workspace) -> QuerySet[ApiKey]:
    return with_spending(api_key_list(workspace=workspace).select_related("created_by"))


def _body(workspace: Workspace, key_uuid: UUID) -> dict[str, Any]:
    key = _keys(workspace).filter(uuid=key_uuid).first()
    if key is None:
        raise NotFound
    return dict(KeySerializer(key).data)


def _shown(key: ApiKey, text: str) -> Response:
    body = {**_body(key.workspace, key.uuid), "key": text}
    return Response(body, status=201, headers={"Cache-Control": "no-store"})
