"""Which recording a caller means by taskId and audioId.

An upload has one id for both: without dashes as the task, with them as the audio. Where a fetched
file was not there yet when its upload was answered, they are those of the import. The outputs of a
task, and the recording that it was made of, are audios of that task.
"""

from typing import Any

from accounts.models import Workspace
from api.sunoapi.errors import UnknownTask
from api.sunoapi.tasks import task_get_for_workspace, uuid_of
from config.errors import ValidationFailed
from jobs.importing import import_list
from jobs.models import Ingest, IngestState, Job
from jobs.selectors import asset_list


def recording_named(
    *, workspace: Workspace, task_id: str, audio_id: str | None = None
) -> dict[str, Any]:
    """The fields of an Order that say which; without an audio, what the task is about."""
    task_uuid = uuid_of(task_id)
    audio_uuid = None if audio_id is None else uuid_of(audio_id)
    if audio_uuid in (None, task_uuid):
        if asset_list(workspace=workspace).filter(uuid=task_uuid).exists():
            return {"asset_uuid": task_uuid}
        ingest = import_list(workspace=workspace).filter(uuid=task_uuid).first()
        if ingest is not None:
            return _fetched(ingest)
    job = task_get_for_workspace(workspace=workspace, task_uuid=task_uuid)
    wanted = audio_uuid or (job.asset.uuid if job.asset is not None else None)
    if wanted not in {asset.uuid for asset in _audios(job)}:
        raise UnknownTask
    return {"asset_uuid": wanted}


def _audios(job: Job) -> list[Any]:
    outputs: list[Any] = job.outputs  # type: ignore[attr-defined]
    return outputs if job.asset is None else [*outputs, job.asset]


def _fetched(ingest: Ingest) -> dict[str, Any]:
    match ingest.state:
        case IngestState.READY if ingest.asset is not None:
            return {"asset_uuid": ingest.asset.uuid}
        case IngestState.FAILED | IngestState.CANCELLED:
            raise ValidationFailed(ingest.error_message or "Fetching the file was cancelled.")
    return {"import_uuid": ingest.uuid}
