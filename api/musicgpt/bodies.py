"""Conversions as this API shows them: the reply to an order, the conversion itself, its message."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from api.musicgpt.ids import conversion_id_of
from api.musicgpt.names import AUDIO_TO_MIDI, EXTRACTION, KEY_BPM, KINDS, STEMS_BY_OURS, Kind
from billing.pricing import MCR_PER_CREDIT, credits_text
from jobs.eta import job_eta_s
from jobs.models import Asset, AssetState, Job, JobState

# Over there, links last; here, as long as results are of use to whoever was told of them.
LINK_DAYS: Final = 7
# A price, before the recording has been fetched. An eta that is unknown looks the same.
UNKNOWN: Final = -1

Link = Callable[[Asset], str]

_STATUS = {
    JobState.WAITING: "IN_QUEUE",
    JobState.QUEUED: "IN_QUEUE",
    JobState.RUNNING: "IN_PROGRESS",
    JobState.SUCCEEDED: "COMPLETED",
    JobState.FAILED: "FAILED",
    JobState.CANCELLED: "FAILED",
}
_MESSAGES = {
    JobState.WAITING: "The recording is being fetched",
    JobState.QUEUED: "In queue",
    JobState.RUNNING: "Conversion in progress",
    JobState.SUCCEEDED: "Conversion successful",
    JobState.CANCELLED: "The conversion was cancelled",
}


def kind_of(job: Job) -> Kind:
    return KINDS[job.dialect_data["conversion_type"]]


def reply(job: Job) -> dict[str, Any]:
    """To an order."""
    return {
        "success": True,
        **_ids(job),
        "eta": job_eta_s(job),
        "credit_estimate": _credits(job),
        "message": "Message published to queue",
        "status": _status(job),
    }


def conversion(job: Job, *, link: Link) -> dict[str, Any]:
    """As `byId` and `byUser` show it; links open what it made without a key."""
    is_done = job.state == JobState.SUCCEEDED
    files = _files(job, link) if is_done else {"audio_url": None, "audio_url_wav": None}
    return {
        **_ids(job),
        "conversion_type": kind_of(job).type,
        "status": _status(job),
        "status_msg": _status_message(job),
        "eta": job_eta_s(job),
        "credit_estimate": _credits(job),
        "conversion_cost": job.charged_mcr / MCR_PER_CREDIT,
        "conversion_duration": _duration_s(job),
        **files,
        "conversion_path": files["audio_url"],
        "conversion_path_wav": files["audio_url_wav"],
        **(_findings(job, link) if is_done else {}),
        # Of music that is made up, which this service does not do.
        "title": None,
        "lyrics": None,
        "music_style": None,
        "createdAt": _time(job.created_at),
        "updatedAt": _time(job.finished_at or job.started_at or job.created_at),
    }


def whole_conversion(job: Job, *, link: Link) -> dict[str, Any]:
    """With its notes, of which there may be too many for a list of conversions or a message."""
    told = conversion(job, link=link)
    has_notes = job.state == JobState.SUCCEEDED and kind_of(job) == AUDIO_TO_MIDI
    return {**told, "note_events": _note_events(job)} if has_notes else told


def message(job: Job, *, link: Link) -> dict[str, Any]:
    """As a receiver is told of its end."""
    told = {"success": True, "conversion_type": kind_of(job).title, **_ids(job)}
    if job.state != JobState.SUCCEEDED:
        failure = {"status": _status(job), "status_msg": _status_message(job)}
        return {**told, "success": False, **failure}
    return {
        **told,
        **_files(job, link),
        **_findings(job, link),
        "conversion_cost": credits_text(job.charged_mcr),
        "conversion_duration": _duration_s(job),
    }


def _ids(job: Job) -> dict[str, str]:
    return {"task_id": str(job.uuid), "conversion_id": str(conversion_id_of(job.uuid))}


def _status(job: Job) -> str:
    return _STATUS[JobState(job.state)]


def _status_message(job: Job) -> str:
    if job.state == JobState.FAILED:
        return job.error_message or "The conversion failed"
    return _MESSAGES[JobState(job.state)]


def _credits(job: Job) -> float:
    """The price, to the last digit; unknown until there is a recording to price."""
    return UNKNOWN if job.asset is None else job.price_mcr / MCR_PER_CREDIT


def _duration_s(job: Job) -> float | None:
    return None if job.asset is None else job.n_samples / job.asset.sample_rate


def _files(job: Job, link: Link) -> dict[str, str | None]:
    """What it made: of stems, texts that hold JSON objects; else plain addresses."""
    outputs: Sequence[Asset] = getattr(job, "outputs", ())
    waves = {output.stem: link(output) for output in outputs if _is_wave(output)}
    # Where a recording has no MP3, its WAV is what there is to hear.
    heard = waves | {output.stem: link(output) for output in outputs if not _is_wave(output)}
    if kind_of(job) == EXTRACTION:
        return {"audio_url": _stems_text(job, heard), "audio_url_wav": _stems_text(job, waves)}
    return {
        "audio_url": next(iter(heard.values()), None),
        "audio_url_wav": next(iter(waves.values()), None),
    }


def _stems_text(job: Job, links: Mapping[str, str]) -> str:
    """In the order in which the stems were asked for."""
    return json.dumps({STEMS_BY_OURS[stem]: links[stem] for stem in job.stems if stem in links})


def _is_wave(output: Asset) -> bool:
    return output.container == "wav"


def _findings(job: Job, link: Link) -> dict[str, Any]:
    """What it found out that is no recording."""
    if kind_of(job) == KEY_BPM:
        return _key_and_tempo(job, link)
    if kind_of(job) == AUDIO_TO_MIDI:
        return {"midi_url": _files(job, link)["audio_url"]}
    return {}


def _note_events(job: Job) -> list[dict[str, Any]]:
    return [
        {**note, "instrument": instrument["name"]}
        for instrument in job.result.get("instruments", [])
        for note in instrument["notes"]
    ]


def _key_and_tempo(job: Job, link: Link) -> dict[str, Any]:
    key, tempo = job.result.get("key") or {}, job.result.get("tempo") or {}
    asset = job.asset
    is_kept = asset is not None and asset.state == AssetState.READY
    # Over there too, the address of the recording that was listened to.
    recording = link(asset) if asset is not None and is_kept else None
    return {
        "dominant_key": f"{key['tonic']} {key['scale']}" if key.get("tonic") else None,
        # One key is found, for all of the recording: nothing is known of changes.
        "key_changes": {},
        "bpm": tempo.get("bpm"),
        "audio_url": recording,
        "conversion_path": recording,
    }


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
