"""Writing down what is to be told, in the transaction that makes it true.

So a message exists if and only if what it tells happened; sending it is the work of others
(jobs/delivering.py), after the commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts.models import Workspace
from billing.credit_alerts import Told
from jobs.message_styles import NATIVE, style_find, style_get
from jobs.models import Ingest, Job, WebhookEndpoint, WebhookMessage
from jobs.queue import wake_webhooks
from jobs.webhook_events import (
    CREDITS_LOW,
    TEST_EVENT,
    credits_data,
    event_body,
    ingest_data,
    ingest_event,
)

log = structlog.get_logger(__name__)

# Enough for a round of a loop that must not last.
_DELETE_AT_ONCE = 1000


def job_ended(job: Job) -> None:
    """Tell those who want to know. Call it in the transaction that ends the job, as its last step.

    Nothing here asks anybody but the database.
    """
    job = Job.objects.select_related("workspace", "asset", "retry_of").get(pk=job.pk)
    if job.finished_at is None:
        return
    messages = []
    for endpoint in _endpoints(job.workspace):
        event = _event(endpoint.style, job)
        if event in (endpoint.events or [event]):
            messages.append(_message(job.workspace, endpoint.url, event, endpoint=endpoint))
    if job.callback_url:
        event = _event(job.callback_style, job)
        style = job.callback_style
        messages.append(_message(job.workspace, job.callback_url, event, style=style))
    _write_of_job(job, [message for message in messages if message.event])


def ingest_ended(ingest: Ingest) -> None:
    """As `job_ended`, for a recording that came or failed to come."""
    ingest = Ingest.objects.select_related("workspace", "asset").get(pk=ingest.pk)
    event = ingest_event(ingest)
    if event is None or ingest.finished_at is None:
        return
    _tell(ingest.workspace, event, at=ingest.finished_at, data=ingest_data(ingest))


def credits_low(told: Told) -> None:
    """As `job_ended`, for credits that fell below what their workspace wants to be told of."""
    _tell(told.workspace, CREDITS_LOW, at=told.at, data=credits_data(told))


def probe_write(endpoint: WebhookEndpoint) -> WebhookMessage:
    """A message that tells nothing but that messages arrive."""
    body = {}
    if endpoint.style == NATIVE:
        now = WebhookEndpoint.objects.values_list(Now(), flat=True).get(pk=endpoint.pk)
        body = event_body(event=TEST_EVENT, at=now, data={"endpoint": str(endpoint.uuid)})
    message = _message(endpoint.workspace, endpoint.url, TEST_EVENT, endpoint=endpoint, body=body)
    return _write([message])[0]


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


def _endpoints(workspace: Workspace) -> QuerySet[WebhookEndpoint]:
    return WebhookEndpoint.objects.filter(workspace=workspace, is_enabled=True, deleted_at=None)


def _event(style: str, job: Job) -> str:
    """What the end of the job is called there; empty where nothing is told of it."""
    found = style_find(style)
    if found is None:
        # Of an API that is no more. The job must end all the same.
        log.warning("message_style_unknown", style=style, job=str(job.uuid))
        return ""
    return found.event(job) or ""


def _message(
    workspace: Workspace,
    url: str,
    event: str,
    *,
    endpoint: WebhookEndpoint | None = None,
    style: str = NATIVE,
    body: Mapping[str, Any] | None = None,
) -> WebhookMessage:
    return WebhookMessage(
        workspace=workspace,
        endpoint=endpoint,
        url=url,
        host=host_of(url),
        event=event,
        style=endpoint.style if endpoint else style,
        body=body or {},
    )


def _tell(workspace: Workspace, event: str, *, at: datetime, data: Mapping[str, Any]) -> None:
    """What only the native API tells."""
    endpoints = [
        endpoint
        for endpoint in _endpoints(workspace).filter(style=NATIVE)
        if event in (endpoint.events or [event])
    ]
    if endpoints:
        body = event_body(event=event, at=at, data=data)
        _write(
            _message(workspace, endpoint.url, event, endpoint=endpoint, body=body)
            for endpoint in endpoints
        )


def _write_of_job(job: Job, messages: Sequence[WebhookMessage]) -> None:
    if not messages:
        return
    body: Mapping[str, Any] = {}
    for message in messages:
        message.job = job
        # Those of other styles are put together at their first try.
        if message.style == NATIVE:
            message.body = body = body or style_get(NATIVE).body(
                job, event=message.event, message_uuid=message.uuid
            )
    _write(messages)


def _write(messages: Iterable[WebhookMessage]) -> list[WebhookMessage]:
    rows = list(messages)
    for row in rows:
        row.tries_max = style_get(row.style).schedule.tries
    rows = WebhookMessage.objects.bulk_create(rows)
    wake_webhooks()
    return rows
