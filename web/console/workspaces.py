"""A workspace at a glance."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts import operators
from accounts.api_keys import api_key_list
from accounts.audit import audit_list
from accounts.flags import flag_is_on, flag_list
from accounts.selectors import invitations_list, members_list
from billing.adjustments import adjustment_list
from billing.limits import limits_get
from billing.models import AutoTopUp, Lot, Payment
from billing.selectors import debt_get, ledger_list, prices_list, wallet_get
from billing.subscriptions import subscription_get
from jobs.models import Job, WebhookEndpoint
from jobs.stored import stored_sum
from web.console.gate import Operator, console_page
from web.console.lookups import workspace_get

_ROWS = 15


@console_page()
def workspace(request: HttpRequest, operator: Operator, workspace_uuid: UUID) -> HttpResponse:
    found = workspace_get(workspace_uuid)
    lots = Lot.objects.filter(account__workspace=found, account__kind="wallet")
    endpoints = WebhookEndpoint.objects.filter(workspace=found, deleted_at=None)
    flags = [flag for flag in flag_list() if flag_is_on(workspace=found, name=flag.name)]
    context = {
        "workspace": found,
        "wallet": wallet_get(workspace=found),
        "debt_mcr": debt_get(workspace=found),
        "subscription": subscription_get(workspace=found),
        "limits": limits_get(workspace=found),
        "auto_top_up": AutoTopUp.objects.filter(workspace=found).select_related("pack").first(),
        "own_prices": [row for row in prices_list(workspace=found) if row.workspace_id],
        "members": members_list(workspace=found).order_by("pk"),
        "invitations": invitations_list(workspace=found),
        "keys": api_key_list(workspace=found)[:_ROWS],
        "jobs": Job.objects.filter(workspace=found)
        .select_related("workspace", "asset")
        .order_by("-pk")[:_ROWS],
        "entries": ledger_list(workspace=found)[:_ROWS],
        "lots": lots.filter(remaining_mcr__gt=0).order_by("expires_at", "pk")[:_ROWS],
        "payments": Payment.objects.filter(workspace=found)
        .select_related("workspace", "pack", "plan")
        .order_by("-pk")[:_ROWS],
        "endpoints": endpoints.order_by("-pk"),
        "pending": adjustment_list(state="pending").filter(workspace=found),
        "notes": operators.note_list(workspace=found),
        "flags": flags,
        "stored": stored_sum(workspace=found),
        "events": audit_list(workspace=found)[:_ROWS],
    }
    return render(request, "console/workspace.html", context)


@console_page(methods=["POST"])
def note_add(request: HttpRequest, operator: Operator, workspace_uuid: UUID) -> HttpResponse:
    found = workspace_get(workspace_uuid)
    text = request.POST.get("text", "")
    operators.note_add(workspace=found, author=operator.user, text=text, actor=operator.actor)
    messages.success(request, _("The note was kept."))
    return redirect("console-workspace", workspace_uuid)
