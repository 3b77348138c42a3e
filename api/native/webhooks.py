from datetime import timedelta
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import WEBHOOKS_READ, WEBHOOKS_WRITE
from api.authentication import principal_of, workspace_of
from api.native.base import NativeApi, StrictSerializer, page_response, valid_body
from jobs.models import MessageState, WebhookAttempt, WebhookEndpoint, WebhookMessage
from jobs.webhook_events import EVENT_TYPES
from jobs.webhooks import (
    OVERLAP_AT_MOST,
    callback_secret_roll,
    callback_secret_show,
    endpoint_create,
    endpoint_delete,
    endpoint_get_for_workspace,
    endpoint_list,
    endpoint_roll,
    endpoint_test,
    endpoint_update,
    message_get_for_workspace,
    message_list,
    message_resend,
)

_URL_AT_MOST = 2000
_NO_STORE = {"Cache-Control": "no-store"}


class NewWebhookSerializer(StrictSerializer):
    """Where to send what."""

    url = serializers.CharField(
        max_length=_URL_AT_MOST, help_text="https:// and a public address of yours."
    )
    description = serializers.CharField(required=False, allow_blank=True, max_length=200)
    events = serializers.ListField(
        child=serializers.CharField(max_length=64),
        required=False,
        max_length=32,
        help_text=f"Of: {', '.join(EVENT_TYPES)}. None: all, also those that will be added.",
    )


class WebhookChangesSerializer(NewWebhookSerializer):
    """What is left out stays as it is."""

    url = serializers.CharField(required=False, max_length=_URL_AT_MOST)
    is_enabled = serializers.BooleanField(
        required=False, help_text="Disabling ends what is still to be delivered as failed."
    )


class OverlapSerializer(StrictSerializer):
    overlap_hours = serializers.IntegerField(
        required=False,
        default=24,
        min_value=0,
        max_value=int(OVERLAP_AT_MOST.total_seconds()) // 3600,
        help_text="How long the former secret signs beside the new one.",
    )


class WebhookSerializer(serializers.Serializer[WebhookEndpoint]):
    id = serializers.UUIDField(source="uuid")
    url = serializers.CharField()
    description = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField(), help_text="Empty: all.")
    is_enabled = serializers.BooleanField()
    disabled_reason = serializers.CharField(help_text="Why it was disabled by itself; else empty.")
    disabled_at = serializers.DateTimeField(allow_null=True)
    failing_since = serializers.DateTimeField(
        allow_null=True, help_text="Since then nothing has arrived; null while all is well."
    )
    old_secret_until = serializers.SerializerMethodField(
        help_text="Until then the former secret signs, too; null: only one does."
    )
    created_at = serializers.DateTimeField()

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_old_secret_until(self, endpoint: WebhookEndpoint) -> Any:
        until = endpoint.old_secret_until
        # `now` is the database's (endpoint_list).
        return until if until and until > endpoint.now else None  # type: ignore[attr-defined]


class SecretSerializer(serializers.Serializer[dict[str, str]]):
    secret = serializers.CharField(help_text="Verifies signatures. It begins with `whsec_`.")


class WebhookShownSerializer(WebhookSerializer):
    secret = serializers.CharField(help_text="Verifies signatures. It is shown this once.")


class EventTypeSerializer(serializers.Serializer[dict[str, str]]):
    type = serializers.CharField()
    description = serializers.CharField()


class EventTypesSerializer(serializers.Serializer[dict[str, Any]]):
    events = EventTypeSerializer(many=True)


class DeliveriesFilterSerializer(StrictSerializer):
    state = serializers.ChoiceField(choices=MessageState.choices, required=False)
    job = serializers.UUIDField(required=False, help_text="The id of a job.")


class DeliverySerializer(serializers.Serializer[WebhookMessage]):
    """A message to one receiver. Its id is the `webhook-id` of each try."""

    id = serializers.UUIDField(source="uuid")
    webhook = serializers.UUIDField(
        source="endpoint.uuid",
        default=None,
        allow_null=True,
        help_text="Null: it goes to the `callback_url` of its job.",
    )
    job = serializers.UUIDField(source="job.uuid", default=None, allow_null=True)
    url = serializers.CharField()
    event = serializers.CharField()
    state = serializers.ChoiceField(choices=MessageState.choices)
    attempts = serializers.IntegerField(help_text="Tries begun.")
    next_attempt_at = serializers.SerializerMethodField(
        help_text="Of a pending one: when it is tried next, or since when it is due."
    )
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_attempt_at(self, message: WebhookMessage) -> Any:
        return message.next_attempt_at if message.state == MessageState.PENDING else None


class AttemptSerializer(serializers.Serializer[WebhookAttempt]):
    """A try to deliver a message. A number that is missing was lost with its worker."""

    number = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    duration_ms = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True, help_text="Null: no answer.")
    error_code = serializers.CharField(help_text="Empty: it was delivered.")
    response = serializers.CharField(help_text="The beginning of the answer's body.")


class DeliveryDetailSerializer(DeliverySerializer):
    body = serializers.JSONField(help_text="What is sent.")
    log = AttemptSerializer(source="tries", many=True)


class WebhooksApi(NativeApi):
    scopes = {"GET": WEBHOOKS_READ, "POST": WEBHOOKS_WRITE}

    @extend_schema(operation_id="webhook_list", responses=WebhookSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Webhooks, newest first."""
        return page_response(
            self, endpoint_list(workspace=workspace_of(request)), WebhookSerializer
        )

    @extend_schema(
        operation_id="webhook_create",
        request=NewWebhookSerializer,
        responses={201: WebhookShownSerializer},
    )
    def post(self, request: Request) -> Response:
        """Make a webhook. Only this answer, and that to a roll, show the secret."""
        values = valid_body(NewWebhookSerializer, request)
        principal = principal_of(request)
        endpoint, secret = endpoint_create(
            workspace=principal.workspace, actor=principal.actor, **values
        )
        return _shown(endpoint, secret)


class WebhookApi(NativeApi):
    scopes = {"GET": WEBHOOKS_READ, "PATCH": WEBHOOKS_WRITE, "DELETE": WEBHOOKS_WRITE}

    @extend_schema(operation_id="webhook_read", responses=WebhookSerializer)
    def get(self, request: Request, webhook_uuid: UUID) -> Response:
        """A webhook; never its secret."""
        endpoint = endpoint_get_for_workspace(
            workspace=workspace_of(request), endpoint_uuid=webhook_uuid
        )
        return Response(WebhookSerializer(endpoint).data)

    @extend_schema(
        operation_id="webhook_update",
        request=WebhookChangesSerializer,
        responses=WebhookSerializer,
    )
    def patch(self, request: Request, webhook_uuid: UUID) -> Response:
        """Change a webhook, disable it, or enable it again."""
        values = valid_body(WebhookChangesSerializer, request)
        principal = principal_of(request)
        endpoint = endpoint_update(
            workspace=principal.workspace,
            endpoint_uuid=webhook_uuid,
            actor=principal.actor,
            **values,
        )
        return Response(WebhookSerializer(endpoint).data)

    @extend_schema(operation_id="webhook_delete", responses={204: None})
    def delete(self, request: Request, webhook_uuid: UUID) -> Response:
        """Delete a webhook. What was still to be delivered to it has failed."""
        principal = principal_of(request)
        endpoint_delete(
            workspace=principal.workspace, endpoint_uuid=webhook_uuid, actor=principal.actor
        )
        return Response(status=204)


class WebhookRollApi(NativeApi):
    scopes = {"POST": WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="webhook_roll",
        request=OverlapSerializer,
        responses={201: WebhookShownSerializer},
    )
    def post(self, request: Request, webhook_uuid: UUID) -> Response:
        """Give a webhook a new secret. The former one signs beside it for a while."""
        values = valid_body(OverlapSerializer, request)
        principal = principal_of(request)
        endpoint, secret = endpoint_roll(
            workspace=principal.workspace,
            endpoint_uuid=webhook_uuid,
            overlap=timedelta(hours=values["overlap_hours"]),
            actor=principal.actor,
        )
        return _shown(endpoint, secret)


class WebhookTestApi(NativeApi):
    scopes = {"POST": WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="webhook_test", request=None, responses={202: DeliveryDetailSerializer}
    )
    def post(self, request: Request, webhook_uuid: UUID) -> Response:
        """Send `webhook.test` to a webhook, whatever events it wants."""
        message = endpoint_test(workspace=workspace_of(request), endpoint_uuid=webhook_uuid)
        return Response(DeliveryDetailSerializer(message).data, status=202)


class EventTypesApi(NativeApi):
    scopes = {"GET": WEBHOOKS_READ}

    @extend_schema(operation_id="webhook_event_types", responses=EventTypesSerializer)
    def get(self, request: Request) -> Response:
        """The types of events that a webhook can want."""
        events = [
            {"type": type_, "description": description}
            for type_, description in EVENT_TYPES.items()
        ]
        return Response(EventTypesSerializer({"events": events}).data)


class CallbackSecretApi(NativeApi):
    # Whoever knows it can pretend to be us.
    scopes = {"GET": WEBHOOKS_WRITE}

    @extend_schema(operation_id="callback_secret_read", responses=SecretSerializer)
    def get(self, request: Request) -> Response:
        """The secret that signs what goes to the `callback_url` of jobs."""
        secret = callback_secret_show(workspace=workspace_of(request))
        return Response(SecretSerializer({"secret": secret}).data, headers=_NO_STORE)


class CallbackSecretRollApi(NativeApi):
    scopes = {"POST": WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="callback_secret_roll",
        request=OverlapSerializer,
        responses={201: SecretSerializer},
    )
    def post(self, request: Request) -> Response:
        """A new secret for `callback_url`s. The former one signs beside it for a while."""
        values = valid_body(OverlapSerializer, request)
        principal = principal_of(request)
        secret = callback_secret_roll(
            workspace=principal.workspace,
            overlap=timedelta(hours=values["overlap_hours"]),
            actor=principal.actor,
        )
        return Response(SecretSerializer({"secret": secret}).data, status=201, headers=_NO_STORE)


class WebhookDeliveriesApi(NativeApi):
    scopes = {"GET": WEBHOOKS_READ}

    @extend_schema(
        operation_id="webhook_delivery_list",
        parameters=[DeliveriesFilterSerializer],
        responses=DeliverySerializer(many=True),
    )
    def get(self, request: Request, webhook_uuid: UUID) -> Response:
        """What was or is to be sent to a webhook, newest first."""
        endpoint = endpoint_get_for_workspace(
            workspace=workspace_of(request), endpoint_uuid=webhook_uuid
        )
        return _deliveries(self, request, endpoint)


class DeliveriesApi(NativeApi):
    scopes = {"GET": WEBHOOKS_READ}

    @extend_schema(
        operation_id="delivery_list",
        parameters=[DeliveriesFilterSerializer],
        responses=DeliverySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """What was or is to be sent to webhooks and `callback_url`s, newest first."""
        return _deliveries(self, request)


class DeliveryApi(NativeApi):
    scopes = {"GET": WEBHOOKS_READ}

    @extend_schema(operation_id="delivery_read", responses=DeliveryDetailSerializer)
    def get(self, request: Request, delivery_uuid: UUID) -> Response:
        """A message, with its body and the log of its tries."""
        message = message_get_for_workspace(
            workspace=workspace_of(request), message_uuid=delivery_uuid
        )
        return Response(DeliveryDetailSerializer(message).data)


class DeliveryResendApi(NativeApi):
    scopes = {"POST": WEBHOOKS_WRITE}

    @extend_schema(
        operation_id="delivery_resend", request=None, responses={202: DeliveryDetailSerializer}
    )
    def post(self, request: Request, delivery_uuid: UUID) -> Response:
        """Send a message once more, under the same `webhook-id`."""
        message = message_resend(workspace=workspace_of(request), message_uuid=delivery_uuid)
        return Response(DeliveryDetailSerializer(message).data, status=202)


def _deliveries(
    view: NativeApi, request: Request, endpoint: WebhookEndpoint | None = None
) -> Response:
    filters: dict[str, Any] = request.query_params.dict()
    for name in ("cursor", "limit"):
        filters.pop(name, None)
    serializer = DeliveriesFilterSerializer(data=filters)
    serializer.is_valid(raise_exception=True)
    values = serializer.validated_data
    rows = message_list(
        workspace=workspace_of(request),
        endpoint=endpoint,
        state=values.get("state"),
        job_uuid=values.get("job"),
    )
    return page_response(view, rows, DeliverySerializer)


def _shown(endpoint: WebhookEndpoint, secret: str) -> Response:
    body = {**WebhookSerializer(endpoint).data, "secret": secret}
    return Response(body, status=201, headers=_NO_STORE)
