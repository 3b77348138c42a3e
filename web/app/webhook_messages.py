"""What is sent to webhooks and to the callback addresses of jobs, and what became of it."""

import json
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.principal import Principal
from accounts.scopes import WEBHOOKS_READ, WEBHOOKS_WRITE
from jobs.models import MessageState, WebhookMessage
from jobs.webhooks import (
    endpoint_get_for_workspace,
    endpoint_test,
    message_get_for_workspace,
    message_list,
    message_resend,
    messages_resend_failed,
)
from web.app.webhook_forms import ResendForm
from web.paging import page_newest_first, uuid_of
from web.views import app_page

# Of one that is tried so soon, the page asks often.
_SOON: Final = timedelta(seconds=20)
_ERRORS: Final[dict[str, str | Promise]] = {
    "refused": gettext_lazy("It answered with an error."),
    "redirect_not_followed": gettext_lazy("It answered with a redirect, which is not followed."),
    "timeout": gettext_lazy("It did not answer in time."),
    "connection_failed": gettext_lazy("There was no connection."),
    "tls_failed": gettext_lazy("Its certificate is not valid."),
    "bad_answer": gettext_lazy("The answer was not valid HTTP."),
    "address_not_allowed": gettext_lazy("The name does not lead to a public address."),
    "secret_not_readable": gettext_lazy("The secret cannot be read any more; roll it."),
    "job_deleted": gettext_lazy("The job was deleted before."),
    "internal": gettext_lazy("Something went wrong on our side."),
}


@app_page(WEBHOOKS_READ)
def webhook_messages(request: HttpRequest, principal: Principal) -> HttpResponse:
    job = uuid_of(request.GET.get("job", ""))
    context = messages_context(request, message_list(workspace=principal.workspace, job_uuid=job))
    return render(request, "app/webhook_messages.html", {**context, "job": job})


@app_page(WEBHOOKS_READ)
def webhook_message(request: HttpRequest, principal: Principal, message_uuid: UUID) -> HttpResponse:
    message = message_get_for_workspace(workspace=principal.workspace, message_uuid=message_uuid)
    tries = message.tries  # type: ignore[attr-defined]
    context = {
        "message": message,
        "body": json.dumps(message.body, indent=2, ensure_ascii=False) if message.body else "",
        "tries": [
            {"log": log, "error": _ERRORS.get(log.error_code, log.error_code)} for log in tries
        ],
        "can_resend": message.endpoint is None or message.endpoint.is_enabled,
        "is_pending": message.state == MessageState.PENDING,
        "asks_every": _asks_every([message]),
    }
    return render(request, "app/webhook_message.html", context)


@app_page(WEBHOOKS_WRITE, methods=["POST"])
def webhook_message_resend(
    request: HttpRequest, principal: Principal, message_uuid: UUID
) -> HttpResponse:
    message_resend(workspace=principal.workspace, message_uuid=message_uuid)
    messages.success(request, _("It is being sent again."))
    return redirect("webhook-message", message_uuid)


@app_page(WEBHOOKS_WRITE, methods=["POST"])
def webhook_test(request: HttpRequest, principal: Principal, webhook_uuid: UUID) -> HttpResponse:
    message = endpoint_test(workspace=principal.workspace, endpoint_uuid=webhook_uuid)
    messages.success(request, _("A test event is on its way."))
    return redirect("webhook-message", message.uuid)


@app_page(WEBHOOKS_WRITE, methods=["GET", "HEAD", "POST"])
def webhook_resend(request: HttpRequest, principal: Principal, webhook_uuid: UUID) -> HttpResponse:
    """All that failed since a moment."""
    endpoint = endpoint_get_for_workspace(workspace=principal.workspace, endpoint_uuid=webhook_uuid)
    form = ResendForm(request.POST or None)
    if form.is_valid():
        count = messages_resend_failed(
            workspace=principal.workspace,
            endpoint_uuid=webhook_uuid,
            since=timezone.now() - form.since_period,
        )
        done = ngettext("%(n)s delivery is sent again.", "%(n)s deliveries are sent again.", count)
        messages.success(request, done % {"n": count})
        return redirect("webhook", webhook_uuid)
    context = {
        "ask": "app/webhook_resend.html",
        "title": _("Send failed deliveries again"),
        "endpoint": endpoint,
        "resend_form": form,
    }
    return render(request, "app/ask.html", context, status=400 if form.is_bound else 200)


def messages_context(request: HttpRequest, rows: QuerySet[WebhookMessage]) -> dict[str, Any]:
    """A list of deliveries, filtered as the address says."""
    state = request.GET.get("state", "")
    if state in MessageState.values:
        rows = rows.filter(state=state)
    after = request.GET.get("after", "")
    page = page_newest_first(rows, after, size=25)
    # What is sent next is seen without a reload, where it would stand.
    idle = "" if after else "5s"
    return {
        "page": page,
        "state": state,
        "states": [("", _("All")), *((one.value, STATES[one]) for one in MessageState)],
        "asks_every": _asks_every(page.rows) or idle,
        "log_days": settings.WEBHOOK_LOG_DAYS,
    }


STATES: Final = {
    MessageState.PENDING: gettext_lazy("Waiting"),
    MessageState.DELIVERED: gettext_lazy("Delivered"),
    MessageState.FAILED: gettext_lazy("Failed"),
}


def _asks_every(rows: list[WebhookMessage]) -> str:
    """How often the page looks again; empty where nothing more will come."""
    pending = [row for row in rows if row.state == MessageState.PENDING]
    if not pending:
        return ""
    is_soon = any(
        row.lease_until is not None or row.next_attempt_at < timezone.now() + _SOON
        for row in pending
    )
    return "2s" if is_soon else "30s"
