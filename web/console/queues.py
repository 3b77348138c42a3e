"""What waits and who works: queues, workers, imports, wake-ups."""

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.audit import audit_record
from config.errors import ValidationFailed
from jobs.leases import jobs_reap
from jobs.models import INGEST_ENDED, Ingest, Job, JobState
from jobs.queue import (
    wake_cleaning,
    wake_imports,
    wake_separation,
    wake_ups_dead,
    wake_ups_waiting,
    wake_webhooks,
)
from web.console.gate import Operator, console_page
from web.console.health import health
from web.console.workers import fleets, workers_now

_ROWS = 50


@console_page()
def queues(request: HttpRequest, operator: Operator) -> HttpResponse:
    running = Job.objects.filter(state=JobState.RUNNING).select_related("workspace", "asset")
    waiting = Job.objects.filter(state=JobState.QUEUED).select_related("workspace", "asset")
    by_workspace = (
        Job.objects.filter(state__in=[JobState.QUEUED, JobState.RUNNING])
        .values("workspace__uuid", "workspace__name", "state")
        .annotate(jobs=Count("pk"))
        .order_by("-jobs")
    )
    workers = workers_now()
    context = {
        "health": health(),
        "running": running.order_by("lease_until")[:_ROWS],
        "waiting": waiting.order_by("queued_at", "pk")[:_ROWS],
        "by_workspace": by_workspace[:_ROWS],
        "workers": workers,
        "fleets": fleets(workers),
        "imports": Ingest.objects.exclude(state__in=INGEST_ENDED)
        .select_related("workspace")
        .order_by("pk")[:_ROWS],
        "wake_ups": wake_ups_waiting(),
        "dead": wake_ups_dead(limit=20),
    }
    return render(request, "console/queues.html", context)


@console_page(methods=["POST"])
def act(request: HttpRequest, operator: Operator) -> HttpResponse:
    action = request.POST.get("act", "")
    match action:
        case "reap":
            count = jobs_reap()
            done = _("Taken back from silent workers: %(count)s.") % {"count": count}
        case "wake":
            for wake in (wake_separation, wake_imports, wake_webhooks, wake_cleaning):
                wake()
            done = _("All workers were woken.")
        case _:
            raise ValidationFailed(_("Choose what is to be done."))
    audit_record(actor=operator.actor, action=f"queue.{action}", target_kind="queue")
    messages.success(request, done)
    return redirect("console-queues")
