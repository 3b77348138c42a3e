"""Removing files that nobody needs any more. Every step may be repeated."""

from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from jobs.models import Asset, AssetState, Job, JobState
from jobs.storage import storage_delete, storage_delete_tree

# Longer than any upload lasts.
_STORING_PATIENCE = timedelta(hours=6)


def storage_clean() -> int:
    """Remove deleted files and what failed attempts left; returns how many rows were dealt with."""
    return _purge_assets() + _sweep_jobs()


def _purge_assets() -> int:
    abandoned = Q(state=AssetState.STORING, created_at__lt=Now() - _STORING_PATIENCE)
    count = 0
    for asset in Asset.objects.filter(Q(state=AssetState.DELETED) | abandoned).order_by("pk"):
        storage_delete(key=asset.storage_key)
        # After the file: a kill in between repeats the deletion, which does no harm.
        Asset.objects.filter(pk=asset.pk).update(state=AssetState.PURGED)
        count += 1
    return count


def _sweep_jobs() -> int:
    count = 0
    for job in Job.objects.filter(finished_at__isnull=False, swept_at=None).order_by("pk"):
        won = str(job.attempt) if job.state == JobState.SUCCEEDED else None
        storage_delete_tree(prefix=f"jobs/{job.uuid}", keep=won)
        Job.objects.filter(pk=job.pk).update(swept_at=Now())
        count += 1
    return count
