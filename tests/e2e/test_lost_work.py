"""Real clusters with the real engine: what happens to jobs when their processes go."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
import pytest

from accounts.models import Workspace
from billing.models import Transaction
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.cleaning import storage_clean
from jobs.models import ENDED, Job, JobState
from jobs.services import Order, job_create
from tests.e2e.processes import manage, service_environment, wait_until
from tests.makers import make_asset, make_workspace

SECONDS = 24
PART_SECONDS = 8


@pytest.fixture
def environ(media_dir: Path, transactional_db: None) -> dict[str, str]:
    return service_environment(
        media_dir,
        STEMWRIGHT_LOG_LEVEL="INFO",
        STEMWRIGHT_JOB_LEASE_SECONDS="3",
        STEMWRIGHT_JOB_PARTS_FROM_SECONDS="10",
        STEMWRIGHT_JOB_PART_SECONDS=str(PART_SECONDS),
        STEMWRIGHT_JOB_STOP_GRACE_SECONDS="0",
        STEMWRIGHT_JOBS_AT_ONCE="1",
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "separation.log"


@pytest.fixture
def cluster(
    environ: dict[str, str], log: Path
) -> Callable[..., AbstractContextManager[Popen[bytes]]]:
    return lambda **extra: manage("cluster", "separation", environ=environ | extra, log=log)


@pytest.fixture(autouse=True)
def _janitor(environ: dict[str, str], tmp_path: Path) -> Iterator[None]:
    with manage("janitor", "--interval", "0.2", environ=environ, log=tmp_path / "janitor.log"):
        yield


@pytest.fixture
def workspace(transactional_db: None) -> Workspace:
    return make_workspace(credits=1000)


def order(workspace: Workspace, folder: Path, *, seconds: float) -> Job:
    order = Order(
        asset_uuid=make_asset(workspace, folder, seconds=seconds).uuid,
        service="separation",
        stems=["vocals"],
        model="spleeter-2stems",
        output_format="wav",
    )
    return job_create(workspace=workspace, api_key=None, order=order)


def row(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def worker_of(job: Job) -> psutil.Process:
    return psutil.Process(int(row(job).worker.rpartition(":")[2]))


def is_engine(process: psutil.Process) -> bool:
    return "separation" in process.cmdline()


def engine_at(job: Job, *, attempt: int, log: Path) -> psutil.Process:
    """The process that separates in this attempt, as soon as there is one."""
    found: list[psutil.Process] = []

    def is_at_work() -> bool:
        now = row(job)
        if (now.state, now.attempt) == (JobState.RUNNING, attempt):
            children = worker_of(job).children()
            found.extend(child for child in children if is_engine(child))
        return bool(found)

    wait_until(is_at_work, timeout_s=90, log=log)
    return found[0]


def is_gone(process: psutil.Process) -> bool:
    """Also when nobody has buried it yet."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(*processes: psutil.Process, log: Path) -> None:
    wait_until(lambda: all(is_gone(process) for process in processes), timeout_s=30, log=log)


def history(job: Job) -> list[tuple[str, str]]:
    return list(job.events.order_by("pk").values_list("kind", "detail"))


def assert_all_ended_and_were_charged_once(*jobs: Job) -> None:
    assert {row(job).state for job in jobs} == {JobState.SUCCEEDED}
    wallet = wallet_get(workspace=jobs[0].workspace)
    charged_mcr = sum(job.price_mcr for job in jobs)
    assert (wallet.posted_mcr, wallet.held_mcr) == (1_000_000 - charged_mcr, 0)
    assert Transaction.objects.filter(kind="capture").count() == len(jobs)
    assert ledger_discrepancies() == []
    for job in jobs:
        stems = list(job.stem_assets.values_list("stem", "n_samples"))
        assert stems == [("vocals", job.recording.n_samples)]


def test_a_job_survives_its_worker_and_its_engine_and_no_part_is_made_twice(
    workspace: Workspace,
    cluster: Callable[..., AbstractContextManager[Any]],
    stored: Callable[[], list[str]],
    log: Path,
    tmp_path: Path,
):
    job = order(workspace, tmp_path, seconds=SECONDS)
    with cluster():
        engine = engine_at(job, attempt=1, log=log)
        wait_until(lambda: job.parts.count() >= 1, timeout_s=90, log=log)
        worker_of(job).kill()
        wait_until_gone(engine, log=log)
        engine = engine_at(job, attempt=2, log=log)
        worker = worker_of(job)
        engine.kill()
        wait_until(lambda: row(job).state in ENDED, timeout_s=90, log=log)
        assert not is_gone(worker)
        assert worker == worker_of(job)
        # It stays with its worker, and goes with it.
        engine = next(child for child in worker.children() if is_engine(child))
    wait_until_gone(engine, log=log)
    ended = row(job)
    assert (ended.attempt, ended.losses) == (3, 2)
    assert history(ended) == [
        *(("queued", ""), ("started", ""), ("requeued", "worker_lost")),
        *(("started", ""), ("requeued", "engine_lost")),
        *(("started", ""), ("succeeded", "")),
    ]
    first, *rest = job.parts.order_by("number")
    assert first.keys["00000.vocals.wav"] == f"jobs/{job.uuid}/parts/1/00000.vocals.wav"
    assert all(part.number * PART_SECONDS < SECONDS for part in rest)
    assert_all_ended_and_were_charged_once(job)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert storage_clean() == 1
    assert stored() == [f"jobs/{job.uuid}/3/vocals.wav", f"uploads/{job.recording.uuid}"]


def test_jobs_survive_that_their_cluster_is_stopped_and_that_it_is_killed(
    workspace: Workspace,
    cluster: Callable[..., AbstractContextManager[Any]],
    log: Path,
    tmp_path: Path,
):
    job = order(workspace, tmp_path, seconds=SECONDS)
    waiting = [order(workspace, tmp_path, seconds=1) for _ in range(3)]
    with cluster() as stopped:
        engine = engine_at(job, attempt=1, log=log)
        family = [worker_of(job), engine]
        # As Ctrl-C does.
        stopped.send_signal(signal.SIGINT)
        assert stopped.wait(60) == 0
        assert all(is_gone(process) for process in family)
    handed_back = row(job)
    assert (handed_back.state, handed_back.attempt, handed_back.losses) == ("queued", 1, 0)
    last = [line for line in log.read_text().splitlines() if "cluster_stopped" in line][-1]
    assert json.loads(last)["graceful"] is True
    held_mcr = sum(one.price_mcr for one in (job, *waiting))
    assert wallet_get(workspace=workspace).held_mcr == held_mcr

    with cluster() as killed:
        engine = engine_at(job, attempt=2, log=log)
        family = [worker_of(job), engine]
        os.kill(killed.pid, signal.SIGKILL)
        wait_until_gone(*family, log=log)
    # What that cluster had fetched stays locked; the next one must be woken all the same.
    with cluster():
        wait_until(lambda: not Job.objects.exclude(state__in=ENDED).exists(), timeout_s=90, log=log)
    assert (row(job).attempt, row(job).losses) == (3, 1)
    assert [kind for kind, _ in history(job)] == [
        *("queued", "started", "handed_back"),
        *("started", "requeued", "started", "succeeded"),
    ]
    assert_all_ended_and_were_charged_once(job, *waiting)


def test_jobs_that_share_an_engine_survive_it_and_then_run_alone(
    workspace: Workspace,
    cluster: Callable[..., AbstractContextManager[Any]],
    log: Path,
    tmp_path: Path,
):
    jobs = [order(workspace, tmp_path, seconds=60) for _ in range(2)]
    with cluster(STEMWRIGHT_JOBS_AT_ONCE="2"):
        # Both are in it, and each has most of its recording before it.
        wait_until(lambda: all(job.parts.exists() for job in jobs), timeout_s=90, log=log)
        (engine,) = [child for child in worker_of(jobs[0]).children() if is_engine(child)]
        engine.kill()
        wait_until(lambda: not Job.objects.exclude(state__in=ENDED).exists(), timeout_s=90, log=log)
    assert [(row(job).attempt, row(job).losses) for job in jobs] == [(2, 1)] * 2
    for job in jobs:
        assert [kind for kind, _ in history(job)] == [
            *("queued", "started", "requeued", "started", "succeeded")
        ]
    # One began after the other had ended.
    times = [list(job.events.order_by("pk").values_list("created_at", flat=True)) for job in jobs]
    (_, _, _, _, first_ended_at), (_, _, _, second_started_at, _) = sorted(times, key=max)
    assert second_started_at >= first_ended_at
    assert_all_ended_and_were_charged_once(*jobs)
    assert list((tmp_path / "scratch").iterdir()) == []
