from uuid import UUID

from django.db.models import Prefetch, QuerySet

from accounts.models import Workspace
from config.errors import NotFound
from jobs.models import Asset, AssetState, Deletion, Job

# Money that nobody would ever free: the end of a job takes or frees its hold in the same step.
HOLDS_OF_ENDED_JOBS = """
SELECT 'hold of a job that has ended is pending', h.id FROM billing_hold h
  JOIN jobs_job j ON j.uuid = h.job_uuid
  WHERE h.state = 'pending' AND j.state NOT IN ('queued', 'running')
"""


def asset_list(*, workspace: Workspace) -> QuerySet[Asset]:
    """Uploaded recordings, newest first."""
    return (
        Asset.objects.filter(workspace=workspace)
        .filter(state=AssetState.READY)
        .filter(job=None)
        .order_by("-pk")
    )


def asset_get_for_workspace(*, workspace: Workspace, asset_uuid: UUID) -> Asset:
    asset = (
        Asset.objects.filter(workspace=workspace)
        .filter(state=AssetState.READY)
        .filter(uuid=asset_uuid)
        .first()
    )
    if asset is None:
        raise NotFound("There is no such asset.")
    return asset


def asset_get_for_download(*, asset_uuid: str) -> Asset:
    """For holders of a signed link, who need no key."""
    asset = Asset.objects.filter(uuid=asset_uuid, state=AssetState.READY).first()
    if asset is None:
        raise NotFound("This file is no longer kept.")
    return asset


def job_list(*, workspace: Workspace) -> QuerySet[Job]:
    ready = Asset.objects.filter(state=AssetState.READY).order_by("pk")
    return (
        Job.objects.filter(workspace=workspace)
        .filter(deleted_at=None)
        .select_related("asset", "source_job")
        .prefetch_related(Prefetch("stem_assets", queryset=ready, to_attr="outputs"))
        .order_by("-pk")
    )


def job_get_for_workspace(*, workspace: Workspace, job_uuid: UUID) -> Job:
    job = job_list(workspace=workspace).filter(uuid=job_uuid).first()
    if job is None:
        raise NotFound("There is no such job.")
    return job


def deletion_list(*, workspace: Workspace) -> QuerySet[Deletion]:
    return Deletion.objects.filter(workspace=workspace).select_related("asset").order_by("-pk")


def deletion_get_for_workspace(*, workspace: Workspace, asset_uuid: UUID) -> Deletion:
    deletion = deletion_list(workspace=workspace).filter(asset__uuid=asset_uuid).first()
    if deletion is None:
        raise NotFound("No file of this id was deleted.")
    return deletion
