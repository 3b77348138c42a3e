"""Several jobs at the same time in one worker, each in a real thread on the real database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.models import Workspace
from jobs.draining import jobs_drain
from tests.jobs.draining.desk import Desk, after_some_looks, assert_charged_once, states, until
from tests.makers import make_workspace

pytestmark = pytest.mark.django_db(transaction=True)

_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


def test_as_many_run_together_as_there_are_places(
    workspace: Workspace, order: Any, desk: Desk, drain: Any
):
    jobs = [order() for _ in range(3)]
    worker = drain()
    until(lambda: desk.has(*jobs[:2]))
    desk.let_go(jobs[0])
    until(lambda: desk.has(*jobs[1:]))
    desk.let_go()
    assert worker.result(60) is True
    assert max(len(met) for met in desk.met) == 2
    assert states() == {"succeeded": 3}
    assert_charged_once(workspace, 3, jobs[0].price_mcr)


def test_it_leaves_no_connection_open(order: Any, desk: Desk, drain: Any):
    for _ in range(3):
        order()
    desk.let_go()
    assert drain().result(60) is True
    with connection.cursor() as cursor:
        # A connection that was closed may take the server a moment to end.
        until(lambda: cursor.execute(_OTHERS) or cursor.fetchone() == (0,))


def test_a_job_that_comes_while_others_run_begins_beside_them(order: Any, desk: Desk, drain: Any):
    first = order()
    worker = drain()
    until(lambda: desk.has(first))
    second = order()
    until(lambda: desk.has(first, second))
    desk.let_go()
    assert worker.result(60) is True


def test_a_preview_waits_for_no_long_job(order: Any, desk: Desk, drain: Any):
    long = [order(), order()]
    worker = drain()
    until(lambda: desk.has(*long))
    third = order()
    after_some_looks(desk)
    assert desk.has(*long)
    previews = [order(is_preview=True), order(is_preview=True)]
    until(lambda: desk.has(*long, previews[0]))
    # There is one such place.
    desk.let_go(previews[0])
    until(lambda: desk.has(*long, previews[1]))
    desk.let_go(previews[1])
    until(lambda: desk.has(*long))
    desk.let_go(long[0])
    until(lambda: desk.has(long[1], third))
    desk.let_go()
    assert worker.result(60) is True


def test_with_one_at_a_time_previews_wait_too(order: Any, desk: Desk, drain: Any, settings: Any):
    settings.JOBS_AT_ONCE = 1
    long = order()
    worker = drain()
    until(lambda: desk.has(long))
    preview = order(is_preview=True)
    after_some_looks(desk)
    assert desk.has(long)
    desk.let_go(long)
    until(lambda: desk.has(preview))
    desk.let_go()
    assert worker.result(60) is True


def test_a_job_that_was_lost_before_runs_alone(order: Any, desk: Desk, drain: Any):
    lost = order(losses=1)
    worker = drain()
    until(lambda: desk.has(lost))
    others = [order(), order(is_preview=True)]
    after_some_looks(desk)
    assert desk.has(lost)
    desk.let_go(lost)
    until(lambda: desk.has(*others))
    desk.let_go()
    assert worker.result(60) is True


def test_a_job_that_was_lost_before_keeps_its_turn_until_it_can_be_alone(
    order: Any, desk: Desk, drain: Any
):
    first = order()
    lost = order(losses=1)
    last = order()
    worker = drain()
    until(lambda: desk.has(first))
    after_some_looks(desk)
    assert desk.has(first)
    desk.let_go(first)
    until(lambda: desk.has(lost))
    desk.let_go(lost)
    until(lambda: desk.has(last))
    desk.let_go()
    assert worker.result(60) is True


def test_a_preview_waits_for_no_long_job_behind_one_that_has_to_run_alone(
    order: Any, desk: Desk, drain: Any
):
    long = order()
    # Within a workspace previews keep their order.
    lost = order(is_preview=True, losses=1, of=make_workspace("Another"))
    previews = [order(is_preview=True) for _ in range(2)]
    worker = drain()
    until(lambda: desk.has(lost))
    desk.let_go(lost)
    until(lambda: desk.has(*previews))
    desk.let_go(*previews)
    until(lambda: desk.has(long))
    lost_again = order(is_preview=True, losses=1, of=make_workspace("A third"))
    after_some_looks(desk)
    assert desk.has(long)
    another = order(is_preview=True)
    until(lambda: desk.has(long, another))
    # With previews alone it is soon free: nothing more passes.
    desk.let_go(long)
    until(lambda: desk.crew is not None and desk.crew.n_ended == 4)
    waiting = order(is_preview=True)
    after_some_looks(desk)
    assert desk.has(another)
    desk.let_go(another)
    until(lambda: desk.has(lost_again))
    desk.let_go(lost_again)
    until(lambda: desk.has(waiting))
    desk.let_go()
    assert worker.result(60) is True


def test_when_it_is_late_only_previews_begin_and_only_beside_a_long_job(
    order: Any, desk: Desk, tmp_path: Path
):
    late = threading.Event()
    long = order()

    def work() -> bool:
        try:
            return jobs_drain(may_go_on=lambda: True, is_late=late.is_set)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(work)
        until(lambda: desk.has(long))
        late.set()
        waiting = order()
        after_some_looks(desk)
        assert desk.has(long)
        previews = [order(is_preview=True) for _ in range(2)]
        until(lambda: desk.has(long, *previews))
        desk.let_go(long)
        until(lambda: desk.crew is not None and desk.crew.n_ended == 1)
        # The next task sees to it.
        too_late = order(is_preview=True)
        desk.let_go()
        assert worker.result(60) is False
    for job in (waiting, too_late):
        job.refresh_from_db()
        assert job.state == "queued"
