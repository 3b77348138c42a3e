"""A recording into its stems."""

from pathlib import Path

from django.conf import settings

from jobs.checkpoints import Checkpoints
from jobs.engine import engine_separate
from jobs.heartbeat import Heartbeat
from jobs.models import Asset, Job, OutputKind
from jobs.scratch import scratch_folder
from jobs.separating import asset_info, output_info
from jobs.storage import local_copy
from jobs.work.outputs import Made, output_store


def work(job: Job, heartbeat: Heartbeat) -> Made:
    asset = job.recording

    def watch() -> None:
        heartbeat.check()
        checkpoints.look()

    def on_progress(*, step: str, completed: int, total: int | None) -> None:
        if step == "part":
            checkpoints.add(completed)
            # It tells of what was done, while the work goes on.
            step = "separate"
        heartbeat.report(min(1.0, completed / (total or asset.n_samples or 1)), step=step)

    with (
        scratch_folder(job) as folder,
        local_copy(key=asset.storage_key, folder=folder) as recording,
        Checkpoints(job, folder) as checkpoints,
    ):
        checkpoints.fetch(heartbeat)
        result = engine_separate(
            recording=recording,
            folder=folder,
            info=asset_info(asset),
            watch=watch,
            on_progress=on_progress,
            stems=job.stems,
            model=job.model,
            output_format=job.output_format,
            device=settings.SEPARATION_DEVICE,
            backend=settings.SEPARATION_BACKEND or None,
            # Jobs beside this one get their share, as they got their claims.
            turn=str(job.workspace.uuid),
            urgent=job.is_preview,
            **checkpoints.options,
        )
        outputs = []
        for stem, path in result.stems.items():
            heartbeat.check()
            outputs.append(_stem_store(job, stem=stem, path=path))
        return Made(outputs)


def _stem_store(job: Job, *, stem: str, path: Path) -> Asset:
    return output_store(
        job,
        kind=OutputKind.STEM,
        label=stem,
        filename=f"{Path(job.recording.filename).stem[:180]} ({stem}){path.suffix}",
        path=path,
        info=output_info(job),
    )
