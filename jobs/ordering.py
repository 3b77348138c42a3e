"""What all orders have in common: each is one job, which is queued, and whose price is held."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.models import ApiKey, Workspace
from billing.ledger import credits_hold
from config.errors import IdempotencyConflict, NotFound
from jobs.logs import request_id
from jobs.models import Asset, AssetState, Job, JobEvent
from jobs.queue import wake_separation
from jobs.selectors import job_get_for_workspace


def job_once(
    *,
    workspace: Workspace,
    order_sha256: str,
    idempotency_key: str | None,
    make: Callable[[], Job],
) -> Job:
    """The job that `make` makes, in a transaction of its own, or made before under this key."""
    if idempotency_key is None:
        return make()
    known = _job_of_key(workspace, order_sha256, idempotency_key)
    if known is not None:
        return known
    try:
        return make()
    except IntegrityError:
        # The same call beside this one was first; its transaction is committed by now.
        known = _job_of_key(workspace, order_sha256, idempotency_key)
        if known is None:
            raise
        return known


@transaction.atomic
def job_queue(
    *, workspace: Workspace, api_key: ApiKey | None, asset: Asset, price_mcr: int, **values: Any
) -> Job:
    """Hold the credits and queue the job: all of it or nothing."""
    # Locked until the job stands, so that the recording cannot be deleted under it.
    asset = Asset.objects.select_for_update().get(pk=asset.pk)
    if asset.state != AssetState.READY:
        raise NotFound("There is no such asset.")
    job = Job.objects.create(
        workspace=workspace,
        api_key=api_key,
        asset=asset,
        price_mcr=price_mcr,
        request_id=request_id(),
        is_preview=asset.duration_s <= settings.PREVIEW_MAX_SECONDS,
        **values,
    )
    credits_hold(workspace=workspace, job_uuid=job.uuid, amount_mcr=price_mcr, api_key=api_key)
    JobEvent.objects.create(job=job, kind="queued", attempt=0)
    wake_separation()
    return job


def _job_of_key(workspace: Workspace, order_sha256: str, idempotency_key: str) -> Job | None:
    job = Job.objects.filter(workspace=workspace, idempotency_key=idempotency_key).first()
    if job is None:
        return None
    if job.order_sha256 != order_sha256:
        raise IdempotencyConflict
    return job_get_for_workspace(workspace=workspace, job_uuid=job.uuid)
