"""Deleting files: asked for or due, always written down; `jobs.cleaning` does it and proves it."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from billing.limits import limits_get
from config.errors import WrongState
from jobs.models import ENDED, Asset, AssetState, Deletion, DeletionReason, Job
from jobs.queue import wake_cleaning

# Short transactions, since their locks hold up orders of jobs.
_AT_ONCE = 200


def upload_expires_at(*, workspace: Workspace) -> CombinedExpression:
    """When a recording that is stored now will be deleted by itself."""
    return Now() + timedelta(days=limits_get(workspace=workspace).uploads_days)


def stem_expires_at(*, workspace: Workspace) -> CombinedExpression:
    """When a stem that is made now will be deleted by itself."""
    return Now() + timedelta(days=limits_get(workspace=workspace).results_days)


def assets_delete(assets: QuerySet[Asset]) -> None:
    """Delete files because their owner asks for it: all of them, or none if one is at work.

    Must run in a transaction.
    """
    # The locks keep a job from being made of one in this very moment (job_create takes them too).
    locked = list(
        assets.filter(state=AssetState.READY).select_for_update(no_key=True).order_by("pk")
    )
    if _at_work(locked):
        raise WrongState(_("A job still works on this recording; cancel that job first."))
    _delete(locked, DeletionReason.REQUEST)


def assets_due() -> QuerySet[Asset]:
    """Files whose time is over and which no job needs any more."""
    jobs = Job.objects.filter(asset=OuterRef("pk")).exclude(state__in=ENDED)
    due = Asset.objects.filter(state=AssetState.READY, expires_at__lte=Now())
    return due.exclude(Exists(jobs)).order_by("expires_at", "pk")


@transaction.atomic
def assets_expire() -> int:
    """Delete some of the files whose time is over; returns how many."""
    # Those that are locked are being ordered from, or deleted, by others.
    locked = list(assets_due().select_for_update(skip_locked=True, no_key=True)[:_AT_ONCE])
    # Looked at again under the lock: a job may have been made of one since.
    at_work = _at_work(locked)
    free = [asset for asset in locked if asset.pk not in at_work]
    _delete(free, DeletionReason.RETENTION)
    return len(free)


def _at_work(assets: Sequence[Asset]) -> set[int]:
    jobs = Job.objects.filter(asset__in=assets).exclude(state__in=ENDED)
    return set(jobs.values_list("asset_id", flat=True))


def _delete(assets: Sequence[Asset], reason: DeletionReason) -> None:
    """From here on nobody reaches them; the rows say what is to be removed."""
    if not assets:
        return
    Deletion.objects.bulk_create(
        Deletion(
            asset=asset,
            workspace_id=asset.workspace_id,
            reason=reason,
            size_bytes=asset.size_bytes,
            sha256=asset.sha256,
        )
        for asset in assets
    )
    Asset.objects.filter(pk__in=[asset.pk for asset in assets]).update(state=AssetState.DELETED)
    wake_cleaning()
