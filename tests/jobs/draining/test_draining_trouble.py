"""What befalls one of several jobs in a worker, and what it costs the others."""

import threading
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from structlog.testing import capture_logs

import separation
from accounts.models import Workspace
from jobs import draining, runner, scheduling
from jobs.draining import Crew
from jobs.engine import EngineLost
from jobs.heartbeat import Heartbeat
from jobs.instance import FOLDER_VARIABLE, Pulse, stop_request
from jobs.models import Job
from jobs.services import job_cancel
from jobs.work import separation as work_separation
from tests.jobs.draining.desk import Desk, after_some_looks, assert_charged_once, states, until

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_engine_that_is_lost_costs_each_job_in_it_one_attempt(
    workspace: Workspace, order: Any, desk: Desk, drain: Any
):
    jobs = [order(), order()]
    desk.errors = {str(job.uuid): EngineLost(-9) for job in jobs}
    worker = drain()
    until(lambda: desk.has(*jobs))
    desk.let_go()
    assert worker.result(60) is True
    assert list(Job.objects.values_list("state", "attempt", "losses")) == [("succeeded", 2, 1)] * 2
    assert [len(met) for met in desk.met[2:]] == [1, 1]
    assert_charged_once(workspace, 2, jobs[0].price_mcr)


def test_one_that_ends_each_engine_fails_and_those_beside_it_do_not(
    workspace: Workspace, order: Any, desk: Desk, drain: Any
):
    innocent, poisonous, other = order(), order(), order()
    desk.poison = str(poisonous.uuid)
    worker = drain()
    until(lambda: desk.has(innocent, poisonous))
    desk.let_go(poisonous)
    until(lambda: not desk.has(innocent, poisonous))
    desk.let_go()
    assert worker.result(60) is True
    fates = {job.pk: (job.state, job.losses, job.error_code) for job in Job.objects.all()}
    assert fates[poisonous.pk] == ("failed", 3, "engine_lost")
    assert fates[innocent.pk] == ("succeeded", 1, "")
    assert fates[other.pk] == ("succeeded", 0, "")
    alone = [met for met in desk.met if str(poisonous.uuid) in met][1:]
    assert alone == [{str(poisonous.uuid)}] * 2
    assert_charged_once(workspace, 2, innocent.price_mcr)


def test_a_cancel_stops_one_and_leaves_the_other(
    workspace: Workspace, order: Any, desk: Desk, drain: Any
):
    jobs = [order(), order()]
    worker = drain()
    until(lambda: desk.has(*jobs))
    job_cancel(workspace=workspace, job_uuid=jobs[0].uuid)
    until(lambda: desk.has(jobs[1]))
    desk.let_go()
    assert worker.result(60) is True
    assert states() == {"cancelled": 1, "succeeded": 1}
    assert_charged_once(workspace, 1, jobs[0].price_mcr)


def test_all_are_handed_back_at_a_stop(
    order: Any, desk: Desk, drain: Any, tmp_path: Path, settings: Any, monkeypatch: Any
):
    folder = tmp_path / "instance"
    folder.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    settings.JOB_STOP_GRACE_SECONDS = 0
    jobs = [order() for _ in range(3)]
    worker = drain()
    until(lambda: desk.has(*jobs[:2]))
    stop_request(folder)
    assert worker.result(60) is False
    assert list(Job.objects.order_by("pk").values_list("state", "attempt", "losses")) == [
        *[("queued", 1, 0)] * 2,
        ("queued", 0, 0),
    ]


def test_a_thread_that_breaks_neither_ends_nor_blocks_the_others(
    order: Any, desk: Desk, drain: Any, monkeypatch: pytest.MonkeyPatch
):
    jobs = [order() for _ in range(4)]

    def run(job: Job) -> None:
        if job == jobs[1]:
            raise SystemExit(3)
        runner.job_run(job)

    monkeypatch.setattr(draining, "job_run", run)
    desk.let_go()
    with capture_logs() as logs:
        assert drain().result(60) is True
    # Its lease will end.
    assert states() == {"running": 1, "succeeded": 3}
    broken = [line["job"] for line in logs if line["event"] == "job_thread_broke"]
    assert broken == [str(jobs[1].uuid)]


def test_a_job_may_come_back_before_the_thread_that_gave_it_up_is_done(
    order: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """As when the answer to a commit is lost, and the thread tries to write once more."""
    job = order()
    first, second = Job.objects.get(pk=job.pk), Job.objects.get(pk=job.pk)
    first.attempt, second.attempt = 1, 2
    may_end = {1: threading.Event(), 2: threading.Event()}
    monkeypatch.setattr(draining, "job_run", lambda job: may_end[job.attempt].wait(60))
    with Crew(2) as crew:
        for attempt in (first, second):
            crew._add_thread()
            crew.start(attempt)
        may_end[1].set()
        until(lambda: crew.n_ended == 1)
        assert not crew.is_idle
        may_end[2].set()
        until(lambda: crew.n_ended == 2)
        assert crew.is_idle
        assert all(thread.is_alive() for thread in crew._threads)


def test_a_thread_that_broke_begins_its_next_job_with_another_connection(
    order: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    found: list[int] = []

    def run(job: Job) -> None:
        connection.ensure_connection()
        found.append(connection.connection.info.backend_pid)
        raise MemoryError

    monkeypatch.setattr(draining, "job_run", run)
    jobs = [order(), order()]
    with Crew(2) as crew:
        crew._add_thread()
        for job in jobs:
            crew.start(job)
    assert len(set(found)) == 2


def test_nothing_is_claimed_beside_a_job_that_hangs(
    order: Any, desk: Desk, drain: Any, tmp_path: Path, settings: Any, monkeypatch: Any
):
    """Else the pulses of the others would hide it from the supervisor."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr("jobs.heartbeat._HANG_PATIENCE_S", 0)
    hanging = order()
    goes_on = threading.Event()
    separate = desk.separate

    def hang(*, watch: Any, **options: Any) -> separation.SeparationResult:
        goes_on.wait(60)
        return separate(watch=lambda: None, **options)

    monkeypatch.setattr(work_separation, "engine_separate", hang)
    monkeypatch.setattr(
        "jobs.heartbeat.time_limit_s", lambda work: 0 if work == hanging else 1_000_000
    )
    with capture_logs() as logs:
        worker = drain()
        until(lambda: any(line["event"] == "job_hangs" for line in logs))
    order()
    looks = desk.looks
    (tmp_path / Pulse.WORKER).unlink()
    assert not wait([worker], timeout=0.2).done
    assert desk.looks <= looks + 1
    assert not (tmp_path / Pulse.WORKER).exists()
    # It came to its end after all: the next task goes on.
    goes_on.set()
    desk.let_go()
    assert worker.result(60) is False
    monkeypatch.setattr("jobs.heartbeat.time_limit_s", lambda work: 1_000_000)
    assert drain().result(60) is True
    assert not states()["queued"]


def test_claims_that_fail_do_not_end_the_jobs_that_run(
    order: Any, desk: Desk, drain: Any, monkeypatch: pytest.MonkeyPatch
):
    jobs = [order(), order()]
    failures = iter(range(3))

    def claim(*, beside_others: bool, **options: bool) -> Job | None:
        if beside_others and next(failures, None) is not None:
            raise OperationalError("the server is restarting")
        return scheduling.job_claim(beside_others=beside_others, **options)

    monkeypatch.setattr(draining, "job_claim", claim)
    worker = drain()
    until(lambda: desk.has(*jobs))
    desk.let_go()
    assert worker.result(60) is True
    assert (next(failures, None), states()) == (None, {"succeeded": 2})


def test_nothing_is_claimed_while_the_engine_is_winding_up(
    order: Any, desk: Desk, drain: Any, monkeypatch: pytest.MonkeyPatch
):
    asked: list[None] = []

    def is_winding_up() -> bool:
        asked.append(None)
        return True

    monkeypatch.setattr(draining, "engine_is_winding_up", is_winding_up)
    first, second = order(), order()
    worker = drain()
    until(lambda: desk.has(first))
    until(lambda: len(asked) > 3)
    assert desk.has(first)
    desk.let_go(first)
    until(lambda: desk.has(second))
    desk.let_go()
    assert worker.result(60) is True


def test_a_worker_whose_jobs_hang_shows_no_life(
    order: Any, desk: Desk, drain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its supervisor must see it: looking for more work is no sign that the work goes on."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)
    hanging = order()
    worker = drain()
    until(lambda: desk.has(hanging))
    (tmp_path / Pulse.WORKER).unlink()
    after_some_looks(desk)
    assert not (tmp_path / Pulse.WORKER).exists()
    another = order()
    until(lambda: desk.has(hanging, another))
    assert (tmp_path / Pulse.WORKER).exists()
    desk.let_go()
    assert worker.result(60) is True
