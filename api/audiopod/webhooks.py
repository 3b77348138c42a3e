"""Webhook endpoints of this dialect, what was sent to them, and sending it again."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import WEBHOOKS_READ, WEBHOOKS_WRITE
from api.audiopod.base import LIST_PARAMETERS, AudiopodApi, body_of, page_of
from api.audiopod.dialect import NAME
from api.audiopod.messages import STYLE
from api.audiopod.rendering import time_text
from api.authentication import principal_of, workspace_of
from jobs.models import MessageState, WebhookAttempt, WebhookEndpoint, WebhookMessage
from jobs.webhooks import (
    endpoint_create,
    endpoint_delete,
    endpoint_get_for_workspace,
    endpoint_list,
    endpoint_test,
    endpoint_update,
    message_get_for_workspace,
    message_list,
    message_resend,
)

_NO_STORE = {"Cache-Control": "no-store"}
_STATES = {
    MessageState.PENDING: "pending",
    MessageState.DELIVERED: "delivered",
    MessageState.FAILED: "dead_letter",
}
DELIVERY_STATUSES = list(_STATES.values())


class AudiopodNewEndpointSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=2000, help_text="https:// and a public address.")
    events = serializers.ListField(
        child=serializers.CharField(max_length=64),
        required=False,
        max_length=32,
        help_text=f"Of: {', '.join(STYLE.events)}. None: all.",
    )
    description = serializers.CharField(required=False, allow_blank=True, max_length=200)


class AudiopodEndpointChangesSerializer(AudiopodNewEndpointSerializer):
    """What is left out stays as it is."""

    url = serializers.CharField(required=False, max_length=2000)
    active = serializers.BooleanField(required=False)


class AudiopodEndpointSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    active = serializers.BooleanField()
    description = serializers.CharField()
    created_at = serializers.DateTimeField()


class AudiopodEndpointShownSerializer(AudiopodEndpointSerializer):
    secret = serializers.CharField(help_text="Verifies signatures. It is shown this once.")


class AudiopodEndpointsSerializer(serializers.Serializer[Any]):
    items = AudiopodEndpointSerializer(many=True)
    hasMore = serializers.BooleanField()
    total = serializers.IntegerField()


class AudiopodTrySerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    response = serializers.CharField()
    duration_ms = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class AudiopodDeliverySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="The `event_id`.")
    endpoint_id = serializers.UUIDField()
    event_type = serializers.CharField()
    status = serializers.ChoiceField(choices=DELIVERY_STATUSES)
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class AudiopodDeliveryDetailSerializer(AudiopodDeliverySerializer):
    payload = serializers.DictField(help_text="Empty until the first try.")
    log = AudiopodTrySerializer(many=True)


class AudiopodDeliveriesSerializer(serializers.Serializer[Any]):
    items = AudiopodDeliverySerializer(many=True)
    hasMore = serializers.BooleanField()
    total = serializers.IntegerField()


class EndpointsApi(AudiopodApi):
    scopes = {"GET": WEBHOOKS_READ, "POST": WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="audiopod_webhook_list",
        parameters=LIST_PARAMETERS,
        responses=AudiopodEndpointsSerializer,
    )
    def get(self, request: Request) -> Response:
        """Endpoints that were made through this API, newest first."""
        rows, page = page_of(endpoint_list(workspace=workspace_of(request), style=NAME), request)
        return Response({"items": [_endpoint(row) for row in rows], **page})

    @extend_schema(
        operation_id="audiopod_webhook_create",
        request=AudiopodNewEndpointSerializer,
        responses=AudiopodEndpointShownSerializer,
    )
    def post(self, request: Request) -> Response:
        """Make an endpoint. Only this answer shows its secret."""
        values = body_of(AudiopodNewEndpointSerializer, request)
        principal = principal_of(request)
        endpoint, secret = endpoint_create(
            workspace=principal.workspace, actor=principal.actor, style=NAME, **values
        )
        return Response({**_endpoint(endpoint), "secret": secret}, headers=_NO_STORE)


class EndpointApi(AudiopodApi):
    scopes = {"GET": WEBHOOKS_READ, "PATCH": WEBHOOKS_WRITE, "DELETE": WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="audiopod_webhook_read",
        responses=AudiopodEndpointSerializer,
    )
    def get(self, request: Request, webhook_uuid: UUID) -> Response:
        """An endpoint; never its secret."""
        endpoint = endpoint_get_for_workspace(
            workspace=workspace_of(request), endpoint_uuid=webhook_uuid, style=NAME
        )
        return Response(_endpoint(endpoint))

    @extend_schema(
        operation_id="audiopod_webhook_update",
        request=AudiopodEndpointChangesSerializer,
        responses=AudiopodEndpointSerializer,
    )
    def patch(self, request: Request, webhook_uuid: UUID) -> Response:
        """Change an endpoint, stop it, or let it go on."""
        principal = principal_of(request)
        values = body_of(AudiopodEndpointChangesSerializer, request)
        if "active" in values:
            values["is_enabled"] = values.pop("active")
        endpoint = endpoint_update(
            workspace=principal.workspace,
            endpoint_uuid=webhook_uuid,
            actor=principal.actor,
            style=NAME,
            **values,
        )
        return Response(_endpoint(endpoint))

    @extend_schema(operation_id="audiopod_webhook_delete", responses={204: None})
    def delete(self, request: Request, webhook_uuid: UUID) -> Response:
        """Delete an endpoint. What was still to be delivered to it has failed."""
        principal = principal_of(request)
        endpoint_delete(
            workspace=principal.workspace,
            endpoint_uuid=webhook_uuid,
            actor=principal.actor,
            style=NAME,
        )
        return Response(status=204)


class EndpointTestApi(AudiopodApi):
    scopes = {"POST": WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="audiopod_webhook_test",
        request=None,
        responses=AudiopodDeliveryDetailSerializer,
    )
    def post(self, request: Request, webhook_uuid: UUID) -> Response:
        """Send `webhook.test` to an endpoint, whatever events it wants."""
        message = endpoint_test(
            workspace=workspace_of(request), endpoint_uuid=webhook_uuid, style=NAME
        )
        return Response(_delivery(message) | _detail(message))


class EndpointDeliveriesApi(AudiopodApi):
    scopes = {"GET": WEBHOOKS_READ}

    @extend_schema(
        operation_id="audiopod_webhook_deliveries",
        parameters=LIST_PARAMETERS,
        responses=AudiopodDeliveriesSerializer,
    )
    def get(self, request: Request, webhook_uuid: UUID) -> Response:
        """What was or is to be sent to an endpoint, newest first."""
        workspace = workspace_of(request)
        endpoint = endpoint_get_for_workspace(
            workspace=workspace, endpoint_uuid=webhook_uuid, style=NAME
        )
        messages, page = page_of(message_list(workspace=workspace, endpoint=endpoint), request)
        return Response({"items": [_delivery(message) for message in messages], **page})


class DeliveryApi(AudiopodApi):
    scopes = {"GET": WEBHOOKS_READ}

    @extend_schema(
        operation_id="audiopod_delivery_read", responses=AudiopodDeliveryDetailSerializer
    )
    def get(self, request: Request, delivery_uuid: UUID) -> Response:
        """A delivery, with what is sent and the log of its tries."""
        message = message_get_for_workspace(
            workspace=workspace_of(request), message_uuid=delivery_uuid, style=NAME
        )
        return Response(_delivery(message) | _detail(message))


class DeliveryResendApi(AudiopodApi):
    scopes = {"POST": WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="audiopod_delivery_redeliver",
        request=None,
        responses=AudiopodDeliveryDetailSerializer,
    )
    def post(self, request: Request, delivery_uuid: UUID) -> Response:
        """Send it once more, under the same `event_id`."""
        message = message_resend(
            workspace=workspace_of(request), message_uuid=delivery_uuid, style=NAME
        )
        return Response(_delivery(message) | _detail(message))


def _endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": str(endpoint.uuid),
        "url": endpoint.url,
        # They list what is meant.
        "events": endpoint.events or list(STYLE.events),
        "active": endpoint.is_enabled,
        "description": endpoint.description,
        "created_at": time_text(endpoint.created_at),
    }


def _delivery(message: WebhookMessage) -> dict[str, Any]:
    is_pending = message.state == MessageState.PENDING
    return {
        "id": str(message.uuid),
        "endpoint_id": str(message.endpoint.uuid) if message.endpoint else None,
        "event_type": message.event,
        "status": _STATES[MessageState(message.state)],
        "attempts": message.attempts,
        "next_attempt_at": time_text(message.next_attempt_at) if is_pending else None,
        "created_at": time_text(message.created_at),
    }


def _detail(message: WebhookMessage) -> dict[str, Any]:
    tries: list[WebhookAttempt] = message.tries  # type: ignore[attr-defined]
    return {"payload": message.body, "log": [_try(one) for one in tries]}


def _try(attempt: WebhookAttempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "status_code": attempt.status_code,
        "error": attempt.error_code or None,
        "response": attempt.response,
        "duration_ms": attempt.duration_ms,
        "created_at": time_text(attempt.started_at),
    }
