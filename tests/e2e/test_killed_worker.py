"""Real clusters with the real engine, and SIGKILL."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from billing.models import Transaction
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.models import ENDED, Job, JobState
from tests.e2e.processes import manage, service_environment, wait_until
from tests.makers import make_asset, make_job, make_workspace

Process = AbstractContextManager[Popen[bytes]]


@pytest.fixture
def environ(media_dir: Path, transactional_db: None) -> dict[str, str]:
    return service_environment(media_dir, STEMWRIGHT_JOB_LEASE_SECONDS="3")


@pytest.fixture
def cluster(environ: dict[str, str], tmp_path: Path) -> Callable[[str], Process]:
    def start(name: str) -> Process:
        log = tmp_path / f"{name}.log"
        return manage("qcluster", environ={**environ, "Q_CLUSTER_NAME": name}, log=log)

    return start


@pytest.fixture(autouse=True)
def _janitor(environ: dict[str, str], tmp_path: Path) -> Iterator[None]:
    with manage("janitor", "--interval", "0.2", environ=environ, log=tmp_path / "janitor.log"):
        yield


def test_a_job_whose_worker_is_killed_finishes_once_and_is_charged_once(
    tmp_path: Path, cluster: Callable[[str], Process], stored: Callable[[], list[str]]
):
    """Killed when the first segment is done."""
    workspace = make_workspace(credits=100)
    job = make_job(workspace, make_asset(workspace, tmp_path, seconds=12), stems=("vocals", "bass"))
    log = tmp_path / "separation.log"

    def row() -> Job:
        return Job.objects.get(pk=job.pk)

    with cluster("separation"), cluster("default"):
        wait_until(lambda: 0 < row().progress < 1, timeout_s=60, log=log)
        assert (row().state, row().attempt) == (JobState.RUNNING, 1)
        os.kill(int(row().worker.rpartition(":")[2]), signal.SIGKILL)
        wait_until(lambda: row().state in ENDED, timeout_s=90, log=log)
        wait_until(lambda: row().swept_at is not None, timeout_s=30, log=tmp_path / "default.log")

    ended = row()
    assert (ended.state, ended.attempt, ended.charged_mcr) == (JobState.SUCCEEDED, 2, 30_000)
    wallet = wallet_get(workspace=workspace)
    assert (wallet.posted_mcr, wallet.held_mcr) == (70_000, 0)
    assert Transaction.objects.filter(kind="capture").count() == 1
    assert ledger_discrepancies() == []
    assert sorted(ended.stem_assets.values_list("stem", "n_samples")) == [
        ("bass", 12 * 44_100),
        ("vocals", 12 * 44_100),
    ]
    assert stored() == [
        f"jobs/{job.uuid}/2/bass.wav",
        f"jobs/{job.uuid}/2/vocals.wav",
        f"uploads/{job.asset.uuid}",
    ]
    kinds = list(ended.events.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["queued", "started", "requeued", "started", "succeeded"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_jobs_that_wait_survive_their_whole_cluster(
    tmp_path: Path, cluster: Callable[[str], Process]
):
    """The killed cluster had fetched wake-ups, which stay locked; the next one must wake all the
    same."""
    workspace = make_workspace(credits=100)
    asset = make_asset(workspace, tmp_path, seconds=1)
    for _ in range(4):
        make_job(workspace, asset)
    log = tmp_path / "separation.log"

    def count(**conditions: Any) -> int:
        return Job.objects.filter(**conditions).count()

    with cluster("separation") as killed:
        wait_until(lambda: count(state=JobState.RUNNING) == 1, timeout_s=60, log=log)
        os.killpg(killed.pid, signal.SIGKILL)
    with cluster("separation"):
        wait_until(lambda: count(state__in=ENDED) == 4, timeout_s=120, log=log)
    assert count(state=JobState.SUCCEEDED) == 4
    assert wallet_get(workspace=workspace).posted_mcr == 90_000
    assert Transaction.objects.filter(kind="capture").count() == 4
    assert ledger_discrepancies() == []
