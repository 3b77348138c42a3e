"""What a workspace was charged, as lists of uses."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, Sum

from accounts.models import Workspace
from api.audiopod.pricing import service_name
from billing.models import Entry, TransactionKind
from billing.selectors import ledger_list
from jobs.models import Job


@dataclass(frozen=True)
class Use:
    """One charge; a job that is long gone leaves only what the ledger knows."""

    number: int
    charged_mcr: int
    service_type: str
    duration_s: float
    at: datetime
    job: Job | None


@dataclass(frozen=True)
class Sums:
    """Of all that was ever booked."""

    granted_mcr: int
    spent_mcr: int


def charges_list(*, workspace: Workspace) -> QuerySet[Entry]:
    """The entries of the ledger that took credits for jobs, newest first."""
    return ledger_list(workspace=workspace).filter(transaction__kind=TransactionKind.CAPTURE)


def grants_list(*, workspace: Workspace) -> QuerySet[Entry]:
    return ledger_list(workspace=workspace).filter(transaction__kind=TransactionKind.GRANT)


def uses_of(entries: list[Entry], *, workspace: Workspace) -> list[Use]:
    uuids = [entry.transaction.job_uuid for entry in entries]
    jobs = {
        job.uuid: job
        for job in Job.objects.filter(workspace=workspace)
        .filter(uuid__in=[uuid for uuid in uuids if uuid])
        .select_related("asset")
    }
    return [_use(entry, jobs.get(entry.transaction.job_uuid)) for entry in entries]  # type: ignore[arg-type]


def sums(*, workspace: Workspace) -> Sums:
    rows = (
        ledger_list(workspace=workspace)
        .order_by()
        .values_list("transaction__kind")
        .annotate(total=Sum("amount_mcr"))
    )
    totals: dict[Any, int] = dict(rows)
    granted = totals.get(TransactionKind.GRANT, 0) + totals.get(TransactionKind.CLAWBACK, 0)
    spent = totals.get(TransactionKind.CAPTURE, 0) + totals.get(TransactionKind.REFUND, 0)
    return Sums(granted_mcr=granted, spent_mcr=-spent)


def _use(entry: Entry, job: Job | None) -> Use:
    has_recording = job is not None and job.asset is not None
    return Use(
        number=entry.pk,
        charged_mcr=-entry.amount_mcr,
        service_type=service_name(job.tariff or job.service) if job else "unknown",
        duration_s=job.n_samples / job.recording.sample_rate if job and has_recording else 0.0,
        at=entry.transaction.created_at,
        job=job,
    )
