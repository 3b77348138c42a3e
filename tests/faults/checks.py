"""What must hold after the faults."""

import hashlib
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db.models import F, Max, Sum

from billing.models import Account, AccountKind, Hold, Transaction
from billing.selectors import ledger_discrepancies
from jobs.models import (
    ENDED,
    Asset,
    AssetState,
    Job,
    JobEvent,
    JobState,
    MessageState,
    WebhookMessage,
)
from tests.faults.receiver import Receiver


def violations(ordered: list[str], media: Path, receiver: Receiver) -> list[str]:
    """Each thing that must not be, as a sentence."""
    return [
        *_lost(ordered),
        *_money(),
        *_files(media),
        *_webhooks(receiver),
    ]


def _lost(ordered: list[str]) -> list[str]:
    known = {str(uuid) for uuid in Job.objects.values_list("uuid", flat=True)}
    found = [f"job {uuid} was ordered and is not there" for uuid in ordered if uuid not in known]
    found += [f"job {uuid} was never ordered" for uuid in known - set(ordered)]
    for job in Job.objects.exclude(state__in=ENDED):
        found.append(f"job {job.uuid} is stuck: {job.state}, attempt {job.attempt}")
    for job in Job.objects.filter(state=JobState.FAILED):
        found.append(f"job {job.uuid} failed: {job.error_code}, {job.losses} losses")
    return found


def _money() -> list[str]:
    found = [f"books: {sentence} ({row})" for sentence, row in ledger_discrepancies()]
    charges = Counter(
        str(uuid)
        for uuid in Transaction.objects.filter(kind="capture").values_list("job_uuid", flat=True)
    )
    for job in Job.objects.all():
        expected = int(job.state == JobState.SUCCEEDED)
        if charges[str(job.uuid)] != expected:
            found.append(f"job {job.uuid} is {job.state}, charged {charges[str(job.uuid)]} times")
    if pending := Hold.objects.filter(state="pending").count():
        found.append(f"{pending} holds are pending")
    succeeded = Job.objects.filter(state=JobState.SUCCEEDED)
    price = succeeded.aggregate(total=Sum("price_mcr"))["total"] or 0
    sales = Account.objects.filter(kind=AccountKind.SALES).aggregate(total=Sum("posted_mcr"))
    if price != (sales["total"] or 0):
        found.append(f"sales are {sales['total']}, the jobs that succeeded cost {price}")
    return found


def _files(media: Path) -> list[str]:
    ready = Asset.objects.filter(state=AssetState.READY)
    expected = {asset.storage_key: asset.sha256 for asset in ready}
    there = {str(path.relative_to(media)) for path in media.rglob("*") if path.is_file()}
    found = [f"file {key} is missing" for key in expected.keys() - there]
    found += [f"file {key} belongs to nothing" for key in there - expected.keys()]
    for key in expected.keys() & there:
        if hashlib.sha256((media / key).read_bytes()).hexdigest() != expected[key]:
            found.append(f"file {key} is not what was written")
    n_stems = ready.exclude(job=None).count()
    n_expected = 2 * Job.objects.filter(state=JobState.SUCCEEDED).count()
    if n_stems != n_expected:
        found.append(f"{n_stems} stems instead of {n_expected}")
    return found


def _webhooks(receiver: Receiver) -> list[str]:
    messages = WebhookMessage.objects.all()
    found = [
        f"message {message.uuid} is {message.state}"
        for message in messages.exclude(state=MessageState.DELIVERED)
    ]
    told = {str(uuid) for uuid in messages.values_list("job__uuid", flat=True)}
    ended = {
        str(uuid) for uuid in Job.objects.filter(state__in=ENDED).values_list("uuid", flat=True)
    }
    found += [f"nobody was told of job {uuid}" for uuid in ended - told]
    if messages.count() != len(ended):
        found.append(f"{messages.count()} messages for {len(ended)} jobs")
    arrived = len(receiver.received)
    if arrived != messages.count():
        found.append(f"{arrived} different messages arrived of {messages.count()}")
    return found


def taken_up_s(cut_off: list[tuple[str, int, datetime]]) -> list[float]:
    """How long each job whose worker was killed waited for the next one."""
    found = []
    for uuid, attempt, moment in cut_off:
        next_start = JobEvent.objects.filter(
            job__uuid=uuid, kind="started", attempt=attempt + 1
        ).first()
        if next_start is not None:
            found.append(round((next_start.created_at - moment).total_seconds(), 1))
    return sorted(found)


def figures() -> dict[str, Any]:
    """What the run was like."""
    started = JobEvent.objects.filter(kind="started").count()
    events = Counter(JobEvent.objects.values_list("kind", flat=True))
    waits = sorted(
        wait.total_seconds()
        for wait in Job.objects.exclude(started_at=None).values_list(
            F("started_at") - F("created_at"), flat=True
        )
    )
    return {
        "jobs": dict(Counter(Job.objects.values_list("state", flat=True))),
        "attempts": started,
        "requeued": events["requeued"],
        "handed_back": events["handed_back"],
        "most_losses_of_a_job": Job.objects.aggregate(most=Max("losses"))["most"],
        "wait_p95_s": round(waits[int(len(waits) * 0.95)], 2) if waits else None,
    }
