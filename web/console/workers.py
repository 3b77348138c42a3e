"""Who works: each process with its device, its models and what it is at, and sums over them."""

from dataclasses import dataclass, field
from typing import Any

from jobs.models import Derived, DerivedState, Ingest, IngestState, Job, JobState, Listening, Mix
from jobs.presence import workers_list
from web.console.health import workers_seen


@dataclass
class WorkerSeen:
    """A process, and what it has at hand."""

    name: str
    # None: one that says nothing of itself, known by its jobs alone.
    row: Any = None
    jobs: list[Job] = field(default_factory=list)
    # Imports, listening copies and mixes.
    n_other: int = 0
    begun: int = 0

    @property
    def is_silent(self) -> bool:
        return self.row is not None and self.row.is_silent

    @property
    def is_busy(self) -> bool:
        return not self.is_silent and bool(self.jobs or self.n_other)


@dataclass
class Fleet:
    """All workers of one cluster on one kind of device."""

    cluster: str
    device: str
    alive: int = 0
    busy: int = 0
    silent: int = 0
    jobs: int = 0
    places: int = 0


def workers_now() -> list[WorkerSeen]:
    """Those that live or did within a day, silent ones last; and others that took jobs lately."""
    found = {row.name: WorkerSeen(row.name, row) for row in workers_list()}
    running = Job.objects.filter(state=JobState.RUNNING).exclude(worker="")
    for job in running.select_related("workspace").order_by("claimed_at"):
        found.setdefault(job.worker, WorkerSeen(job.worker)).jobs.append(job)
    for name in _others():
        found.setdefault(name, WorkerSeen(name)).n_other += 1
    for name, count in workers_seen().items():
        found.setdefault(name, WorkerSeen(name)).begun = count
    return sorted(found.values(), key=lambda one: one.is_silent)


def fleets(workers: list[WorkerSeen]) -> list[Fleet]:
    """Sums by cluster and device, of those that say what they are."""
    sums: dict[tuple[str, str], Fleet] = {}
    for one in workers:
        if one.row is None:
            continue
        device = one.row.device_name or one.row.device
        fleet = sums.setdefault((one.row.cluster, device), Fleet(one.row.cluster, device))
        if one.is_silent:
            fleet.silent += 1
            continue
        fleet.alive += 1
        fleet.busy += one.is_busy
        fleet.jobs += len(one.jobs) + one.n_other
        fleet.places += one.row.at_once
    return [sums[key] for key in sorted(sums)]


def _others() -> list[str]:
    """The worker of each import, listening copy and mix that is at work."""
    names = list(
        Ingest.objects.filter(state=IngestState.RUNNING)
        .exclude(worker="")
        .values_list("worker", flat=True)
    )
    kinds: tuple[type[Derived], ...] = (Listening, Mix)
    for kind in kinds:
        rows = kind._default_manager.filter(state=DerivedState.RUNNING).exclude(worker="")
        names += rows.values_list("worker", flat=True)
    return names
