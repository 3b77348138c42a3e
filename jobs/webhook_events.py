"""What a workspace can be told, and in which words: the types of events and their bodies.

Bodies follow Standard Webhooks: {"type", "timestamp", "data"}, well below 20 kB. They are thin and
carry no link that opens a file: whoever receives one asks the API with a key of its own.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from billing.credit_alerts import Told
from billing.pricing import credits_text
from jobs.models import Asset, AssetState, Ingest, IngestKind, IngestState, Job, JobState
from jobs.separating import format_name

# That a job has started is not told: it would double the messages and nobody could act on it.
EVENT_TYPES: Final[Mapping[str, str]] = {
    "job.succeeded": "A job ended well; what it made is ready and its price was charged.",
    "job.failed": "A job ended without results; nothing was charged.",
    "job.cancelled": "A job was stopped because its owner asked for it; nothing was charged.",
    "upload.ready": "A recording that was sent in parts is complete and can be used.",
    "upload.failed": "A recording that was sent in parts cannot be used.",
    "import.ready": "A recording was fetched from its address and can be used.",
    "import.failed": "A recording could not be fetched from its address, or cannot be used.",
    "credits.low": "The credits fell below the threshold of the workspace's alert.",
}
CREDITS_LOW: Final = "credits.low"
# Sent on request only, whatever events an endpoint wants.
TEST_EVENT: Final = "webhook.test"

_OF_JOB = {
    JobState.SUCCEEDED: "job.succeeded",
    JobState.FAILED: "job.failed",
    JobState.CANCELLED: "job.cancelled",
}
# A cancelled one is not told: whoever asked for it was answered.
_OF_INGEST = {IngestState.READY: "ready", IngestState.FAILED: "failed"}


def job_event(job: Job) -> str | None:
    """What the end of this job is called; None while it has not ended."""
    return _OF_JOB.get(JobState(job.state))


def ingest_event(ingest: Ingest) -> str | None:
    outcome = _OF_INGEST.get(IngestState(ingest.state))
    kind = "import" if ingest.kind == IngestKind.URL else "upload"
    return f"{kind}.{outcome}" if outcome else None


def event_body(*, event: str, at: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": event, "timestamp": _time(at), "data": dict(data)}


def job_data(job: Job) -> dict[str, Any]:
    """The job as the API shows it, without links and without names of files."""
    outputs = Asset.objects.filter(job=job, state=AssetState.READY).order_by("pk")
    return {
        "id": str(job.uuid),
        "status": job.state,
        "service": job.service,
        "asset": str(job.asset.uuid) if job.asset else None,
        "stems": job.stems,
        "model": job.model,
        "format": job.output_format,
        "formats": [job.output_format, *job.more_formats],
        "range": job_range(job),
        "steps": job.steps,
        "metadata": job.metadata,
        "retry_of": str(job.retry_of.uuid) if job.retry_of else None,
        "price_mcr": job.price_mcr,
        "charged_mcr": job.charged_mcr,
        "credits_charged": credits_text(job.charged_mcr),
        "error": _error(job.error_code, job.error_message),
        "outputs": [_output(asset) for asset in outputs],
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
    }


def job_range(job: Job) -> dict[str, float] | None:
    """What of the recording is worked on, in seconds; None: all of it."""
    if job.asset is None or job.range_start is None or job.range_end is None:
        return None
    rate = job.asset.sample_rate
    return {"start_s": job.range_start / rate, "end_s": job.range_end / rate}


def ingest_data(ingest: Ingest) -> dict[str, Any]:
    return {
        "id": str(ingest.uuid),
        "status": ingest.state,
        "asset": str(ingest.asset.uuid) if ingest.asset else None,
        "duration_s": ingest.asset.duration_s if ingest.asset else None,
        "error": _error(ingest.error_code, ingest.error_message),
        "created_at": _time(ingest.created_at),
        "finished_at": _time(ingest.finished_at),
    }


def credits_data(told: Told) -> dict[str, Any]:
    return {
        "workspace": str(told.workspace.uuid),
        "available_mcr": told.available_mcr,
        "credits_available": credits_text(told.available_mcr),
        "threshold_mcr": told.threshold_mcr,
    }


def _output(asset: Asset) -> dict[str, Any]:
    return {
        "id": str(asset.uuid),
        "stem": asset.stem,
        "kind": asset.kind,
        "format": format_name(asset),
        "size_bytes": asset.size_bytes,
        "sha256": asset.sha256,
    }


def _error(code: str, message: str) -> dict[str, str] | None:
    return {"code": code, "message": message} if code else None


def _time(at: datetime | None) -> str | None:
    # As in the API.
    return at.isoformat().replace("+00:00", "Z") if at else None
