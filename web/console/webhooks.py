"""Messages that did not arrive, and endpoints that were switched off."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.audit import audit_record
from config.errors import NotFound
from jobs.models import MessageState, WebhookEndpoint, WebhookMessage
from jobs.webhooks import endpoint_update, message_resend
from web.console.gate import Operator, console_page
from web.console.lookups import id_of
from web.paging import page_newest_first


@console_page()
def webhooks(request: HttpRequest, operator: Operator) -> HttpResponse:
    state = request.GET.get("state", MessageState.FAILED.value)
    workspace = request.GET.get("workspace", "")
    endpoints = WebhookEndpoint.objects.filter(deleted_at=None).select_related("workspace")
    rows = WebhookMessage.objects.select_related("workspace", "endpoint", "job")
    if state in MessageState.values:
        rows = rows.filter(state=state)
    if workspace:
        rows = rows.filter(workspace__uuid=id_of(workspace))
        endpoints = endpoints.filter(workspace__uuid=id_of(workspace))
    page = page_newest_first(rows, request.GET.get("after", ""))
    for row in page.rows:
        row.last_try = row.log.order_by("-number").first()
    context = {
        "page": page,
        "state": state,
        "workspace": workspace,
        "states": MessageState.choices,
        "off": endpoints.filter(is_enabled=False).exclude(disabled_reason="").order_by("-pk"),
        "failing": endpoints.filter(is_enabled=True).exclude(failing_since=None).order_by("-pk"),
    }
    return render(request, "console/webhooks.html", context)


@console_page(methods=["POST"])
def resend(request: HttpRequest, operator: Operator) -> HttpResponse:
    found = WebhookMessage.objects.filter(uuid=id_of(request.POST.get("message", "")))
    message = found.select_related("workspace").first()
    if message is None:
        raise NotFound(_("There is no such delivery."))
    message_resend(workspace=message.workspace, message_uuid=message.uuid)
    audit_record(
        actor=operator.actor,
        action="webhook.resent",
        workspace=message.workspace,
        target_kind="message",
        target_uuid=message.uuid,
    )
    messages.success(request, _("It is sent again."))
    return redirect("console-webhooks")


@console_page(methods=["POST"])
def enable(request: HttpRequest, operator: Operator) -> HttpResponse:
    endpoint = (
        WebhookEndpoint.objects.filter(
            uuid=id_of(request.POST.get("endpoint", "")), deleted_at=None
        )
        .select_related("workspace")
        .first()
    )
    if endpoint is None:
        raise NotFound(_("There is no such webhook."))
    endpoint_update(
        workspace=endpoint.workspace,
        endpoint_uuid=endpoint.uuid,
        actor=operator.actor,
        style=endpoint.style,
        is_enabled=True,
    )
    messages.success(request, _("The webhook is on again."))
    return redirect("console-webhooks")
