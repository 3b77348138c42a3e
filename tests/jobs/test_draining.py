"""Several jobs at the same time in one worker, each in a real thread on the real database."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from structlog.testing import capture_logs

import separation
from accounts.models import Workspace
from billing.models import Transaction
from billing.selectors import ledger_discrepancies, wallet_get
from jobs import draining, runner, scheduling
from jobs.draining import Crew, jobs_drain
from jobs.engine import EngineLost
from jobs.heartbeat import Heartbeat
from jobs.instance import FOLDER_VARIABLE, Pulse, is_stop_requested, stop_request
from jobs.models import Job
from jobs.services import job_cancel
from tests.makers import make_asset, make_job, make_wav, make_workspace

pytestmark = pytest.mark.django_db(transaction=True)

_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


class Desk:
    """In the place of the engine: each job stays on it until it is let go."""

    def __init__(self) -> None:
        self.within: list[str] = []
        # Those who were within together, each time that one came.
        self.met: list[set[str]] = []
        self.errors: dict[str, Exception] = {}
        # Whose work ends the engine for all who are within.
        self.poison = ""
        self.looks = 0
        self.crew: Crew | None = None
        self._free: set[str] = set()
        self._all_free = False
        self._crashes = 0
        self._lock = threading.Lock()

    def let_go(self, *jobs: Job) -> None:
        self._free.update(str(job.uuid) for job in jobs)
        self._all_free = not jobs

    def has(self, *jobs: Job) -> bool:
        return sorted(self.within) == sorted(str(job.uuid) for job in jobs)

    def separate(
        self,
        *,
        folder: Path,
        watch: Callable[[], None],
        info: separation.AudioInfo,
        stems: list[str],
        model: str,
        **_: Any,
    ) -> separation.SeparationResult:
        name = folder.name.partition(".")[0]
        with self._lock:
            self.within.append(name)
            self.met.append(set(self.within))
            crashes = self._crashes
        try:
            while not (self._all_free or name in self._free):
                watch()
                if self._crashes > crashes:
                    break
                time.sleep(0.002)
            if name == self.poison:
                self._crashes += 1
            if self._crashes > crashes:
                raise EngineLost(-9)
            if name in self.errors:
                raise self.errors.pop(name)
        finally:
            with self._lock:
                self.within.remove(name)
        paths = {stem: folder / f"{stem}.wav" for stem in stems}
        for path in paths.values():
            path.write_bytes(make_wav(seconds=0.1))
        return separation.SeparationResult(
            paths, info.sample_rate, info.n_samples, 2, model, 0.0, dict.fromkeys(stems, 0)
        )


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk()
    may_claim = Crew.may_claim

    def look(crew: Crew) -> bool:
        desk.looks += 1
        desk.crew = crew
        return may_claim(crew)

    monkeypatch.setattr(runner, "engine_separate", desk.separate)
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

    def one(*, is_preview: bool = False, losses: int = 0) -> Job:
        job = make_job(workspace, assets[0.1 if is_preview else 31])
        assert job.is_preview is is_preview
        if losses:
            Job.objects.filter(pk=job.pk).update(losses=losses)
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


def states() -> Counter[str]:
    return Counter(Job.objects.values_list("state", flat=True))


def after_some_looks(desk: Desk) -> None:
    looks = desk.looks
    until(lambda: desk.looks > looks + 3)


def assert_charged_once(workspace: Workspace, n_succeeded: int, price_mcr: int) -> None:
    wallet = wallet_get(workspace=workspace)
    assert (wallet.posted_mcr, wallet.held_mcr) == (1_000_000 - n_succeeded * price_mcr, 0)
    assert Transaction.objects.filter(kind="capture").count() == n_succeeded
    assert ledger_discrepancies() == []


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
    lost = order(is_preview=True, losses=1)
    previews = [order(is_preview=True) for _ in range(2)]
    # Within a workspace previews keep their order.
    Job.objects.filter(pk=lost.pk).update(workspace=make_workspace("Another"))
    worker = drain()
    until(lambda: desk.has(lost))
    desk.let_go(lost)
    until(lambda: desk.has(*previews))
    desk.let_go(*previews)
    until(lambda: desk.has(long))
    lost_again = order(is_preview=True, losses=1)
    Job.objects.filter(pk=lost_again.pk).update(workspace=make_workspace("A third"))
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

    monkeypatch.setattr(runner, "engine_separate", hang)
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
