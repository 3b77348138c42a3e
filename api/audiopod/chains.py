"""Jobs by their numbers. A retried job keeps its number: that of the first of its chain.

Only jobs that were ordered through this dialect are found.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Coalesce

from accounts.models import ApiKey, User, Workspace
from api.audiopod.dialect import NAME
from api.audiopod.errors import JobNotFound
from api.audiopod.stopping import AT_WORK, job_stopped
from config.errors import WrongState
from jobs.models import Job, JobState
from jobs.selectors import job_get_for_workspace, job_list
from jobs.services import job_cancel, job_delete, job_retry

# Of a bigint: a larger number is nobody's.
_LARGEST = 2**63 - 1
# Asked at every look that a waiting client takes: put together once.
_CHAIN = """
SELECT uuid FROM jobs_job WHERE workspace_id = %s AND dialect = %s AND service = ANY(%s)
  AND deleted_at IS NULL AND (id = %s AND retry_of_id IS NULL OR retry_of_id = %s)
ORDER BY id DESC
"""
# What they call states; a cancelled job failed, as far as their clients can know.
STATUSES = {
    "PENDING": (JobState.WAITING, JobState.QUEUED),
    "PROCESSING": (JobState.RUNNING,),
    "COMPLETED": (JobState.SUCCEEDED,),
    "FAILED": (JobState.FAILED, JobState.CANCELLED),
}


def job_number(job: Job) -> int:
    return job.retry_of_id or job.pk


def job_status(job: Job) -> str:
    status = next(name for name, states in STATUSES.items() if job.state in states)
    # Of a retry they say that it is being processed as soon as it was asked for.
    return "PROCESSING" if status == "PENDING" and job.retry_of_id else status


def chains_list(*, workspace: Workspace, services: Sequence[str]) -> QuerySet[Job]:
    """The latest job of each chain, newest first."""
    # Found by the index on it: only the first of a chain retries nothing, and it is no later one.
    later = Job.objects.filter(
        retry_of=OuterRef("first"), pk__gt=OuterRef("pk"), deleted_at=None
    ).order_by()
    return (
        _jobs(workspace, services)
        .select_related("ingest")
        .annotate(first=Coalesce("retry_of_id", F("pk")))
        .filter(~Exists(later))
    )


def job_get(*, workspace: Workspace, number: int, services: Sequence[str]) -> Job:
    """The latest of a chain."""
    newest = _chain(workspace, number, services)[0]
    # Asked for more often than anything else, and made for that.
    return job_get_for_workspace(workspace=workspace, job_uuid=newest)


def chain_retry(
    *,
    workspace: Workspace,
    api_key: ApiKey | None,
    person: User | None,
    number: int,
    services: Sequence[str],
) -> Job:
    """Do it anew. One that is being done anew already is left to it: nothing is charged twice."""
    job = job_get(workspace=workspace, number=number, services=services)
    if not (job.retry_of_id and job.state in AT_WORK):
        job_retry(workspace=workspace, api_key=api_key, person=person, job_uuid=job.uuid)
    return job_get(workspace=workspace, number=number, services=services)


def chain_delete(*, workspace: Workspace, number: int, services: Sequence[str]) -> None:
    """Delete what ended, and end what has not: a running job is told to stop, and waited for."""
    for job_uuid in _chain(workspace, number, services):
        job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
        if job.state in AT_WORK:
            job = job_cancel(workspace=workspace, job_uuid=job.uuid)
        if job.state in AT_WORK:
            job = job_stopped(workspace=workspace, job_uuid=job.uuid)
        if job.state in AT_WORK:
            raise WrongState("The job is being stopped; delete it once it has ended.")
        job_delete(workspace=workspace, job_uuid=job.uuid)


def _chain(workspace: Workspace, number: int, services: Sequence[str]) -> list[UUID]:
    """The jobs under a number, newest first; at least one."""
    if number > _LARGEST:
        raise JobNotFound
    with connection.cursor() as cursor:
        cursor.execute(_CHAIN, [workspace.pk, NAME, list(services), number, number])
        found = [row[0] for row in cursor.fetchall()]
    if not found:
        raise JobNotFound
    return found


def _jobs(workspace: Workspace, services: Sequence[str]) -> QuerySet[Job]:
    return job_list(workspace=workspace).filter(dialect=NAME).filter(service__in=services)
