"""How fast a recording is, and in which key; no files."""

from jobs.engine import engine_analyse
from jobs.heartbeat import Heartbeat
from jobs.models import Job
from jobs.scratch import scratch_folder
from jobs.work.outputs import Made
from jobs.work.preparing import recording_ready


def work(job: Job, heartbeat: Heartbeat) -> Made:
    with (
        scratch_folder(job) as folder,
        recording_ready(job, heartbeat, folder) as ready,
    ):

        def on_progress(*, step: str, completed: int, total: int | None) -> None:
            ready.report(completed / total if total else 0.0, step=step)

        found = engine_analyse(
            recording=ready.path,
            info=ready.info,
            watch=heartbeat.check,
            on_progress=on_progress,
        ).to_json()
        return Made([], result={name: found[name] for name in ("tempo", "key")})
