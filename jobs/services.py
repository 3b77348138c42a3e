"""What callers can do with recordings and jobs."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, User, Workspace
from accounts.workspaces import workspace_lock
from billing.ledger import hold_release
from config.errors import AppError, EmptyFile, RecordingGone, Unavailable, WrongState
from jobs.deletions import assets_delete, upload_expires_at
from jobs.logs import job_log_end
from jobs.models import ENDED, Asset, AssetState, Ingest, Job, JobEvent, JobState, JobTimeline
from jobs.ordering import Repeat, job_once, job_queue, order_of, order_values
from jobs.orders import Order as Order
from jobs.orders import Quote as Quote
from jobs.orders import job_estimate as job_estimate
from jobs.outbox import job_ended
from jobs.queue import wake_cleaning
from jobs.selectors import asset_get_for_workspace, job_get_for_workspace
from jobs.separating import recording_probe
from jobs.storage import sha256_of, storage_save
from jobs.switches import service_require
from jobs.waiting import job_wait
from jobs.webhooks import callback_url_check


@dataclass(frozen=True)
class _Orderer:
    """Whose order it is; never both."""

    api_key: ApiKey | None
    person: User | None


def asset_create(
    *,
    workspace: Workspace,
    filename: str,
    path: Path,
    on_tick: Callable[[], None] = lambda: None,
    on_ready: Callable[[Asset], None] = lambda asset: None,
) -> Asset:
    """Keep an uploaded recording. A file that is not one leaves nothing behind.

    `on_tick` is called about once a second while the recording is decoded, `on_ready` in the
    transaction that makes it an asset; either may raise to undo all of it.
    """
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise EmptyFile
    info = recording_probe(path, filename=filename, on_tick=on_tick)
    asset_uuid = uuid4()
    asset = Asset.objects.create(
        uuid=asset_uuid,
        workspace=workspace,
        filename=PurePath(filename).name[:255] or "recording",
        # The name of the file is the user's: it has no place in a path.
        storage_key=f"uploads/{asset_uuid}",
        size_bytes=size_bytes,
        sha256=sha256_of(path),
        **asdict(info),
    )
    try:
        storage_save(key=asset.storage_key, path=path)
        storing = Asset.objects.filter(pk=asset.pk, state=AssetState.STORING)
        expires_at = upload_expires_at(workspace=workspace)
        with transaction.atomic():
            if not storing.update(state=AssetState.READY, expires_at=expires_at):
                raise Unavailable(_("Storing the file took too long; send it again."))
            on_ready(asset)
    except BaseException:
        # A row that a kill leaves in STORING is cleaned up after some hours. One that was cleaned
        # meanwhile has a file again. One that is READY was committed, though the answer was lost.
        unwanted = Asset.objects.filter(pk=asset.pk).exclude(state=AssetState.READY)
        unwanted.update(state=AssetState.DELETED)
        wake_cleaning()
        raise
    asset.refresh_from_db()
    return asset


@transaction.atomic
def asset_delete(*, workspace: Workspace, asset_uuid: UUID) -> None:
    """Delete a recording or a stem for good; stems that were made of it stay."""
    asset = asset_get_for_workspace(workspace=workspace, asset_uuid=asset_uuid)
    assets_delete(Asset.objects.filter(pk=asset.pk))


def job_create(
    *,
    workspace: Workspace,
    api_key: ApiKey | None,
    order: Order,
    person: User | None = None,
    idempotency_key: str | None = None,
    repeat: Repeat | None = None,
) -> Job:
    """Order a job. The same order again under the same key is the same job; so is a repeat.

    `person` is the member who orders it, unless that is a program with a key.
    """

    def make() -> Job:
        values = {
            "idempotency_key": idempotency_key,
            "order_sha256": order.sha256,
            "repeat_sha256": repeat.sha256 if repeat else "",
        }
        return _job_create(workspace, _Orderer(api_key, person), order, values)

    return job_once(
        workspace=workspace,
        order_sha256=order.sha256,
        idempotency_key=idempotency_key,
        make=make,
        repeat=repeat,
    )


def jobs_create(
    *,
    workspace: Workspace,
    api_key: ApiKey | None,
    orders: Sequence[tuple[Order, str | None]],
    person: User | None = None,
) -> list[Job]:
    """Order several jobs, each with its idempotency key: all of them or none.

    Of an error, `data["order"]` says which of them is to blame, from 0 on.
    """
    jobs = []
    with transaction.atomic():
        _lock_recordings(workspace, [order for order, _ in orders])
        for number, (order, key) in enumerate(orders):
            try:
                jobs.append(
                    job_create(
                        workspace=workspace,
                        api_key=api_key,
                        order=order,
                        person=person,
                        idempotency_key=key,
                    )
                )
            except AppError as error:
                error.data["order"] = number
                raise
    return jobs


def _lock_recordings(workspace: Workspace, orders: Sequence[Order]) -> None:
    """All that orders lock before the wallet, which the first of them locks for the rest.

    One after the other, two batches, or a batch and an order beside it, could wait for each other.
    """
    workspace_lock(workspace)
    imports = Ingest.objects.filter(uuid__in=[order.import_uuid for order in orders])
    assets = Asset.objects.filter(uuid__in=[order.asset_uuid for order in orders])
    for rows in (imports, assets):
        of_workspace = (
            rows.filter(workspace=workspace).select_for_update(no_key=True).order_by("pk")
        )
        list(of_workspace.values_list("pk"))


@transaction.atomic
def job_retry(
    *,
    workspace: Workspace,
    api_key: ApiKey | None,
    job_uuid: UUID,
    person: User | None = None,
    idempotency_key: str | None = None,
) -> Job:
    """Order anew what failed or was cancelled, at the price of today: another job.

    Called again under the same key, it is the same one.
    """
    job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
    # The lock keeps two calls from retrying the same one.
    Job.objects.select_for_update().get(pk=job.pk)
    # Of the call, not of the order: under one key, another job is not retried.
    sha256 = hashlib.sha256(f"retry:{job.uuid}".encode()).hexdigest()

    values = {"order_sha256": sha256, "idempotency_key": idempotency_key}

    def make() -> Job:
        return _job_retry(workspace, _Orderer(api_key, person), job, values)

    return job_once(
        workspace=workspace, order_sha256=sha256, idempotency_key=idempotency_key, make=make
    )


def _job_retry(workspace: Workspace, orderer: _Orderer, job: Job, values: dict[str, Any]) -> Job:
    first = job.retry_of or job
    if job.state not in (JobState.FAILED, JobState.CANCELLED) or job.source_job_id:
        raise WrongState(_("Only a job that failed or was cancelled can be retried."))
    if Job.objects.filter(retry_of=first, pk__gt=job.pk).exists():
        raise WrongState(_("The job was retried already."))
    if job.asset is not None and job.asset.state != AssetState.READY:
        raise RecordingGone
    values |= {"retry_of": first, "name": job.name}
    return _job_create(workspace, orderer, order_of(job), values)


def _job_create(
    workspace: Workspace, orderer: _Orderer, order: Order, values: dict[str, Any]
) -> Job:
    service_require(order.service, workspace=workspace)
    if order.callback_url:
        callback_url_check(order.callback_url)
    values |= order_values(order)
    if order.asset_uuid is not None:
        quote = job_estimate(workspace=workspace, order=order)
        job = job_queue(
            workspace=workspace,
            api_key=orderer.api_key,
            person=orderer.person,
            asset=quote.asset,
            samples=quote.samples,
            price_mcr=quote.price_mcr,
            stems=list(quote.stems),
            model=quote.model,
            **values | {"more_formats": list(quote.more_formats)},
        )
    else:
        job = job_wait(
            workspace=workspace,
            api_key=orderer.api_key,
            person=orderer.person,
            order=order,
            values=values,
        )
    return job


@transaction.atomic
def job_cancel(*, workspace: Workspace, job_uuid: UUID) -> Job:
    """Cancel a waiting job at once; ask the worker of a running one to stop."""
    job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
    jobs = Job.objects.filter(pk=job.pk)
    # Else a worker that hands it back in this very moment could make it look like neither state.
    jobs.select_for_update().get()
    waiting = jobs.filter(state__in=[JobState.WAITING, JobState.QUEUED]).update(
        state=JobState.CANCELLED, finished_at=Now(), cancel_requested_at=Now()
    )
    if waiting:
        hold_release(job_uuid=job.uuid)
        JobEvent.objects.create(job=job, kind="cancelled", attempt=job.attempt)
        job_log_end(job)
        job_ended(job)
    elif jobs.filter(state=JobState.RUNNING, cancel_requested_at=None).update(
        cancel_requested_at=Now()
    ):
        JobEvent.objects.create(job=job, kind="cancel_requested", attempt=job.attempt)
    elif not jobs.filter(state__in=[JobState.RUNNING, JobState.CANCELLED]).exists():
        raise WrongState(_("The job has ended already."))
    return job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)


@transaction.atomic
def job_delete(*, workspace: Workspace, job_uuid: UUID) -> None:
    """Delete an ended job and all that it made for good; what was charged stays in the ledger."""
    job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
    deleted = Job.objects.filter(pk=job.pk, state__in=ENDED, deleted_at=None).update(
        deleted_at=Now(), swept_at=None, name=""
    )
    if not deleted:
        raise WrongState(_("The job has not ended; cancel it first."))
    # Also for what its attempts left behind, should all its stems be gone already.
    wake_cleaning()
    # It may hold names of people. Before the files: in this order speakers_rename locks them too.
    JobTimeline.objects.filter(job=job).delete()
    assets_delete(Asset.objects.filter(job=job))
