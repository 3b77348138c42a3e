"""What workers say of themselves, and what is known of those that say nothing any more."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.db.models.functions import Now

from jobs.instance import worker_name
from jobs.models import Worker
from jobs.presence import (
    presence_begin,
    presence_values,
    presence_write,
    workers_clean,
    workers_list,
)

LOADED = [
    {"model": "htdemucs", "device": "cuda", "device_name": "H200", "backend": "cuda-graphs"},
]


@pytest.mark.django_db
def test_a_worker_says_where_it_is_and_what_it_has_loaded(monkeypatch: Any, settings: Any):
    monkeypatch.setenv("Q_CLUSTER_NAME", "separation")
    settings.SEPARATION_DEVICE = "auto"
    values = presence_values()
    for loaded, device in (([], "auto"), (LOADED, "cuda")):
        monkeypatch.setattr("jobs.engine.engine_models", lambda loaded=loaded: loaded)
        presence_write(values)
        row = Worker.objects.get()
        assert (row.name, row.cluster, row.device) == (worker_name(), "separation", device)
    assert (row.pid, row.device_name, row.loaded) == (os.getpid(), "H200", LOADED)
    assert row.at_once == settings.JOBS_AT_ONCE


@pytest.mark.django_db
def test_who_is_silent_is_known_and_in_the_end_forgotten(monkeypatch: Any):
    monkeypatch.setenv("Q_CLUSTER_NAME", "imports")
    presence_write(presence_values())
    assert [row.is_silent for row in workers_list()] == [False]
    Worker.objects.update(seen_at=Now() - timedelta(seconds=61))
    workers_clean()
    assert [row.is_silent for row in workers_list()] == [True]
    Worker.objects.update(seen_at=Now() - timedelta(hours=25))
    workers_clean()
    assert not workers_list().exists()


def _work(begun: Any, may_end: Any) -> None:
    connections.close_all()
    presence_begin()
    presence_begin()
    begun.set()
    may_end.wait(30)


@pytest.fixture
def worker(transactional_db: None, monkeypatch: Any) -> Iterator[tuple[Any, Any]]:
    """A process that says that it lives, as those of a cluster are made."""
    monkeypatch.setenv("Q_CLUSTER_NAME", "default")
    context = multiprocessing.get_context("fork")
    begun, may_end = context.Event(), context.Event()
    connections.close_all()
    process = context.Process(target=_work, args=(begun, may_end))
    process.start()
    assert begun.wait(30)
    yield process, may_end
    process.kill()
    process.join()


def _row(process: Any) -> Worker | None:
    return Worker.objects.filter(pid=process.pid).first()


def _written(process: Any) -> Worker:
    """Once its first beat is there."""
    for _ in range(3000):
        if row := _row(process):
            return row
        process.join(0.01)
    raise AssertionError("no beat")


def test_one_that_ends_in_order_is_gone(worker: tuple[Any, Any]):
    process, may_end = worker
    assert _written(process).cluster == "default"
    may_end.set()
    process.join(30)
    assert (process.exitcode, _row(process)) == (0, None)


def test_one_that_is_killed_leaves_its_name(worker: tuple[Any, Any]):
    process, _ = worker
    _written(process)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert _row(process) is not None
