"""Removing files that nobody needs any more. Every step may be repeated."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import structlog
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Now

from jobs.models import Asset, AssetState, Job, JobState
from jobs.storage import storage_delete, storage_delete_tree

log = structlog.get_logger(__name__)
Row = TypeVar("Row", bound=Model)

# Longer than any upload lasts.
_STORING_PATIENCE = timedelta(hours=6)
# Enough for a task of a few seconds.
_AT_ONCE = 100


def storage_clean() -> int:
    """Remove deleted files and what failed attempts left; returns how many rows are done with."""
    return _each(_assets_to_purge(), _purge) + _each(_jobs_to_sweep(), _sweep)


def has_files_to_clean() -> bool:
    return _assets_to_purge().exists() or _jobs_to_sweep().exists()


def _assets_to_purge() -> QuerySet[Asset]:
    abandoned = Q(state=AssetState.STORING, created_at__lt=Now() - _STORING_PATIENCE)
    return Asset.objects.filter(Q(state=AssetState.DELETED) | abandoned)


def _jobs_to_sweep() -> QuerySet[Job]:
    return Job.objects.filter(finished_at__isnull=False, swept_at=None)


def _each(rows: QuerySet[Row], work: Callable[[Row], None]) -> int:
    """Do some rows; one that fails is left for another time and does not hold up the others."""
    done = 0
    # At random, so that rows that fail for good do not fill every round.
    for row in rows.order_by("?")[:_AT_ONCE]:
        try:
            work(row)
        except Exception:
            # Each storage has exceptions of its own.
            log.exception("cleaning_failed", row=repr(row))
        else:
            done += 1
    return done


def _purge(asset: Asset) -> None:
    storage_delete(key=asset.storage_key)
    # After the file: a kill in between repeats the deletion, which does no harm.
    Asset.objects.filter(pk=asset.pk).update(state=AssetState.PURGED, filename="", sha256="")


def _sweep(job: Job) -> None:
    is_kept = job.state == JobState.SUCCEEDED and job.deleted_at is None
    storage_delete_tree(prefix=f"jobs/{job.uuid}", keep=str(job.attempt) if is_kept else None)
    # Unless the job was deleted just now: then it is to be swept once more.
    Job.objects.filter(pk=job.pk, deleted_at=job.deleted_at).update(swept_at=Now())
