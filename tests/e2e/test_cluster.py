"""Real supervisors and clusters, and what may befall them."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
import pytest
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.tasks import async_task

from billing.models import Reconciliation
from jobs import queue
from jobs.brokers import Redis, Sqs
from jobs.instance import FOLDER_VARIABLE
from jobs.queue import wake_reconciliation
from tests.e2e.processes import manage, service_environment, wait_until
from tests.servers.brokers import redis_server, sqs_server

Start = Callable[..., AbstractContextManager[Popen[bytes]]]


@pytest.fixture
def environ(media_dir: Path, transactional_db: None) -> dict[str, str]:
    return service_environment(
        media_dir,
        TMPDIR=str(media_dir.parent),
        STEMWRIGHT_LOG_LEVEL="INFO",
        STEMWRIGHT_CLUSTER_CANARY_SECONDS="1",
        STEMWRIGHT_CLUSTER_PATIENCE_SECONDS="4",
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "cluster.log"


@pytest.fixture
def start(environ: dict[str, str], log: Path) -> Start:
    def one(name: str, log: Path = log, **extra: str) -> AbstractContextManager[Popen[bytes]]:
        return manage("cluster", name, environ={**environ, **extra}, log=log)

    return one


def events(log: Path) -> list[dict[str, Any]]:
    """What the supervisor said."""
    lines = [line for line in log.read_text().splitlines() if '"jobs.supervisor"' in line]
    return [json.loads(line) for line in lines]


def leader(log: Path) -> int:
    """The process group that was started last."""
    return int([event["pid"] for event in events(log) if event["event"] == "cluster_started"][-1])


def alive(log: Path) -> list[psutil.Process]:
    """All that was started for the clusters of this log, in whatever group; leaders first."""
    leaders = [event["pid"] for event in events(log) if event["event"] == "cluster_started"]
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            # Members of the group have overwritten their environment with their titles.
            is_member = os.getpgid(process.pid) in leaders
            folder = process.environ().get(FOLDER_VARIABLE, "")
            if not is_member and not folder.startswith(str(log.parent)):
                continue
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return sorted(found, key=lambda process: process.pid not in leaders)


def those(log: Path, word: str) -> list[psutil.Process]:
    """The processes of a cluster that say this of themselves."""
    found = []
    for process in alive(log):
        with suppress(psutil.NoSuchProcess):
            if word in " ".join(process.cmdline()):
                found.append(process)
    return found


def works() -> Callable[[], bool]:
    """Whether a task that is sent from now on comes to its end. What a cluster had fetched when it
    was killed does not."""
    OrmQ.objects.all().delete()
    sent: set[int] = set()

    def is_done() -> bool:
        waiting = set(OrmQ.objects.values_list("pk", flat=True))
        if sent - waiting:
            return True
        if not waiting or len(sent) < 3:
            wake_reconciliation()
            sent.update(OrmQ.objects.values_list("pk", flat=True))
        return False

    return is_done


def test_a_cluster_that_hangs_is_back_soon_and_leaves_nothing(start: Start, log: Path):
    def back(hung: list[psutil.Process]) -> None:
        wait_until(lambda: hung[0].pid != leader(log), timeout_s=60, log=log)
        assert [process for process in hung if process.is_running()] == []
        wait_until(works(), timeout_s=60, log=log)

    with start("default") as supervisor:
        wait_until(lambda: "cluster_started" in log.read_text(), timeout_s=30, log=log)
        wait_until(works(), timeout_s=60, log=log)

        # One of the idle workers holds the lock of the queue.
        hung = alive(log)
        for process in those(log, "idle"):
            process.kill()
        back(hung)
        hung = alive(log)
        those(log, "monitor")[0].kill()
        back(hung)
        hung = alive(log)
        hung[0].suspend()
        back(hung)

        supervisor.terminate()
        assert supervisor.wait(60) == 0
        assert alive(log) == []

    hangs = [event["why"] for event in events(log) if event["event"] == "cluster_hung"]
    assert hangs[0] == "no worker takes a task"
    assert hangs[-2:] == ["nobody takes outcomes", "a process is stopped"]
    assert (events(log)[-1]["event"], events(log)[-1]["graceful"]) == ("cluster_stopped", True)


def test_a_cluster_may_be_busy_for_long_and_ends_with_its_supervisor(
    start: Start, log: Path, tmp_path: Path
):
    """Killed with SIGKILL, so that it can do nothing about it; the next one begins at once."""
    with start("default") as supervisor:
        wait_until(lambda: "cluster_started" in log.read_text(), timeout_s=30, log=log)
        wait_until(works(), timeout_s=60, log=log)
        for _ in range(3):
            async_task("time.sleep", 6, cluster="default", save=False)
        wait_until(lambda: OrmQ.objects.count() == 0, timeout_s=60, log=log)
        assert [event["event"] for event in events(log)] == ["cluster_started"]

        orphans = alive(log)
        supervisor.kill()
        next_log = tmp_path / "next.log"
        with start("default", next_log):
            wait_until(
                lambda: not any(process.is_running() for process in orphans), timeout_s=20, log=log
            )
            wait_until(works(), timeout_s=60, log=next_log)
    assert list(tmp_path.glob("cluster-*")) == []


def test_a_cluster_that_ends_by_itself_is_started_anew_less_and_less_often(start: Start, log: Path):
    def ended() -> list[float]:
        return [event["pause_s"] for event in events(log) if event["event"] == "cluster_ended"]

    with start("default", STEMWRIGHT_BROKER_URL="sqs://nowhere", AWS_ENDPOINT_URL_SQS="http://x:1"):
        wait_until(lambda: len(ended()) == 2, timeout_s=90, log=log)
    assert ended() == [0.5, 1]


@pytest.fixture(params=["redis", "sqs"])
def broker(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[dict[str, str]]:
    """Another broker than PostgreSQL, for this process and, by what is returned, for others."""
    if request.param == "redis":
        with redis_server(tmp_path) as url:
            monkeypatch.setattr(Conf, "REDIS", url)
            monkeypatch.setattr(queue, "_broker", Redis)
            yield {"STEMWRIGHT_BROKER_URL": url}
        return
    with sqs_server() as environ:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        conf = {"aws_region": "eu-central-1", "receive_message_wait_time_seconds": 2}
        monkeypatch.setattr(Conf, "SQS", conf)
        settings.SQS_QUEUE_PREFIX = "test-"
        monkeypatch.setattr(queue, "_broker", Sqs)
        yield environ


def test_a_wake_up_arrives_through_another_broker(start: Start, broker: dict[str, str], log: Path):
    """Without a janitor: it is sent once, and is all that the cluster hears."""
    wake_reconciliation()
    with start("default", **broker):
        done = Reconciliation.objects.exclude(finished_at=None)
        wait_until(done.exists, timeout_s=60, log=log)
    assert Reconciliation.objects.count() == 1
    assert OrmQ.objects.count() == 0
