"""A recording in other formats, cleaned before where that was ordered."""

from pathlib import Path

from django.conf import settings

from jobs.engine import engine_convert
from jobs.heartbeat import Heartbeat
from jobs.models import Asset, Job, OutputKind, Service
from jobs.naming import job_title
from jobs.scratch import scratch_folder
from jobs.separating import asset_info, output_info
from jobs.storage import local_copy
from jobs.work.outputs import Made, output_store


def work(job: Job, heartbeat: Heartbeat) -> Made:
    """For `conversion` and for `enhancement`, whose work is the steps themselves."""

    def on_progress(*, step: str, completed: int, total: int | None) -> None:
        heartbeat.report(min(1.0, completed / total) if total else 0.0, step=step)

    with (
        scratch_folder(job) as folder,
        local_copy(key=job.recording.storage_key, folder=folder) as recording,
    ):
        result = engine_convert(
            recording=recording,
            folder=folder / "made",
            info=asset_info(job.recording),
            watch=heartbeat.check,
            on_progress=on_progress,
            output_formats=[job.output_format, *job.more_formats],
            steps=job.steps,
            start=job.range_start,
            end=job.range_end,
            device=settings.SEPARATION_DEVICE,
        )
        outputs = []
        for form, path in result.files.items():
            heartbeat.check()
            outputs.append(_store(job, form=form, path=path))
        return Made(outputs)


def _store(job: Job, *, form: str, path: Path) -> Asset:
    ending = " (enhanced)" if job.service == Service.ENHANCEMENT else ""
    title = job_title(job)[:180] + ending
    return output_store(
        job,
        kind=OutputKind.RECORDING,
        label="",
        form=form,
        # What the library calls it tells formats of the same suffix apart.
        filename=title + path.name.removeprefix("recording"),
        path=path,
        info=output_info(job, form),
    )
