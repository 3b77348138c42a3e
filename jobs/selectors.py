from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, User, Workspace
from accounts.ready_made import ReadyMade
from config.errors import NotFound
from jobs.models import Asset, AssetState, Deletion, Job

# Money that nobody would ever free: the end of a job takes or frees its hold in the same step.
HOLDS_OF_ENDED_JOBS = """
SELECT 'hold of a job that has ended is pending', h.id FROM billing_hold h
  JOIN jobs_job j ON j.uuid = h.job_uuid
  WHERE h.state = 'pending' AND j.state NOT IN ('queued', 'running')
"""

_ASSET = ReadyMade(
    Asset,
    "SELECT {columns} FROM jobs_asset WHERE workspace_id = %s AND state = 'ready' AND uuid = %s",
)
# With the ids of who ordered it.
_JOB = ReadyMade(
    Job,
    """
SELECT {columns}, k.uuid, u.uuid
  FROM jobs_job LEFT JOIN accounts_apikey k ON k.id = jobs_job.api_key_id
  LEFT JOIN accounts_user u ON u.id = jobs_job.ordered_by_id
  WHERE jobs_job.workspace_id = %s AND jobs_job.deleted_at IS NULL AND jobs_job.uuid = %s
""",
)
# The recording, and what is kept of what was made.
_FILES_OF_JOB = ReadyMade(
    Asset,
    """
SELECT {columns} FROM jobs_asset WHERE id = %s
UNION ALL
(SELECT {columns} FROM jobs_asset WHERE job_id = %s AND state = 'ready' ORDER BY id)
""",
)


def asset_list(*, workspace: Workspace) -> QuerySet[Asset]:
    """Uploaded recordings, newest first."""
    return (
        Asset.objects.filter(workspace=workspace)
        .filter(state=AssetState.READY)
        .filter(job=None)
        .order_by("-pk")
    )


def asset_get_for_workspace(*, workspace: Workspace, asset_uuid: UUID) -> Asset:
    asset = _ASSET.first(workspace.pk, asset_uuid)
    if asset is None:
        raise NotFound(_("There is no such asset."))
    asset.workspace = workspace
    return asset


def asset_get_for_download(*, asset_uuid: str) -> Asset:
    """For holders of a signed link, who need no key."""
    asset = Asset.objects.filter(uuid=asset_uuid, state=AssetState.READY).first()
    if asset is None:
        raise NotFound(_("This file is no longer kept."))
    return asset


def job_list(
    *,
    workspace: Workspace,
    status: str | None = None,
    service: str | None = None,
    created_by: UUID | None = None,
    key: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[Job]:
    """Newest first; all, or those in a state, of a service, ordered by a member or with a key,
    made since and before a moment."""
    ready = Asset.objects.filter(state=AssetState.READY).order_by("pk")
    given = {
        "state": status,
        "service": service,
        "ordered_by__uuid": created_by,
        "api_key__uuid": key,
        "created_at__gte": since,
        "created_at__lt": until,
    }
    return (
        Job.objects.filter(workspace=workspace)
        .filter(deleted_at=None)
        .filter(**{name: value for name, value in given.items() if value is not None})
        .select_related("asset")
        # Few have one: to join the table to itself would cost each call dearly.
        .prefetch_related("source_job", "retry_of", "ordered_by", "api_key", "ingest")
        .prefetch_related(Prefetch("stem_assets", queryset=ready, to_attr="outputs"))
        .order_by("-pk")
    )


def job_get_for_workspace(*, workspace: Workspace, job_uuid: UUID) -> Job:
    """As one of `job_list`. Callers ask for nothing as often."""
    found = _JOB.rows(workspace.pk, job_uuid)
    if not found:
        raise NotFound(_("There is no such job."))
    job, (key_uuid, person_uuid) = found[0]
    job.workspace = workspace
    # What else is asked of them is read when it is.
    if key_uuid is not None:
        job.api_key = ApiKey.from_db(job._state.db, ("id", "uuid"), (job.api_key_id, key_uuid))
    if person_uuid is not None:
        job.ordered_by = User.from_db(
            job._state.db, ("id", "uuid"), (job.ordered_by_id, person_uuid)
        )
    job.outputs = []  # type: ignore[attr-defined]
    for asset in _FILES_OF_JOB.all(job.asset_id, job.pk):
        if asset.pk == job.asset_id:
            job.asset = asset
        else:
            job.outputs.append(asset)  # type: ignore[attr-defined]
    return job


def job_get_for_download(*, job_uuid: str) -> Job:
    """For holders of a signed link, who need no key."""
    job = Job.objects.filter(uuid=job_uuid, deleted_at=None).select_related("workspace").first()
    if job is None:
        raise NotFound(_("This job is no longer kept."))
    return job_get_for_workspace(workspace=job.workspace, job_uuid=job.uuid)


def deletion_list(*, workspace: Workspace) -> QuerySet[Deletion]:
    return Deletion.objects.filter(workspace=workspace).select_related("asset").order_by("-pk")


def deletion_get_for_workspace(*, workspace: Workspace, asset_uuid: UUID) -> Deletion:
    deletion = deletion_list(workspace=workspace).filter(asset__uuid=asset_uuid).first()
    if deletion is None:
        raise NotFound(_("No file of this id was deleted."))
    return deletion
