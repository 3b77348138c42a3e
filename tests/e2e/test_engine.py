"""Real clusters, and what happens to the process that separates for them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from billing.models import Transaction
from billing.selectors import ledger_discrepancies, wallet_get
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
        STEMWRIGHT_JOB_PARTS_FROM_SECONDS="1",
        STEMWRIGHT_JOB_PART_SECONDS=str(PART_SECONDS),
        STEMWRIGHT_JOB_STOP_GRACE_SECONDS="0",
    )


@pytest.fixture(autouse=True)
def _janitor(environ: dict[str, str], tmp_path: Path) -> Iterator[None]:
    with manage("janitor", "--interval", "0.2", environ=environ, log=tmp_path / "janitor.log"):
        yield


@pytest.fixture
def job(tmp_path: Path, transactional_db: None) -> Job:
    workspace = make_workspace(credits=100)
    order = Order(
        asset_uuid=make_asset(workspace, tmp_path, seconds=SECONDS).uuid,
        service="separation",
        stems=["vocals"],
        model="spleeter-2stems",
        output_format="wav",
    )
    return job_create(workspace=workspace, api_key=None, order=order)


def row(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def worker_pid(job: Job) -> int:
    return int(row(job).worker.rpartition(":")[2])


def engine_of(worker: int) -> psutil.Process | None:
    children = psutil.Process(worker).children()
    return next((child for child in children if "separation" in child.cmdline()), None)


def assert_charged_once(job: Job) -> None:
    wallet = wallet_get(workspace=job.workspace)
    assert (wallet.posted_mcr, wallet.held_mcr) == (100_000 - job.price_mcr, 0)
    assert Transaction.objects.filter(kind="capture").count() == 1
    assert ledger_discrepancies() == []
    assert list(job.stem_assets.values_list("stem", "n_samples")) == [("vocals", SECONDS * 44_100)]


def test_a_killed_engine_takes_no_worker_with_it_and_its_parts_are_not_made_again(
    job: Job, environ: dict[str, str], tmp_path: Path
):
    log = tmp_path / "separation.log"
    with manage("cluster", "separation", environ=environ, log=log):
        wait_until(lambda: job.parts.count() >= 1, timeout_s=90, log=log)
        worker = worker_pid(job)
        engine = engine_of(worker)
        assert engine is not None
        os.kill(engine.pid, signal.SIGKILL)
        wait_until(lambda: row(job).state in ENDED, timeout_s=90, log=log)
        assert psutil.Process(worker).status() != psutil.STATUS_ZOMBIE
        another = engine_of(worker)
        assert another is not None
        assert another.pid != engine.pid
    wait_until(lambda: not another.is_running(), timeout_s=30, log=log)
    ended = row(job)
    assert (ended.state, ended.attempt, ended.losses) == (JobState.SUCCEEDED, 2, 1)
    kinds = list(ended.events.order_by("pk").values_list("kind", "detail"))
    assert kinds[2] == ("requeued", "engine_lost")
    first, *rest = job.parts.order_by("number")
    assert first.keys["00000.vocals.wav"] == f"jobs/{job.uuid}/parts/1/00000.vocals.wav"
    for part in rest:
        assert part.number * PART_SECONDS < SECONDS
    assert_charged_once(ended)


def test_a_cluster_that_is_stopped_hands_its_job_back(
    job: Job, environ: dict[str, str], tmp_path: Path
):
    log = tmp_path / "separation.log"
    engines: list[Any] = []

    def is_at_work() -> bool:
        if row(job).state == JobState.RUNNING:
            engines.append(engine_of(worker_pid(job)))
        return bool(engines and engines[-1])

    with manage("cluster", "separation", environ=environ, log=log) as cluster:
        wait_until(is_at_work, timeout_s=90, log=log)
        cluster.terminate()
        assert cluster.wait(60) == 0
    handed_back = row(job)
    assert (handed_back.state, handed_back.attempt, handed_back.losses) == ("queued", 1, 0)
    assert not engines[-1].is_running()
    with manage("cluster", "separation", environ=environ, log=log):
        wait_until(lambda: row(job).state in ENDED, timeout_s=90, log=log)
    ended = row(job)
    assert (ended.state, ended.attempt, ended.losses) == (JobState.SUCCEEDED, 2, 0)
    kinds = list(ended.events.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["queued", "started", "handed_back", "started", "succeeded"]
    assert_charged_once(ended)
