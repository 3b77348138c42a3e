"""Messages as the outbox writes them, and time that passes by changing rows."""

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from accounts.audit import OPERATOR
from accounts.models import Workspace
from jobs.models import WebhookEndpoint, WebhookMessage
from jobs.outbox import host_of
from jobs.webhooks import endpoint_create


def make_endpoint(workspace: Workspace, url: str) -> tuple[WebhookEndpoint, str]:
    return endpoint_create(workspace=workspace, actor=OPERATOR, url=url)


def write(
    workspace: Workspace, url: str, *, endpoint: WebhookEndpoint | None = None, count: int = 1
) -> list[WebhookMessage]:
    """Messages as the outbox writes them."""
    body = {"type": "job.succeeded", "timestamp": "2026-11-21T12:00:00Z", "data": {"id": "é"}}
    rows = [
        WebhookMessage(
            workspace=workspace,
            endpoint=endpoint,
            url=url,
            host=host_of(url),
            event="job.succeeded",
            body=body,
        )
        for _ in range(count)
    ]
    return WebhookMessage.objects.bulk_create(rows)


def make_due() -> None:
    WebhookMessage.objects.filter(state="pending").update(next_attempt_at=Now())


def let_leases_end() -> None:
    WebhookMessage.objects.update(lease_until=Now() - timedelta(seconds=1))


def only() -> WebhookMessage:
    return WebhookMessage.objects.get()


def log_of(message: WebhookMessage) -> list[tuple[Any, ...]]:
    return list(message.log.order_by("number").values_list("number", "status_code", "error_code"))
