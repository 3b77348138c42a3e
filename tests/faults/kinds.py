"""The kinds of faults. Each breaks something of a running service, and mends what needs mending."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import psutil
from django.db import close_old_connections, connection
from django.db.utils import Error as DatabaseError
from django.utils import timezone

from jobs.models import Job, JobState
from tests.faults.parts import (
    Database,
    FileSystem,
    Program,
    Redis,
    cluster_processes,
    stopped_for,
)
from tests.faults.receiver import Receiver


@dataclass
class Stage:
    """All that there is to break."""

    clusters: dict[str, Program]
    janitor: Program
    database: Database
    redis: Redis | None
    files: FileSystem
    media: str
    receiver: Receiver
    lease_s: float
    random: random.Random
    # Of each kind, how often it was done.
    done: dict[str, int] = field(default_factory=dict)
    # Jobs whose worker was killed in the middle: which attempt, and when.
    cut_off: list[tuple[str, int, datetime]] = field(default_factory=list)


class NothingToBreak(Exception):
    """There was no such process at that moment."""


Fault = Callable[[Stage], None]


def _one(stage: Stage, role: str, *, cluster: str = "") -> psutil.Process:
    found = [
        process
        for name, program in stage.clusters.items()
        if name.startswith(cluster)
        for process in cluster_processes(program).get(role, [])
    ]
    if not found:
        raise NothingToBreak
    return stage.random.choice(found)


def _kill(role: str, *, cluster: str = "") -> Fault:
    def fault(stage: Stage) -> None:
        _one(stage, role, cluster=cluster).kill()

    return fault


def _busy_worker_killed(stage: Stage) -> None:
    process = _one(stage, "busy_worker", cluster="separation")
    jobs = list(Job.objects.filter(state=JobState.RUNNING, worker__endswith=f":{process.pid}"))
    process.kill()
    stage.cut_off += [(str(job.uuid), job.attempt, timezone.now()) for job in jobs]


def _shared_engine_killed(stage: Stage) -> None:
    """The engine goes while it works for several jobs: all of them are lost with it."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        running = Job.objects.filter(state=JobState.RUNNING).values_list("worker", flat=True)
        for worker, n_jobs in Counter(running).items():
            engines = _engines_of(int(worker.rpartition(":")[2])) if n_jobs > 1 else []
            if engines:
                engines[0].kill()
                return
        time.sleep(0.05)
    raise NothingToBreak


def _engines_of(pid: int) -> list[psutil.Process]:
    try:
        children = psutil.Process(pid).children()
        return [child for child in children if "separation" in child.cmdline()]
    except psutil.NoSuchProcess:
        return []


def _cluster_killed(stage: Stage) -> None:
    program = stage.random.choice(list(stage.clusters.values()))
    program.kill()
    time.sleep(1)
    program.start()


def _cluster_stopped_gracefully(stage: Stage) -> None:
    program = stage.random.choice(list(stage.clusters.values()))
    program.terminate()
    program.start()


def _supervisor_killed(stage: Stage) -> None:
    program = stage.random.choice(list(stage.clusters.values()))
    program.kill_first()
    program.start()


def _worker_stopped_past_lease(stage: Stage) -> None:
    stopped_for(_one(stage, "busy_worker", cluster="separation"), stage.lease_s + 4)


def _part_stopped(stage: Stage) -> None:
    """A pusher, monitor or sentinel that does nothing more: only a look from outside finds it."""
    role = stage.random.choice(["pusher", "monitor", "sentinel", "idle_worker"])
    _one(stage, role).suspend()


def _janitor_killed(stage: Stage) -> None:
    stage.janitor.kill()
    stage.janitor.start()


def _database_restarted(stage: Stage) -> None:
    stage.database.restart(mode="fast")


def _database_crashed(stage: Stage) -> None:
    stage.database.restart(mode="immediate")


def _broker_lost(stage: Stage) -> None:
    if stage.redis is None:
        raise NothingToBreak
    with stage.redis.gone(2):
        pass


def _storage_failing(stage: Stage) -> None:
    with stage.files.failing(stage.files.folder / stage.media):
        time.sleep(stage.random.uniform(1, 3))


def _disk_full(stage: Stage) -> None:
    with stage.files.full():
        time.sleep(stage.random.uniform(1, 3))


def _receiver_down(stage: Stage) -> None:
    stage.receiver.down()
    time.sleep(stage.random.uniform(1, 3))
    stage.receiver.up()


KINDS: dict[str, Fault] = {
    "busy_worker_killed": _busy_worker_killed,
    "idle_worker_killed": _kill("idle_worker"),
    "engine_killed": _kill("engine"),
    "shared_engine_killed": _shared_engine_killed,
    "sentinel_killed": _kill("sentinel"),
    "pusher_killed": _kill("pusher"),
    "monitor_killed": _kill("monitor"),
    "leader_killed": _kill("leader"),
    "cluster_killed": _cluster_killed,
    "supervisor_killed": _supervisor_killed,
    "cluster_stopped_gracefully": _cluster_stopped_gracefully,
    "worker_stopped_past_lease": _worker_stopped_past_lease,
    "part_stopped": _part_stopped,
    "janitor_killed": _janitor_killed,
    "database_restarted": _database_restarted,
    "database_crashed": _database_crashed,
    "broker_lost": _broker_lost,
    "storage_failing": _storage_failing,
    "disk_full": _disk_full,
    "receiver_down": _receiver_down,
}


def one_after_another(stage: Stage, number: int, pause: Callable[[], bool]) -> None:
    """Do `number` faults, each kind as often as any other, until `pause` says that it is over."""
    kinds = [kind for kind in KINDS if kind != "broker_lost" or stage.redis is not None]
    waiting: list[str] = []
    while sum(stage.done.values()) < number and pause():
        waiting = waiting or stage.random.sample(kinds, len(kinds))
        kind = waiting.pop()
        started = time.monotonic()
        close_old_connections()
        try:
            KINDS[kind](stage)
        except (NothingToBreak, psutil.NoSuchProcess, DatabaseError):
            waiting.insert(0, kind)
            connection.close()
            continue
        stage.done[kind] = stage.done.get(kind, 0) + 1
        print(
            f"fault {sum(stage.done.values()):3d}  {kind} ({time.monotonic() - started:.1f} s)",
            flush=True,
        )
