"""What callers can do with recordings and jobs."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import ApiKey, Workspace
from billing.ledger import hold_release
from billing.pricing import price_mcr
from billing.selectors import rate_get
from config.errors import EmptyFile, Unavailable, ValidationFailed, WrongState
from jobs.deletions import assets_delete, upload_expires_at
from jobs.logs import job_log_end
from jobs.models import ENDED, Asset, AssetState, Job, JobEvent, JobState, JobTimeline, Service
from jobs.ordering import job_once, job_queue
from jobs.outbox import job_ended
from jobs.queue import wake_cleaning
from jobs.selectors import asset_get_for_workspace, job_get_for_workspace
from jobs.separating import recording_probe, separation_plan, speakers_plan
from jobs.speaker_options import SpeakerOptions
from jobs.storage import sha256_of, storage_save
from jobs.webhooks import callback_url_check


@dataclass(frozen=True)
class Order:
    """What a caller asks for; `stems` and `model` may be left to the catalogue.

    Only separation has stems, only speaker extraction has `speakers`.
    """

    asset_uuid: UUID
    service: str
    stems: Sequence[str] | None
    model: str | None
    output_format: str
    # Told when the job ends.
    callback_url: str = ""
    speakers: SpeakerOptions | None = None

    @property
    def sha256(self) -> str:
        """Tells whether a repeated order is the same one."""
        values = asdict(self)
        if not self.callback_url:
            # Orders that were made before there were any keep their hash; so below.
            del values["callback_url"]
        if self.speakers is None:
            del values["speakers"]
        return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Quote:
    """What an order comes to: the price, and what exactly would be made."""

    asset: Asset
    stems: tuple[str, ...]
    model: str
    price_mcr: int


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
                raise Unavailable("Storing the file took too long; send it again.")
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


def job_estimate(*, workspace: Workspace, order: Order) -> Quote:
    asset = asset_get_for_workspace(workspace=workspace, asset_uuid=order.asset_uuid)
    stems, model = _plan(asset, order)
    rate = rate_get(workspace=workspace, service=order.service)
    price = price_mcr(
        rate=rate,
        n_samples=asset.n_samples,
        sample_rate=asset.sample_rate,
        # How many tracks there will be, nobody knows.
        n_stems=max(1, len(stems)),
    )
    return Quote(asset, stems, model, price)


def job_create(
    *,
    workspace: Workspace,
    api_key: ApiKey | None,
    order: Order,
    idempotency_key: str | None = None,
) -> Job:
    """Order a job. The same order again under the same key is the same job."""
    return job_once(
        workspace=workspace,
        order_sha256=order.sha256,
        idempotency_key=idempotency_key,
        make=lambda: _job_create(workspace, api_key, order, idempotency_key),
    )


@transaction.atomic
def _job_create(
    workspace: Workspace, api_key: ApiKey | None, order: Order, idempotency_key: str | None
) -> Job:
    if order.callback_url:
        callback_url_check(order.callback_url)
    quote = job_estimate(workspace=workspace, order=order)
    options = order.speakers or SpeakerOptions()
    job = job_queue(
        workspace=workspace,
        api_key=api_key,
        asset=quote.asset,
        price_mcr=quote.price_mcr,
        service=Service(order.service),
        stems=list(quote.stems),
        model=quote.model,
        output_format=order.output_format,
        options=options.to_json() if order.service == Service.SPEAKER_EXTRACTION else {},
        idempotency_key=idempotency_key,
        order_sha256=order.sha256,
        callback_url=order.callback_url,
    )
    return job_get_for_workspace(workspace=workspace, job_uuid=job.uuid)


def _plan(asset: Asset, order: Order) -> tuple[tuple[str, ...], str]:
    """The stems and the model of an order, once it is known that it can be carried out."""
    if order.service == Service.SPEAKER_EXTRACTION:
        if order.stems is not None:
            problem = "This service makes a track of each speaker; leave the stems out."
            raise ValidationFailed(fields={"stems": [problem]})
        options = order.speakers or SpeakerOptions()
        options.check()
        model = speakers_plan(
            asset=asset,
            model=order.model,
            output_format=order.output_format,
            is_denoised=options.denoise,
        )
        return (), model
    if order.speakers is not None:
        problem = f"The service {order.service} has no options; these are of speaker_extraction."
        raise ValidationFailed(fields={"options": [problem]})
    plan = separation_plan(
        asset=asset, stems=order.stems, model=order.model, output_format=order.output_format
    )
    return plan.stems, plan.model.name


@transaction.atomic
def job_cancel(*, workspace: Workspace, job_uuid: UUID) -> Job:
    """Cancel a waiting job at once; ask the worker of a running one to stop."""
    job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
    jobs = Job.objects.filter(pk=job.pk)
    # Else a worker that hands it back in this very moment could make it look like neither state.
    jobs.select_for_update().get()
    waiting = jobs.filter(state=JobState.QUEUED).update(
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
        raise WrongState("The job has ended already.")
    return job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)


@transaction.atomic
def job_delete(*, workspace: Workspace, job_uuid: UUID) -> None:
    """Delete an ended job and all that it made for good; what was charged stays in the ledger."""
    job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
    deleted = Job.objects.filter(pk=job.pk, state__in=ENDED, deleted_at=None).update(
        deleted_at=Now(), swept_at=None
    )
    if not deleted:
        raise WrongState("The job has not ended; cancel it first.")
    # Also for what its attempts left behind, should all its stems be gone already.
    wake_cleaning()
    # It may hold names of people. Before the files: in this order speakers_rename locks them too.
    JobTimeline.objects.filter(job=job).delete()
    assets_delete(Asset.objects.filter(job=job))
