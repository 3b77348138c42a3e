"""Jobs of all workspaces: finding them, everything about one, retrying and cancelling."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.audit import audit_record
from accounts.models import AuditEvent
from billing.models import Hold, Transaction, TransactionKind
from config.errors import ValidationFailed
from jobs.models import Asset, Job, JobState, Service, WebhookMessage
from jobs.services import job_cancel, job_retry
from web.console.gate import Operator, console_page
from web.console.lookups import id_of, job_get, reason_of
from web.paging import page_newest_first

_AGES = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}


@console_page()
def job_list(request: HttpRequest, operator: Operator) -> HttpResponse:
    values = {name: request.GET.get(name, "") for name in ("state", "service", "workspace", "age")}
    found = page_newest_first(_filtered(values), request.GET.get("after", ""))
    context = {
        "page": found,
        "values": values,
        "states": JobState.choices,
        "services": Service.choices,
    }
    return render(request, "console/jobs.html", context)


@console_page()
def job(request: HttpRequest, operator: Operator, job_uuid: UUID) -> HttpResponse:
    found = job_get(job_uuid)
    hold = Hold.objects.filter(job_uuid=found.uuid).first()
    refund = Transaction.objects.filter(
        kind=TransactionKind.REFUND, job_uuid=found.uuid, workspace=found.workspace
    ).first()
    events = list(found.events.order_by("pk"))
    context = {
        "job": found,
        "hold": hold,
        "refund": refund,
        "can_refund": bool(hold and hold.captured_mcr and refund is None),
        "can_cancel": found.state in (JobState.WAITING, JobState.QUEUED, JobState.RUNNING)
        and found.cancel_requested_at is None,
        "can_retry": found.state in (JobState.FAILED, JobState.CANCELLED)
        and not found.source_job_id
        and found.deleted_at is None,
        "attempts": _attempts(events),
        "max_losses": settings.JOB_MAX_ATTEMPTS,
        "events": events,
        "files": Asset.objects.filter(job=found).order_by("pk"),
        "retries": Job.objects.filter(retry_of=found.retry_of or found)
        .exclude(pk=found.pk)
        .select_related("workspace", "asset"),
        "messages_sent": WebhookMessage.objects.filter(job=found).order_by("-pk")[:20],
        "audit": AuditEvent.objects.filter(target_uuid=found.uuid).order_by("-pk")[:20],
    }
    return render(request, "console/job.html", context)


@console_page(methods=["POST"])
def act(request: HttpRequest, operator: Operator, job_uuid: UUID) -> HttpResponse:
    found = job_get(job_uuid)
    reason = reason_of(request.POST.dict())
    shown = found.uuid
    with transaction.atomic():
        match request.POST.get("act"):
            case "cancel":
                job_cancel(workspace=found.workspace, job_uuid=found.uuid)
                done = _("The job was told to stop.")
            case "retry":
                # The owner pays, as for any order; nobody pays for the one that failed.
                again = job_retry(
                    workspace=found.workspace,
                    api_key=None,
                    person=found.ordered_by,
                    job_uuid=found.uuid,
                )
                shown, done = again.uuid, _("This is the job that tries again.")
            case _:
                raise ValidationFailed(_("Choose what is to be done."))
        audit_record(
            actor=operator.actor,
            action=f"job.{request.POST['act']}",
            workspace=found.workspace,
            target_kind="job",
            target_uuid=found.uuid,
            data={"reason": reason},
        )
    messages.success(request, done)
    return redirect("console-job", shown)


def _filtered(values: dict[str, str]) -> QuerySet[Job]:
    rows = Job.objects.select_related("workspace", "asset")
    if values["state"] in JobState.values:
        rows = rows.filter(state=values["state"])
    if values["service"] in Service.values:
        rows = rows.filter(service=values["service"])
    if values["workspace"]:
        rows = rows.filter(workspace__uuid=id_of(values["workspace"]))
    if age := _AGES.get(values["age"]):
        rows = rows.filter(created_at__gt=Now() - age)
    return rows


def _attempts(events: list[Any]) -> list[dict[str, Any]]:
    """What happened, by attempt; how long each took."""
    attempts: dict[int, dict[str, Any]] = {}
    for event in events:
        one = attempts.setdefault(event.attempt, {"number": event.attempt, "events": []})
        one["events"].append(event)
    for one in attempts.values():
        first, last = one["events"][0], one["events"][-1]
        one["seconds"] = (last.created_at - first.created_at).total_seconds()
        one["outcome"] = last
    return [one for number, one in sorted(attempts.items()) if number]
