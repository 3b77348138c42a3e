"""What all orders have in common: each is one job, which is queued, and whose price is held."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, User, Workspace
from accounts.ready_made import ReadyMadeInsert, prepared_cursor
from accounts.secrets import secret_decrypt, secret_encrypt
from billing.ledger import hold_make
from config.errors import IdempotencyConflict, NotFound
from jobs.logs import request_id
from jobs.models import OF_SPEAKERS, Asset, Job
from jobs.orders import Order
from jobs.queue import wake_separation
from jobs.selectors import job_get_for_workspace
from jobs.speaker_options import SpeakerOptions

# Ready made, as those of jobs/selectors.py.
_JOBS = ReadyMadeInsert(Job)
# NO KEY, here and wherever recordings are locked: who names one in a row of theirs would wait for a
# full lock, and a job that ends does so while it has the wallet, which an order takes after this.
_LOCK_ASSET = "SELECT 1 FROM jobs_asset WHERE id = %s AND state = 'ready' FOR NO KEY UPDATE"
_QUEUED = """
INSERT INTO jobs_jobevent (job_id, kind, attempt, detail) VALUES (%s, 'queued', 0, '')
"""
_JOB_OF_KEY = """
SELECT uuid, order_sha256 FROM jobs_job WHERE workspace_id = %s AND idempotency_key = %s
"""


@dataclass(frozen=True)
class Repeat:
    """Lets a call be known again that a client sends anew after it got no good answer.

    For APIs whose clients have no idempotency keys. `sha256` is that of all that was sent; within
    `within_s` of the first, the same is no second order.
    """

    sha256: str
    within_s: int


def job_once(
    *,
    workspace: Workspace,
    order_sha256: str,
    idempotency_key: str | None,
    make: Callable[[], Job],
    repeat: Repeat | None = None,
) -> Job:
    """The job that `make` makes, in a transaction of its own, or made before under this key."""
    if idempotency_key is None:
        with transaction.atomic():
            return _once_in_a_while(workspace, repeat, make) if repeat else make()
    known = _job_of_key(workspace, order_sha256, idempotency_key)
    if known is not None:
        return known
    try:
        # Of its own also where others are ordered with it.
        with transaction.atomic():
            return make()
    except IntegrityError:
        # The same call beside this one was first; its transaction is committed by now.
        known = _job_of_key(workspace, order_sha256, idempotency_key)
        if known is None:
            raise
        return known


# No savepoint: who orders is in a transaction.
@transaction.atomic(savepoint=False)
def job_queue(
    *,
    workspace: Workspace,
    api_key: ApiKey | None,
    person: User | None,
    asset: Asset,
    price_mcr: int,
    samples: tuple[int, int] | None = None,
    **values: Any,
) -> Job:
    """Hold the credits and queue the job: all of it or nothing."""
    # Locked until the job stands, so that the recording cannot be deleted under it.
    if not _lock(asset):
        raise NotFound(_("There is no such asset."))
    job = _JOBS.create(
        workspace=workspace,
        api_key=api_key,
        ordered_by=person,
        asset=asset,
        price_mcr=price_mcr,
        request_id=request_id(),
        is_preview=is_preview(asset, samples),
        **range_values(samples),
        **values,
    )
    job_pay(job, price_mcr=price_mcr)
    job.outputs = []  # type: ignore[attr-defined]
    return job


def job_pay(job: Job, *, price_mcr: int) -> None:
    """Hold the price of a job that is queued now, and tell a worker. In that transaction."""
    hold_make(workspace=job.workspace, job_uuid=job.uuid, amount_mcr=price_mcr, api_key=job.api_key)
    with prepared_cursor() as cursor:
        cursor.execute(_QUEUED, [job.pk])
    wake_separation()


def _lock(asset: Asset) -> bool:
    with prepared_cursor() as cursor:
        cursor.execute(_LOCK_ASSET, [asset.pk])
        return cursor.fetchone() is not None


def is_preview(asset: Asset, samples: tuple[int, int] | None) -> bool:
    start, end = samples or (0, asset.n_samples)
    return end - start <= settings.PREVIEW_MAX_SECONDS * asset.sample_rate


def range_values(samples: tuple[int, int] | None) -> dict[str, int]:
    return {} if samples is None else {"range_start": samples[0], "range_end": samples[1]}


def order_values(order: Order) -> dict[str, Any]:
    """What the row of a job says of its order, but for what depends on the recording."""
    options = order.speakers or SpeakerOptions()
    secret = order.callback_secret
    return {
        "service": order.service,
        "output_format": order.output_format,
        "more_formats": list(order.more_formats),
        "steps": list(order.steps),
        "options": options.to_json() if order.service in OF_SPEAKERS else {},
        "tariff": order.tariff or order.service,
        "metadata": dict(order.metadata),
        "dialect": order.dialect,
        "dialect_data": dict(order.dialect_data),
        "callback_url": order.callback_url,
        "callback_style": order.callback_style,
        "callback_secret": secret_encrypt(secret) if secret else "",
    }


def order_of(job: Job) -> Order:
    """The order that this job was, or one that comes to the same."""
    is_of_speakers = job.service in OF_SPEAKERS
    known = {
        "service": job.service,
        "output_format": job.output_format,
        "more_formats": tuple(job.more_formats),
        "steps": tuple(job.steps),
        "speakers": SpeakerOptions.from_json(job.options) if is_of_speakers else None,
        "tariff": job.tariff,
        "metadata": job.metadata,
        "dialect": job.dialect,
        "dialect_data": job.dialect_data,
        "callback_url": job.callback_url,
        "callback_style": job.callback_style,
        "callback_secret": secret_decrypt(job.callback_secret) if job.callback_secret else "",
    }
    if job.waiting_order is not None and job.ingest is not None:
        url = job.ingest.url if job.asset is None else ""
        recording = {"url": url} if url else {"asset_uuid": job.recording.uuid}
        return Order.from_json(job.waiting_order, **recording, **known)
    range_s = None
    if job.range_start is not None and job.range_end is not None:
        rate = job.recording.sample_rate
        range_s = (job.range_start / rate, job.range_end / rate)
    return Order(
        asset_uuid=job.recording.uuid,
        stems=tuple(job.stems) or None,
        model=job.model or None,
        range_s=range_s,
        **known,
    )


def _once_in_a_while(workspace: Workspace, repeat: Repeat, make: Callable[[], Job]) -> Job:
    # The same call may still be at work beside this one.
    lock = hashlib.sha256(f"{workspace.pk}:{repeat.sha256}".encode()).digest()[:8]
    with connection.cursor() as cursor:
        key = int.from_bytes(lock, signed=True)
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
    known = (
        Job.objects.filter(workspace=workspace, repeat_sha256=repeat.sha256, deleted_at=None)
        .filter(created_at__gt=Now() - timedelta(seconds=repeat.within_s))
        .order_by("-pk")
        .first()
    )
    return (
        make() if known is None else job_get_for_workspace(workspace=workspace, job_uuid=known.uuid)
    )


def _job_of_key(workspace: Workspace, order_sha256: str, idempotency_key: str) -> Job | None:
    with prepared_cursor() as cursor:
        cursor.execute(_JOB_OF_KEY, [workspace.pk, idempotency_key])
        row = cursor.fetchone()
    if row is None:
        return None
    job_uuid, sha256 = row
    if sha256 != order_sha256:
        raise IdempotencyConflict
    return job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
