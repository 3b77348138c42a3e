"""The recording that a service works on: as it was stored, or the range of it, cleaned."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings

from jobs.engine import engine_prepare
from jobs.heartbeat import Heartbeat
from jobs.models import Job
from jobs.separating import asset_info
from jobs.storage import local_copy
from separation import AudioInfo

# How much of the whole work it is to cut a recording, and to clean it, about.
_CUTTING, _CLEANING = 0.05, 0.4


@dataclass(frozen=True)
class Ready:
    """A file on this machine, what it is, and how much of the job has been done by then.

    `recorded` is the recording as it was stored, where the file was made of it.
    """

    path: Path
    info: AudioInfo
    heartbeat: Heartbeat
    done: float = 0.0
    recorded: Path | None = None

    @property
    def tags_from(self) -> str | None:
        """For the library: whose tags and cover go along. WAV holds no cover, and few tags."""
        return None if self.recorded is None else str(self.recorded.resolve())

    def report(self, share: float, *, step: str) -> None:
        """Note the progress (0..1) of what is done with the recording; see `Heartbeat.report`."""
        self.heartbeat.report(self.done + (1 - self.done) * share, step=step)


@contextmanager
def recording_ready(job: Job, heartbeat: Heartbeat, folder: Path) -> Iterator[Ready]:
    """What the job's service has to work on, for as long as the block runs."""
    with local_copy(key=job.recording.storage_key, folder=folder) as recording:
        ready = Ready(recording, asset_info(job.recording), heartbeat)
        if job.range_start is not None or job.steps:
            ready = _prepared(job, ready, folder)
        yield ready


def _prepared(job: Job, ready: Ready, folder: Path) -> Ready:
    done = _CLEANING if job.steps else _CUTTING

    def on_progress(*, step: str, completed: int, total: int | None) -> None:
        share = min(1.0, completed / total) if total else 0.0
        ready.heartbeat.report(done * share, step="prepare")

    path = folder / "prepared.wav"
    info = engine_prepare(
        recording=ready.path,
        output=path,
        info=ready.info,
        watch=ready.heartbeat.check,
        on_progress=on_progress,
        start=job.range_start,
        end=job.range_end,
        steps=job.steps,
        device=settings.SEPARATION_DEVICE,
    )
    # The formats `wav` and `flac` mean the depth of the recording, not of what was made of it.
    info = replace(info, bits_per_sample=ready.info.bits_per_sample)
    return Ready(path, info, ready.heartbeat, done, recorded=ready.path)
