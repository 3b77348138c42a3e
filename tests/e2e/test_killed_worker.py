import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from billing.models import Transaction
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.models import ENDED, Job, JobState
from tests.e2e.processes import manage, service_environment, wait_until
from tests.makers import make_asset, make_job, make_workspace


@pytest.mark.django_db(transaction=True)
def test_a_job_whose_worker_is_killed_finishes_once_and_is_charged_once(
    tmp_path: Path, media_dir: Path, stored: Callable[[], list[str]]
):
    """The real engine in a real cluster; SIGKILL when the first segment is done."""
    workspace = make_workspace(credits=100)
    job = make_job(workspace, make_asset(workspace, tmp_path, seconds=12), stems=("vocals", "bass"))
    environ = service_environment(media_dir, STEMWRIGHT_JOB_LEASE_SECONDS="3")
    cluster_log, janitor_log = tmp_path / "cluster.log", tmp_path / "janitor.log"

    def row() -> Job:
        return Job.objects.get(pk=job.pk)

    with (
        manage("qcluster", environ={**environ, "Q_CLUSTER_NAME": "separation"}, log=cluster_log),
        manage("janitor", "--interval", "0.2", environ=environ, log=janitor_log),
    ):
        wait_until(lambda: 0 < row().progress < 1, timeout_s=60, log=cluster_log)
        assert (row().state, row().attempt) == (JobState.RUNNING, 1)
        os.kill(int(row().worker.rpartition(":")[2]), signal.SIGKILL)
        wait_until(lambda: row().state in ENDED, timeout_s=90, log=cluster_log)
        wait_until(lambda: row().swept_at is not None, timeout_s=30, log=janitor_log)

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
