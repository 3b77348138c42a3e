"""Jobs as this API shows them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from django.db.models import QuerySet
from rest_framework.request import Request

from accounts.models import Workspace
from accounts.selectors import owner_uuid_get
from api.audiopod.base import page_of
from api.audiopod.chains import job_number, job_status
from api.authentication import workspace_of
from api.links import asset_url, timeline_url
from jobs.models import OF_SPEAKERS, Asset, Job, JobState, OutputKind, Service
from jobs.speakers import Speakers

# As reads name them; webhooks say `speaker_extraction` (messages.py).
JOB_TYPES = {
    Service.SPEAKER_EXTRACTION: "extraction",
    Service.SPEAKER_DIARIZATION: "diarization",
    Service.SEPARATION: "stem_extraction",
    Service.ENHANCEMENT: "denoise",
}
SERVICES = tuple(JOB_TYPES)
Body = dict[str, Any]


def user_id(workspace: Workspace) -> str:
    """Its owner; a workspace that only keys reach stands for itself."""
    return str(owner_uuid_get(workspace=workspace) or workspace.uuid)


def time_text(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def job_head(job: Job, *, owner: str) -> Body:
    """What every answer about a job begins with."""
    first = job.retry_of or job
    return {
        "id": job_number(job),
        "job_type": JOB_TYPES[Service(job.service)],
        "status": job_status(job),
        "created_at": time_text(first.created_at),
        "user_id": owner,
        "task_id": str(job.uuid),
    }


def job_body(job: Job, request: Request, *, owner: str) -> Body:
    """A job of any service, with what it made."""
    render = _BODIES[Service(job.service)]
    return job_head(job, owner=owner) | ended(job) | render(job, request)


def list_item(job: Job, *, owner: str) -> Body:
    name = filename(job)
    files: Body = {}
    if job.state == JobState.SUCCEEDED and job.service in OF_SPEAKERS:
        files = {"outputFiles": [_audio_file(job, asset) for asset in _tracks(job)]}
    return (
        job_head(job, owner=owner) | ended(job) | {"filename": name, "display_name": name} | files
    )


def jobs_page(jobs: QuerySet[Job], request: Request) -> Body:
    """As many of these as are asked for."""
    rows, page = page_of(jobs, request)
    owner = user_id(workspace_of(request))
    return {"items": [list_item(job, owner=owner) for job in rows], **page}


def ended(job: Job) -> Body:
    """When it was completed, or why it was not: one real client reads `error`."""
    if job.state == JobState.SUCCEEDED:
        return {"completed_at": time_text(job.finished_at)}
    if job.state == JobState.FAILED:
        return {"error_message": job.error_message, "error": job.error_message}
    if job.state == JobState.CANCELLED:
        return {"error_message": "The job was cancelled.", "error": "The job was cancelled."}
    return {}


def filename(job: Job) -> str:
    """Of the recording, or of its address while it has not come."""
    if job.asset is not None:
        return job.asset.filename
    path = urlsplit(job.ingest.url).path if job.ingest else ""
    return unquote(PurePosixPath(path).name) or "recording"


def output_path(job: Job, asset: Asset) -> str:
    """Where their storage would have it; ours is reached by links only."""
    suffix = PurePosixPath(asset.filename).suffix
    if asset.kind == OutputKind.TRACK:
        return f"processed/{job_number(job)}/{asset.stem.lower()}{suffix}"
    return f"stems/{job_number(job)}/{asset.stem or 'output'}{suffix}"


def _stem_path(job: Job, asset: Asset, name: str) -> str:
    """By the name that its key has: that of "no_vocals" too."""
    return f"stems/{job_number(job)}/{name}{PurePosixPath(asset.filename).suffix}"


def outputs(job: Job) -> Sequence[Asset]:
    kept: Sequence[Asset] = job.outputs  # type: ignore[attr-defined]
    return kept


def _tracks(job: Job) -> list[Asset]:
    return [asset for asset in outputs(job) if asset.kind == OutputKind.TRACK]


def _audio_file(job: Job, asset: Asset) -> Body:
    return {"type": "audio", "speaker": asset.stem, "path": output_path(job, asset)}


def _speakers(job: Job, request: Request) -> Body:
    if job.state != JobState.SUCCEEDED or not hasattr(job, "timeline"):
        return {}
    found = Speakers(job, job.timeline)
    rttm_path = f"processed/{job_number(job)}/{JOB_TYPES[Service(job.service)]}.rttm"
    rttm = {
        "type": "rttm",
        "path": rttm_path,
        "download_url": timeline_url(job, format_name="rttm", request=request),
    }
    tracks = _tracks(job)
    links = {asset.pk: asset_url(asset, request=request) for asset in tracks}
    result = {
        "speakers": [
            _speaker(job, number, row, found.output(row["speaker"], OutputKind.TRACK), links)
            for number, row in enumerate(found.row.statistics)
        ],
        "files": [
            *({**_audio_file(job, asset), "download_url": links[asset.pk]} for asset in tracks),
            rttm,
        ],
        "rttm_path": rttm_path,
    }
    if job.service == Service.SPEAKER_DIARIZATION:
        result["segments"] = [
            {"start": turn.start_s, "end": turn.end_s, "speaker": turn.speaker}
            for turn in found.timeline.turns
        ]
    return {"result": result}


def _speaker(job: Job, number: int, row: Body, track: Asset | None, links: dict[int, str]) -> Body:
    """One speaker; without a track where none was ordered, or where it is no longer kept."""
    body: Body = {"id": number, "label": row["speaker"]}
    if track is not None:
        body |= {"audio_path": output_path(job, track), "download_url": links[track.pk]}
    return body | {"audio_stats": {"rms_db": row["rms_db"], "peak": row["peak"]}}


def _stems(job: Job, request: Request) -> Body:
    names = {ours: theirs for theirs, ours in job.dialect_data.get("stems", [])}
    made = {names.get(asset.stem, asset.stem): asset for asset in outputs(job)}
    return {
        "source_type": "URL" if job.ingest_id else "FILE",
        "mode": job.dialect_data.get("mode"),
        "stem_paths": {name: _stem_path(job, asset, name) for name, asset in made.items()},
        # Nothing here measures the quality of one job.
        "quality_scores": {},
        "download_urls": {name: asset_url(asset, request=request) for name, asset in made.items()},
    }


def _denoised(job: Job, request: Request) -> Body:
    asset = next(iter(outputs(job)), None)
    return {
        "quality_mode": job.dialect_data.get("quality_mode"),
        "output_url": asset_url(asset, request=request) if asset else None,
        "output_path": output_path(job, asset) if asset else None,
    }


_BODIES: dict[Service, Callable[[Job, Request], Body]] = {
    Service.SPEAKER_EXTRACTION: _speakers,
    Service.SPEAKER_DIARIZATION: _speakers,
    Service.SEPARATION: _stems,
    Service.ENHANCEMENT: _denoised,
}
