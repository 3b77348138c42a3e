"""Writing down what is to be told, in the transaction that makes it true.

So a message exists if and only if what it tells happened; sending it is the work of others
(jobs/delivering.py), after the commit.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from accounts.models import Workspace
from jobs.models import Ingest, Job, WebhookEndpoint, WebhookMessage
from jobs.queue import wake_webhooks
from jobs.webhook_events import (
    TEST_EVENT,
    event_body,
    ingest_data,
    ingest_event,
    job_data,
    job_event,
)

# Enough for a round of a loop that must not last.
_DELETE_AT_ONCE = 1000


def job_ended(job: Job) -> None:
    """Tell those who want to know. Call it in the transaction that ends the job, as its last step.

    Nothing here asks anybody but the database.
    """
    job = Job.objects.select_related("workspace", "asset").get(pk=job.pk)
    event = job_event(job)
    if event is None or job.finished_at is None:
        return
    endpoints = _endpoints(job.workspace, event)
    if not endpoints and not job.callback_url:
        return
    body = event_body(event=event, at=job.finished_at, data=job_data(job))
    receivers = [_message(job.workspace, endpoint.url, body, endpoint) for endpoint in endpoints]
    if job.callback_url:
        receivers.append(_message(job.workspace, job.callback_url, body))
    for message in receivers:
        message.job = job
    _write(receivers)


def ingest_ended(ingest: Ingest) -> None:
    """As `job_ended`, for a recording that came or failed to come."""
    ingest = Ingest.objects.select_related("workspace", "asset").get(pk=ingest.pk)
    event = ingest_event(ingest)
    if event is None or ingest.finished_at is None:
        return
    endpoints = _endpoints(ingest.workspace, event)
    if endpoints:
        body = event_body(event=event, at=ingest.finished_at, data=ingest_data(ingest))
        _write(_message(ingest.workspace, endpoint.url, body, endpoint) for endpoint in endpoints)


def probe_write(endpoint: WebhookEndpoint) -> WebhookMessage:
    """A message that tells nothing but that messages arrive."""
    now = WebhookEndpoint.objects.values_list(Now(), flat=True).get(pk=endpoint.pk)
    data = {"endpoint": str(endpoint.uuid)}
    body = event_body(event=TEST_EVENT, at=now, data=data)
    return _write([_message(endpoint.workspace, endpoint.url, body, endpoint)])[0]


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "")[:255]


def messages_clean() -> int:
    """Forget messages that ended long ago, with the log of their tries; returns how many."""
    kept = timedelta(days=settings.WEBHOOK_LOG_DAYS)
    old = WebhookMessage.objects.filter(finished_at__lt=Now() - kept).order_by("finished_at")
    with transaction.atomic():
        # Locked: one that is sent again at this very moment has not ended.
        found = old.select_for_update(skip_locked=True).values_list("pk", flat=True)
        pks = list(found[:_DELETE_AT_ONCE])
        WebhookMessage.objects.filter(pk__in=pks).delete()
    return len(pks)


def _endpoints(workspace: Workspace, event: str) -> list[WebhookEndpoint]:
    endpoints = WebhookEndpoint.objects.filter(
        workspace=workspace, is_enabled=True, deleted_at=None
    )
    return [endpoint for endpoint in endpoints if event in (endpoint.events or [event])]


def _message(
    workspace: Workspace, url: str, body: dict[str, Any], endpoint: WebhookEndpoint | None = None
) -> WebhookMessage:
    return WebhookMessage(
        workspace=workspace,
        endpoint=endpoint,
        url=url,
        host=host_of(url),
        event=body["type"],
        body=body,
    )


def _write(messages: Iterable[WebhookMessage]) -> list[WebhookMessage]:
    rows = WebhookMessage.objects.bulk_create(messages)
    wake_webhooks()
    return rows
