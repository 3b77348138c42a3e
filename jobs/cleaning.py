"""Removing files that nobody needs any more, and proving it. Every step may be repeated."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import structlog
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Now

from jobs.deletions import assets_due, assets_expire
from jobs.models import Asset, AssetState, Deletion, Ingest, Job, JobState, Listening, Mix
from jobs.storage import StorageFailed, storage_delete, storage_delete_tree, storage_has

log = structlog.get_logger(__name__)
Row = TypeVar("Row", bound=Model)

# Longer than any upload lasts.
_STORING_PATIENCE = timedelta(hours=6)
# Whoever was just storing a piece of an upload that has ended finds that out within this, and takes
# the piece back. After a kill, the sweep finds it.
_SENDERS_PATIENCE = timedelta(minutes=1)
# Enough for a task of a few seconds; storage that answers slowly must not make it much longer.
_AT_ONCE = 100
_AT_MOST_S = 20.0


def storage_clean() -> int:
    """Remove what is deleted, due or left over; returns how many rows are done with."""
    done = assets_expire()
    _abandoned().update(state=AssetState.DELETED)
    until = time.monotonic() + _AT_MOST_S
    return (
        done
        + _each(_assets_to_purge(), _purge, until)
        + _each(_jobs_to_sweep(), _sweep, until)
        + _each(_ingests_to_sweep(), _sweep_ingest, until)
        + _each(_mixes_to_purge(), _purge_mix, until)
    )


def has_files_to_clean() -> bool:
    work = (
        assets_due,
        _abandoned,
        _assets_to_purge,
        _jobs_to_sweep,
        _ingests_to_sweep,
        _mixes_to_purge,
    )
    return any(rows().exists() for rows in work)


def _abandoned() -> QuerySet[Asset]:
    """Uploads whose process was killed, or takes too long: it will find that out."""
    return Asset.objects.filter(state=AssetState.STORING, created_at__lt=Now() - _STORING_PATIENCE)


def _assets_to_purge() -> QuerySet[Asset]:
    return Asset.objects.filter(state=AssetState.DELETED)


def _jobs_to_sweep() -> QuerySet[Job]:
    return Job.objects.filter(finished_at__isnull=False, swept_at=None)


def _ingests_to_sweep() -> QuerySet[Ingest]:
    return Ingest.objects.filter(finished_at__lt=Now() - _SENDERS_PATIENCE, swept_at=None)


def _mixes_to_purge() -> QuerySet[Mix]:
    return Mix.objects.filter(Q(expires_at__lte=Now()) | Q(job__deleted_at__isnull=False))


def _each(rows: QuerySet[Row], work: Callable[[Row], None], until: float) -> int:
    """Do some rows; one that fails is left for another time and does not hold up the others."""
    done = 0
    # At random, so that rows that fail for good do not fill every round.
    for row in rows.order_by("?")[:_AT_ONCE]:
        if time.monotonic() > until:
            break
        try:
            work(row)
        except Exception:
            # Whatever it is: the next round tries again.
            log.exception("cleaning_failed", row=repr(row))
        else:
            done += 1
    return done


def _purge(asset: Asset) -> None:
    """Remove a deleted file, look for it, and only then write that it is gone."""
    deletion = Deletion.objects.filter(asset=asset)
    # What was made of it for players says the same as the file itself.
    listenings = Listening.objects.filter(asset=asset)
    for listening in listenings:
        _remove_tree(listening.folder, keys=[listening.audio_key, listening.peaks_key])
    storage_delete(key=asset.storage_key)
    removed_at = deletion.values_list(Now(), flat=True).first()
    if storage_has(key=asset.storage_key):
        raise StorageFailed(f"{asset.storage_key} is still there after it was deleted")
    # A kill before this repeats the deletion, which does no harm.
    with transaction.atomic():
        listenings.delete()
        deletion.update(removed_at=removed_at, verified_at=Now())
        gone = Asset.objects.filter(pk=asset.pk, state=AssetState.DELETED)
        gone.update(state=AssetState.PURGED, filename="", sha256="")


def _purge_mix(mix: Mix) -> None:
    _remove_tree(mix.folder, keys=[mix.key])
    mix.delete()


def _remove_tree(folder: str, *, keys: Sequence[str]) -> None:
    """Remove all attempts of something, and look for what the last one made."""
    storage_delete_tree(prefix=folder)
    for key in keys:
        if storage_has(key=key):
            raise StorageFailed(f"{key} is still there after it was deleted")


def _sweep(job: Job) -> None:
    """Remove what attempts left that came to nothing, and the parts of a long recording."""
    is_kept = job.state == JobState.SUCCEEDED and job.deleted_at is None
    storage_delete_tree(prefix=f"jobs/{job.uuid}", keep=str(job.attempt) if is_kept else None)
    job.parts.all().delete()
    # Unless the job was deleted just now: then it is to be swept once more.
    Job.objects.filter(pk=job.pk, deleted_at=job.deleted_at).update(swept_at=Now())


def _sweep_ingest(ingest: Ingest) -> None:
    """Remove the parts of an upload that has become a recording, or never will."""
    storage_delete_tree(prefix=f"ingests/{ingest.uuid}")
    ingest.parts.all().delete()
    Ingest.objects.filter(pk=ingest.pk).update(swept_at=Now())
