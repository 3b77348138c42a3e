"""Giving and taking credits by hand: a form, the ledger's lines as they would be, the deed.

What was shown is signed and sent back, so that exactly that is booked, and once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Workspace
from billing.adjustments import (
    Adjustment,
    adjustment_decide,
    adjustment_list,
    adjustment_make,
    adjustment_of,
    adjustment_preview,
    needs_second_operator,
)
from billing.models import AdjustmentKind, AdjustmentState, Hold, PendingAdjustment, Transaction
from billing.pricing import credits_parse, credits_text
from config.errors import AppError, ValidationFailed, filled
from web.console.gate import Operator, console_page
from web.console.lookups import job_get, reason_of, workspace_get
from web.console.previews import preview_read, preview_sign
from web.paging import uuid_of

_SALT: Final = "console.adjustment"
_MAX_DAYS: Final = 36_500


@console_page(methods=["GET", "HEAD", "POST"], fresh=True)
def adjust(request: HttpRequest, operator: Operator, workspace_uuid: UUID) -> HttpResponse:
    workspace = workspace_get(workspace_uuid)
    if request.method != "POST":
        values = _initial(request, workspace)
        return _form(request, workspace, values)
    if "signed" in request.POST:
        return _book(request, operator, workspace)
    values = request.POST.dict()
    try:
        adjustment = _read(values, workspace)
        lines = adjustment_preview(adjustment=adjustment, actor=operator.actor)
    except (AppError, ValueError) as error:
        # `credits_parse` says what is wrong in its ValueError.
        text = error.text if isinstance(error, AppError) else str(error)
        return _form(request, workspace, values, problem=text)
    context = {
        "workspace": workspace,
        "adjustment": adjustment,
        "lines": lines,
        "needs_second": needs_second_operator(adjustment=adjustment, operator=operator.user),
        "limit": settings.CONSOLE_GRANT_LIMIT,
        "signed": _sign(adjustment, operator),
    }
    return render(request, "console/adjust_preview.html", context)


@console_page()
def approvals(request: HttpRequest, operator: Operator) -> HttpResponse:
    rows = adjustment_list()
    context = {
        "pending": [
            {"row": row, **_expected(row, operator)}
            for row in rows.filter(state=AdjustmentState.PENDING)
        ],
        "decided": rows.exclude(state=AdjustmentState.PENDING)[:50],
        "limit": settings.CONSOLE_GRANT_LIMIT,
    }
    return render(request, "console/approvals.html", context)


@console_page(methods=["POST"], fresh=True)
def decide(request: HttpRequest, operator: Operator, adjustment_uuid: UUID) -> HttpResponse:
    is_approved = request.POST.get("decision") == "approve"
    adjustment_decide(
        adjustment_uuid=adjustment_uuid,
        is_approved=is_approved,
        operator=operator.user,
        actor=operator.actor,
    )
    done = _("Approved and booked.") if is_approved else _("Rejected; nothing was booked.")
    messages.success(request, done)
    return redirect("console-approvals")


def _expected(row: PendingAdjustment, operator: Operator) -> dict[str, Any]:
    """What approving it would do now."""
    own = row.requested_by_id == operator.user.pk
    try:
        lines = adjustment_preview(adjustment=adjustment_of(row), actor=operator.actor)
    except AppError as error:
        return {"own": own, "problem": error.text}
    return {"own": own, "lines": lines}


def _book(request: HttpRequest, operator: Operator, workspace: Workspace) -> HttpResponse:
    signed = _signed_read(request.POST["signed"], workspace, operator)
    made = adjustment_make(
        adjustment=signed.adjustment,
        operator=operator.user,
        actor=operator.actor,
        token=signed.token,
    )
    amount = credits_text(signed.adjustment.amount_mcr)
    if isinstance(made, Transaction):
        messages.success(request, _("Booked: %(amount)s credits.") % {"amount": amount})
        return redirect("console-workspace", workspace.uuid)
    messages.info(request, _("Another operator has to agree first."))
    return redirect("console-approvals")


def _initial(request: HttpRequest, workspace: Workspace) -> dict[str, str]:
    values = {name: request.GET.get(name, "") for name in ("kind", "job")}
    if values["kind"] not in AdjustmentKind.values:
        values["kind"] = AdjustmentKind.GRANT
    if values["kind"] == AdjustmentKind.REFUND:
        charged_mcr = _charged_mcr(workspace, values["job"])
        values["amount"] = credits_text(charged_mcr)
    return values


def _form(
    request: HttpRequest, workspace: Workspace, values: dict[str, str], *, problem: str = ""
) -> HttpResponse:
    context = {
        "workspace": workspace,
        "values": values,
        "job_uuid": uuid_of(values.get("job", "")),
        "problem": problem,
        "limit": settings.CONSOLE_GRANT_LIMIT,
        "max_days": _MAX_DAYS,
    }
    return render(request, "console/adjust.html", context, status=422 if problem else 200)


def _read(values: dict[str, str], workspace: Workspace) -> Adjustment:
    if values.get("kind") not in AdjustmentKind.values:
        raise ValidationFailed(_("Choose what is to be done."))
    kind = AdjustmentKind(values["kind"])
    amount_mcr = credits_parse(values.get("amount", "").strip())
    job_uuid = None
    if kind == AdjustmentKind.REFUND:
        _charged_mcr(workspace, values.get("job", ""))
        job_uuid = UUID(values["job"])
    expires_at = None
    if kind == AdjustmentKind.GRANT and (days := values.get("days", "").strip()):
        if not days.isdecimal() or not 0 < int(days) <= _MAX_DAYS:
            raise ValidationFailed(
                filled(_("Days are a whole number between 1 and %(most)s."), most=_MAX_DAYS)
            )
        expires_at = timezone.now() + timedelta(days=int(days))
    return Adjustment(
        workspace=workspace,
        kind=kind,
        amount_mcr=amount_mcr,
        reason=reason_of(values),
        job_uuid=job_uuid,
        expires_at=expires_at,
    )


def _charged_mcr(workspace: Workspace, job: str) -> int:
    """Of a job of this workspace."""
    try:
        found = job_get(UUID(job))
    except ValueError:
        raise ValidationFailed(_("Name the job whose charge is refunded.")) from None
    if found.workspace_id != workspace.pk:
        raise ValidationFailed(_("This job is another workspace's."))
    hold = Hold.objects.filter(job_uuid=found.uuid).first()
    return hold.captured_mcr if hold else 0


@dataclass(frozen=True)
class _Signed:
    adjustment: Adjustment
    token: UUID


def _sign(adjustment: Adjustment, operator: Operator) -> str:
    values = {
        "kind": adjustment.kind.value,
        "amount_mcr": adjustment.amount_mcr,
        "reason": adjustment.reason,
        "job": str(adjustment.job_uuid) if adjustment.job_uuid else None,
        "expires_at": adjustment.expires_at.isoformat() if adjustment.expires_at else None,
        "token": str(uuid4()),
    }
    about = str(adjustment.workspace.uuid)
    return preview_sign(values, operator=operator, about=about, salt=_SALT)


def _signed_read(text: str, workspace: Workspace, operator: Operator) -> _Signed:
    values = preview_read(text, operator=operator, about=str(workspace.uuid), salt=_SALT)
    adjustment = Adjustment(
        workspace=workspace,
        kind=AdjustmentKind(values["kind"]),
        amount_mcr=values["amount_mcr"],
        reason=values["reason"],
        job_uuid=UUID(values["job"]) if values["job"] else None,
        expires_at=datetime.fromisoformat(values["expires_at"]) if values["expires_at"] else None,
    )
    return _Signed(adjustment, UUID(values["token"]))
