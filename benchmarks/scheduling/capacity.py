"""What one PostgreSQL bears: claims and heartbeats a second, by many workers at once."""

import itertools
from collections.abc import Callable

from django.db import connection
from django.db.models.functions import Now

from benchmarks.rates import calls_per_second
from jobs.leases import job_beat
from jobs.models import Job, JobState
from jobs.scheduling import job_claim


def claims_per_second(*, n_threads: int, seconds: float) -> float:
    """Jobs must be waiting: see `make_waiting`."""

    def claim() -> None:
        if job_claim() is None:
            raise RuntimeError("no job was left to claim")

    return calls_per_second(lambda _: claim, n_threads=n_threads, seconds=seconds)


def beats_per_second(*, n_threads: int, seconds: float) -> float:
    running = list(Job.objects.filter(state=JobState.RUNNING)[:n_threads])

    def beats_of(number: int) -> Callable[[], None]:
        job = running[number]
        progress = itertools.count()
        return lambda: job_beat(job, progress=next(progress) * 1e-9)

    return calls_per_second(beats_of, n_threads=n_threads, seconds=seconds)


def make_waiting(template: Job, number: int) -> None:
    """`number` waiting jobs like this one."""
    fields = {
        "workspace": template.workspace,
        "service": template.service,
        "asset": template.asset,
        "stems": template.stems,
        "model": template.model,
        "output_format": template.output_format,
        "order_sha256": "",
        "price_mcr": 0,
        "queued_at": Now(),
    }
    Job.objects.bulk_create([Job(**fields) for _ in range(number)], batch_size=1000)
    with connection.cursor() as cursor:
        # As autovacuum does within a minute of such a rush.
        cursor.execute("ANALYZE jobs_job")
