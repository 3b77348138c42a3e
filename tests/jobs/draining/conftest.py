"""A worker with two places, and jobs for it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import Workspace
from jobs import draining
from jobs.draining import Crew, jobs_drain
from jobs.instance import is_stop_requested
from jobs.models import Job
from jobs.work import separation as work_separation
from tests.jobs.draining.desk import Desk
from tests.makers import make_asset, make_job, make_workspace


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk()
    may_claim = Crew.may_claim

    def look(crew: Crew) -> bool:
        desk.looks += 1
        desk.crew = crew
        return may_claim(crew)

    monkeypatch.setattr(work_separation, "engine_separate", desk.separate)
    monkeypatch.setattr(Crew, "may_claim", look)
    monkeypatch.setattr(draining, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(draining, "_NOTHING_FOR_US_S", 0.01)
    return desk


@pytest.fixture(autouse=True)
def _two_at_once(settings: Any) -> None:
    settings.JOBS_AT_ONCE = 2
    settings.JOB_HEARTBEAT_SECONDS = 0.02


@pytest.fixture
def workspace(transactional_db: None) -> Workspace:
    return make_workspace(credits=1000)


@pytest.fixture
def order(workspace: Workspace, tmp_path: Path) -> Callable[..., Job]:
    # One of them is too long to be a preview.
    assets = {seconds: make_asset(workspace, tmp_path, seconds=seconds) for seconds in (0.1, 31)}

    # A worker may be looking: it must not see a job before it is what the test wants.
    @transaction.atomic
    def one(*, is_preview: bool = False, losses: int = 0, of: Workspace = workspace) -> Job:
        job = make_job(workspace, assets[0.1 if is_preview else 31])
        assert job.is_preview is is_preview
        Job.objects.filter(pk=job.pk).update(losses=losses, workspace=of)
        return job

    return one


@pytest.fixture
def drain(desk: Desk) -> Iterator[Callable[[], "Future[bool]"]]:
    """Start a worker beside the test."""
    pool = ThreadPoolExecutor(1)
    is_over = threading.Event()

    def work() -> bool:
        try:
            return jobs_drain(may_go_on=lambda: not (is_over.is_set() or is_stop_requested()))
        finally:
            connection.close()

    yield lambda: pool.submit(work)
    is_over.set()
    desk.let_go()
    pool.shutdown()
