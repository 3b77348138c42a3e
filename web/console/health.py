"""How the service is at a glance: what waits, who works, what went wrong lately, what needs a
person."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing.adjustments import adjustment_list
from billing.models import (
    Payment,
    PaymentReconciliation,
    PaymentState,
    Reconciliation,
    StripeEvent,
)
from billing.selectors import reconciliation_latest
from jobs.metrics import SharedCollector
from jobs.models import Job, JobEvent, JobState, MessageState, WebhookEndpoint, WebhookMessage
from jobs.presence import workers_list
from jobs.queue import SEPARATION

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
# A checkout that nobody paid ends in a day; what is pending for longer is stuck.
_STUCK_AFTER = timedelta(days=2)
_BOOKS_CHECKED_EVERY = timedelta(hours=26)


@dataclass(frozen=True)
class Health:
    queued: int
    startable: int
    oldest_wait_s: float
    running: int
    lease_overdue_s: float
    busy_workers: int
    seen_workers: int
    failed_last_hour: int
    ended_last_hour: int
    open_imports: int
    import_wait_s: float
    pending_messages: int
    stored_bytes: float
    stored_files: int


@dataclass(frozen=True)
class Alert:
    """Something that a person has to see to."""

    text: str | Promise
    url: str
    count: int = 0


def health() -> Health:
    """From the metrics that monitoring sees too (jobs/metrics.py), and some counts beside them."""
    values = _metrics()
    busy = workers_busy()
    ended = JobEvent.objects.filter(created_at__gt=Now() - _HOUR).aggregate(
        failed=Count("pk", filter=Q(kind="failed")),
        ended=Count("pk", filter=Q(kind__in=["failed", "succeeded", "cancelled"])),
    )
    return Health(
        queued=int(_sum(values, "jobs_queued")),
        startable=int(_sum(values, "jobs_startable")),
        oldest_wait_s=max(values.get("queue_age_seconds", [0.0])),
        running=int(_sum(values, "jobs_running")),
        lease_overdue_s=_sum(values, "lease_overdue_seconds"),
        busy_workers=len(busy),
        seen_workers=len(busy | set(workers_seen()) | workers_alive()),
        failed_last_hour=ended["failed"],
        ended_last_hour=ended["ended"],
        open_imports=int(_sum(values, "ingests_open")),
        import_wait_s=_sum(values, "import_age_seconds"),
        pending_messages=int(_sum(values, "webhook_messages_pending")),
        stored_bytes=_sum(values, "stored_bytes"),
        stored_files=int(_sum(values, "stored_files")),
    )


def alerts() -> list[Alert]:
    return list(_alerts())


def stuck_payments() -> Any:
    return (
        Payment.objects.filter(state=PaymentState.PENDING, created_at__lt=Now() - _STUCK_AFTER)
        .select_related("workspace", "pack", "plan")
        .order_by("-pk")
    )


def failed_stripe_events() -> Any:
    """Events that were tried and are not done."""
    return StripeEvent.objects.filter(processed_at=None, attempts__gt=0).order_by("-pk")


def _alerts() -> Iterator[Alert]:
    books, webhooks = reverse("console-books"), reverse("console-webhooks")
    latest = reconciliation_latest()
    if latest is None:
        yield Alert(_("The books have never been checked."), books)
    elif latest.discrepancies:
        yield Alert(_("The books do not add up."), books, len(latest.discrepancies))
    elif Payment.objects.exists() and not _is_recent(latest.pk):
        yield Alert(_("The books were not checked last night."), books)
    looked = PaymentReconciliation.objects.exclude(finished_at=None).order_by("-pk").first()
    if looked and looked.found:
        yield Alert(_("Payments at Stripe that were missed here."), books, len(looked.found))
    if count := failed_stripe_events().count():
        yield Alert(_("Events of Stripe's that could not be handled."), books, count)
    if count := stuck_payments().count():
        yield Alert(_("Payments that are stuck."), books, count)
    failed = WebhookMessage.objects.filter(state=MessageState.FAILED, finished_at__gt=Now() - _DAY)
    if count := failed.count():
        yield Alert(_("Webhook messages given up since yesterday."), webhooks, count)
    disabled = WebhookEndpoint.objects.filter(deleted_at=None, is_enabled=False)
    if count := disabled.exclude(disabled_reason="").count():
        yield Alert(_("Webhooks that were switched off by themselves."), webhooks, count)
    if count := adjustment_list(state="pending").count():
        yield Alert(_("Adjustments that wait for approval."), reverse("console-approvals"), count)
    silent = workers_list().filter(is_silent=True, seen_at__gt=Now() - _HOUR)
    if count := silent.count():
        yield Alert(_("Workers that fell silent within an hour."), reverse("console-queues"), count)
    overdue = Job.objects.filter(state=JobState.RUNNING, lease_until__lt=Now() - _HOUR / 60)
    if count := overdue.count():
        yield Alert(_("Running jobs whose worker is silent."), reverse("console-queues"), count)


def _is_recent(pk: int) -> bool:
    return Reconciliation.objects.filter(
        pk=pk, finished_at__gt=Now() - _BOOKS_CHECKED_EVERY
    ).exists()


def workers_seen() -> dict[str, int]:
    """Names that workers left on jobs which they began within an hour, and how many those were."""
    begun = JobEvent.objects.filter(kind="started", created_at__gt=Now() - _HOUR)
    rows = begun.exclude(job__worker="").values_list("job__worker").annotate(jobs=Count("pk"))
    return dict(rows)


def workers_alive() -> set[str]:
    """Those that separate and say so."""
    rows = workers_list().filter(cluster=SEPARATION, is_silent=False)
    return set(rows.values_list("name", flat=True))


def workers_busy() -> set[str]:
    running = Job.objects.filter(state=JobState.RUNNING).exclude(worker="")
    return set(running.values_list("worker", flat=True).distinct())


def _metrics() -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for family in SharedCollector().collect():
        for sample in family.samples:
            name = sample.name.removeprefix("stemwright_")
            values.setdefault(name, []).append(sample.value)
    return values


def _sum(values: dict[str, list[float]], name: str) -> float:
    return sum(values.get(name, []))
