"""A recording into its stems."""

from pathlib import Path

from django.conf import settings

from jobs.checkpoints import Checkpoints
from jobs.engine import engine_separate
from jobs.heartbeat import Heartbeat
from jobs.models import Asset, Job, OutputKind
from jobs.naming import job_title
from jobs.scratch import scratch_folder
from jobs.separating import output_info
from jobs.work.outputs import Made, output_store
from jobs.work.preparing import recording_ready


def work(job: Job, heartbeat: Heartbeat) -> Made:
    def watch() -> None:
        heartbeat.check()
        checkpoints.look()

    def on_progress(*, step: str, completed: int, total: int | None) -> None:
        if step == "part":
            checkpoints.add(completed)
            # It tells of what was done, while the work goes on.
            step = "separate"
        ready.report(min(1.0, completed / (total or job.n_samples or 1)), step=step)

    with (
        scratch_folder(job) as folder,
        recording_ready(job, heartbeat, folder) as ready,
        Checkpoints(job, folder) as checkpoints,
    ):
        checkpoints.fetch(heartbeat)
        result = engine_separate(
            recording=ready.path,
            folder=folder,
            info=ready.info,
            tags_from=ready.tags_from,
            watch=watch,
            on_progress=on_progress,
            stems=job.stems,
            model=job.model,
            output_format=job.output_format,
            more_formats=job.more_formats,
            device=settings.SEPARATION_DEVICE,
            backend=settings.SEPARATION_BACKEND or None,
            # Jobs beside this one get their share, as they got their claims.
            turn=str(job.workspace.uuid),
            urgent=job.is_preview,
            **checkpoints.options,
        )
        outputs = []
        for form, stems in {job.output_format: result.stems, **result.more_stems}.items():
            for stem, path in stems.items():
                heartbeat.check()
                outputs.append(_stem_store(job, stem=stem, form=form, path=path))
        return Made(outputs)


def _stem_store(job: Job, *, stem: str, form: str, path: Path) -> Asset:
    return output_store(
        job,
        kind=OutputKind.STEM,
        label=stem,
        form=form,
        # What the library calls it tells formats of the same suffix apart.
        filename=f"{job_title(job)[:180]} ({stem}){path.name.removeprefix(stem)}",
        path=path,
        info=output_info(job, form),
    )
