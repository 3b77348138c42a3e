"""The supervisor in this process, over a program that stands in for the workers."""

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs import supervisor
from jobs.supervisor import Cluster
from tests.e2e.processes import wait_until

# Touches its pulse when it is ready. Its child is in a group of its own, as engines are.
DEAF = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "600"], start_new_session=True)
open(os.environ["STEMWRIGHT_INSTANCE_DIR"] + "/pulse", "w").write("x")
time.sleep(600)
"""


@pytest.fixture
def cluster_of(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Cluster]:
    settings.BASE_DIR = tmp_path
    settings.JOB_STOP_GRACE_SECONDS = 0
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def start(program: str) -> Cluster:
        (tmp_path / "manage.py").write_text(program)
        return Cluster("default")

    return start


@pytest.fixture(autouse=True)
def _no_handlers_are_left() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def folders(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("cluster-*"))


def test_workers_that_ignore_the_stop_are_killed_and_it_says_so(
    cluster_of: Callable[[str], Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(supervisor, "_STOP_MARGIN_S", 0.2)
    with cluster_of(DEAF) as cluster:
        (folder,) = folders(tmp_path)
        wait_until(lambda: (folder / "pulse").stat().st_size > 0, timeout_s=60, log=tmp_path / "-")
        family = cluster._family()
        assert len(family) == 2
        assert cluster.stop() is False
        assert (folder / "stop").exists()
    assert [process for process in family if process.is_running()] == []
    assert folders(tmp_path) == []


def test_a_stop_finds_a_cluster_that_has_just_ended(
    cluster_of: Callable[[str], Cluster], tmp_path: Path
):
    with cluster_of("") as cluster:
        wait_until(cluster._has_ended, timeout_s=60, log=tmp_path / "-")
        assert cluster.stop() is True
    assert folders(tmp_path) == []


def test_a_folder_that_somebody_removed_is_made_anew(
    cluster_of: Callable[[str], Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As those do that tidy up /tmp."""
    (tmp_path / "manage.py").write_text(DEAF)
    monkeypatch.setattr(supervisor, "tally_add_aside", lambda *_, **__: None)
    monkeypatch.setattr(supervisor, "_STOP_MARGIN_S", 0)
    monkeypatch.setattr(supervisor, "_LOOK_S", 0.01)
    monkeypatch.setattr(supervisor, "_PAUSES_S", (0,))
    started: list[int] = []
    real = Cluster.watch

    def watch(self: Cluster, stop: threading.Event) -> str | None:
        started.append(self._process.pid)
        if len(started) == 2:
            # Called, not sent: at the end of a whole run the signal itself ended pytest's worker.
            handler: Any = signal.getsignal(signal.SIGTERM)
            handler(signal.SIGTERM, None)
        else:
            (folder,) = folders(tmp_path)
            subprocess.run(["rm", "-r", folder], check=True)
        return real(self, stop)

    monkeypatch.setattr(Cluster, "watch", watch)
    supervisor.supervise("default")
    assert len(started) == 2
    assert not any(psutil.pid_exists(pid) for pid in started)
    assert folders(tmp_path) == []


def test_a_cluster_that_cannot_be_started_leaves_no_folder(
    cluster_of: Callable[[str], Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def no_more(*args: Any, **kwargs: Any) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr("jobs.supervisor.subprocess.Popen", no_more)
    with pytest.raises(BlockingIOError):
        cluster_of("")
    assert folders(tmp_path) == []
