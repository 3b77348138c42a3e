"""Tasks as callers of this API know them: jobs that were ordered through it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.request import Request

from accounts.models import Workspace
from api.authentication import workspace_of
from api.sunoapi.dialect import NAME
from api.sunoapi.errors import UnknownTask, failure_code
from config.errors import ValidationFailed
from jobs.models import Job, JobState, MessageState
from jobs.selectors import job_get_for_workspace, job_list
from jobs.webhooks import message_list

# Their documents promise it of every link in an answer or a callback.
LINK_DAYS = 14
PENDING, SUCCESS = "PENDING", "SUCCESS"
CREATE_TASK_FAILED, CALLBACK_EXCEPTION = "CREATE_TASK_FAILED", "CALLBACK_EXCEPTION"


def task_id(uuid: UUID) -> str:
    return uuid.hex


def uuid_of(text: str) -> UUID:
    """With or without dashes."""
    try:
        return UUID(text)
    except ValueError:
        raise UnknownTask from None


def task_list(*, workspace: Workspace) -> QuerySet[Job]:
    return job_list(workspace=workspace).filter(dialect=NAME)


def task_get_for_workspace(*, workspace: Workspace, task_uuid: UUID) -> Job:
    """Raises NotFound, as for any job that there is not."""
    job = job_get_for_workspace(workspace=workspace, job_uuid=task_uuid)
    if job.dialect != NAME:
        raise UnknownTask
    return job


def task_asked_for(request: Request, *, service: str) -> Job:
    """The one that the query names, if it is of this service."""
    text = request.query_params.get("taskId", "").strip()
    if not text:
        raise ValidationFailed(fields={"taskId": ["This field is required."]})
    job = task_get_for_workspace(workspace=workspace_of(request), task_uuid=uuid_of(text))
    if job.service != service:
        raise UnknownTask
    return job


def success_flag(job: Job, *, failed: str) -> str:
    """`failed` is the word for work that came to nothing."""
    match job.state:
        case JobState.SUCCEEDED:
            return CALLBACK_EXCEPTION if _is_untold(job) else SUCCESS
        case JobState.FAILED | JobState.CANCELLED:
            # Its recording did not come, or could not be paid for.
            return CREATE_TASK_FAILED if job.started_at is None else failed
    return PENDING


def has_results(flag: str) -> bool:
    return flag in {SUCCESS, CALLBACK_EXCEPTION}


def failure_of(job: Job) -> tuple[int | None, str | None]:
    """Code and text of a task that came to nothing."""
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        return None, None
    return failure_code(job.error_code), job.error_message or "The task was cancelled."


def record(job: Job, *, flag: str | int) -> dict[str, Any]:
    """What the records of all kinds of task say."""
    code, message = failure_of(job)
    return {
        "taskId": task_id(job.uuid),
        "callbackUrl": job.callback_url,
        "completeTime": None if job.finished_at is None else _epoch_ms(job.finished_at),
        "successFlag": flag,
        "createTime": _epoch_ms(job.created_at),
        "errorCode": code,
        "errorMessage": message,
    }


def audio_id(job: Job) -> str | None:
    """As ordered; of an order by address, what it became."""
    named = job.dialect_data.get("audioId")
    return named or (str(job.asset.uuid) if job.asset is not None else None)


def _is_untold(job: Job) -> bool:
    """Whether the callback was given up."""
    failed = message_list(workspace=job.workspace, state=MessageState.FAILED, job_uuid=job.uuid)
    return failed.filter(endpoint=None).exists()


def _epoch_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
