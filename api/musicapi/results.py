"""What a task made, as this API shows it: in the answer, when asked later, and in messages."""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Final

from api.musicapi.names import TITLES
from jobs.models import Asset, Job, JobState, OutputKind

# Where a file is downloaded.
Link = Callable[[Asset], str]

STATES: Final = {
    JobState.WAITING: "pending",
    JobState.QUEUED: "pending",
    JobState.RUNNING: "running",
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "failed",
}


def task_data(job: Job, link: Link) -> list[dict[str, Any]]:
    """One entry for each stem, or one of what is no stem; each with the state of the task."""
    kind = job.dialect_data.get("kind")
    if kind == "stems":
        return [_clip(job, stem, link) for stem in job.stems]
    entry = {"clip_id": str(job.recording.uuid), "state": STATES[JobState(job.state)]}
    if job.state != JobState.SUCCEEDED:
        return [entry]
    return [entry | _RESULTS[kind](job, link)]


def task_message(job: Job) -> str:
    """What the envelope says of a task."""
    if job.state == JobState.CANCELLED:
        return "Task was cancelled. Credits were previously refunded."
    if job.state == JobState.FAILED:
        return f"Task failed. {job.error_message} Credits were previously refunded."
    return "success"


def wav_data(job: Job, link: Link) -> dict[str, Any]:
    return {"wav_url": _url(job, OutputKind.RECORDING, link)}


def bpm_data(job: Job, link: Link) -> dict[str, Any]:
    tempo = job.result["tempo"]
    return {
        "avg_bpm": tempo["bpm"],
        "max_bpm": tempo["max_bpm"],
        "min_bpm": tempo["min_bpm"],
    }


def midi_data(job: Job, link: Link) -> dict[str, Any]:
    return {
        "midi_url": _url(job, OutputKind.NOTES, link),
        "instruments": job.result["instruments"],
    }


def vox_data(job: Job, link: Link) -> dict[str, Any]:
    """Without the waveform, which only the call itself tells."""
    made = made_of(job, OutputKind.STEM)
    return {
        "vox_audio_id": str(made.uuid) if made else None,
        "status": "complete",
        "source_clip_id": str(job.recording.uuid),
        "vocal_start_s": job.dialect_data["start_s"],
        "vocal_end_s": job.dialect_data["end_s"],
        "vocal_audio_url": link(made) if made else None,
    }


def download_data(job: Job, link: Link) -> dict[str, Any]:
    return {"download_urls": {made.form: link(made) for made in _outputs(job)}}


def is_all_kept(job: Job) -> bool:
    """Whether no file of a job that succeeded is gone."""
    return len(_outputs(job)) == 1 + len(job.more_formats)


_RESULTS: Mapping[Any, Callable[[Job, Link], dict[str, Any]]] = {
    "wav": wav_data,
    "bpm": bpm_data,
    "midi": midi_data,
    "vox": vox_data,
    "download": download_data,
}


def made_of(job: Job, kind: OutputKind, stem: str | None = None) -> Asset | None:
    """A file of this kind, if it is still kept."""
    return next(
        (
            asset
            for asset in _outputs(job)
            if asset.kind == kind and (stem is None or asset.stem == stem)
        ),
        None,
    )


def _outputs(job: Job) -> list[Asset]:
    outputs: list[Asset] = job.outputs  # type: ignore[attr-defined]
    return outputs


def _url(job: Job, kind: OutputKind, link: Link) -> str | None:
    made = made_of(job, kind)
    return link(made) if made else None


def _clip(job: Job, stem: str, link: Link) -> dict[str, Any]:
    """All fields that a clip has in this API, also those of songs that nobody here composed."""
    made = made_of(job, OutputKind.STEM, stem)
    recording = job.recording
    return {
        "clip_id": str(made.uuid) if made else None,
        "state": STATES[JobState(job.state)],
        "title": f"{PurePath(recording.filename).stem} ({TITLES.get(stem, stem)})",
        "stem": stem,
        "tags": "",
        "lyrics": "",
        "image_url": None,
        "audio_url": link(made) if made else None,
        "video_url": None,
        "created_at": job.created_at.isoformat(),
        "mv": job.model,
        "gpt_description_prompt": None,
        "duration": round(recording.duration_s, 3),
    }
