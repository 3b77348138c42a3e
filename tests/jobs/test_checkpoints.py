"""Long jobs, with the library itself and a model that is only a gain, in this process."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from billing.selectors import wallet_get
from jobs.cleaning import storage_clean
from jobs.engine import EngineLost
from jobs.heartbeat import Heartbeat
from jobs.models import Job
from jobs.runner import run_next_job
from jobs.services import job_cancel
from jobs.storage import storage_delete, storage_save
from jobs.work import separation as work_separation
from separation import batching, catalog, engines
from tests.fakes.engine import separate_here
from tests.makers import make_asset, make_job, run_jobs
from tests.separation.conftest import SEGMENT, GainEngine

pytestmark = pytest.mark.django_db

N_PARTS = 4


class InlineExecutor(Executor):
    """Does everything at once, in the caller's thread."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except OSError as error:
            future.set_exception(error)
        return future


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[GainEngine]:
    model = dataclasses.replace(catalog.model("htdemucs"), segment_samples=SEGMENT)
    engine = GainEngine(model)
    monkeypatch.setattr(catalog, "models", lambda: (model,))
    monkeypatch.setattr(engines, "load_engine", lambda *_: engine)
    yield engine
    batching.close_queue(engine)


@pytest.fixture(autouse=True)
def _long_from_a_second(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOB_PARTS_FROM_SECONDS, settings.JOB_PART_SECONDS = 1, 0.5
    monkeypatch.setattr("jobs.checkpoints._PAUSE_S", 0)
    # A thread would not see the rows of a test's open transaction.
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)
    monkeypatch.setattr(work_separation, "engine_separate", separate_here)


@pytest.fixture
def make_long_job(alice: Any, tmp_path: Path, engine: GainEngine) -> Callable[[], Job]:
    asset = make_asset(alice, tmp_path, seconds=1.9)
    return lambda: make_job(alice, asset, stems=("vocals", "instrumental"))


def lose_after(n_parts: int, job: Job, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first attempt end so once that many parts are noted."""

    def separate(*, watch: Callable[[], None], on_progress: Any, **options: Any) -> Any:
        finished = 0

        def report(*, step: str, completed: int, total: int | None) -> None:
            nonlocal finished
            on_progress(step=step, completed=completed, total=total)
            finished += step == "part"
            if finished == n_parts:
                deadline = time.monotonic() + 60
                while job.parts.count() < n_parts:
                    assert time.monotonic() < deadline
                    watch()
                    time.sleep(0.01)
                raise error

        monkeypatch.setattr(work_separation, "engine_separate", separate_here)
        return separate_here(watch=watch, on_progress=report, **options)

    monkeypatch.setattr(work_separation, "engine_separate", separate)


def contents(job: Job, media_dir: Path) -> dict[str, bytes]:
    stems = job.stem_assets.order_by("stem")
    return {stem.stem: (media_dir / stem.storage_key).read_bytes() for stem in stems}


def part_files(stored: list[str]) -> list[str]:
    return [name.partition("/parts/")[2] for name in stored if "/parts/" in name]


@pytest.mark.parametrize("n_parts", [1, 2, N_PARTS])
def test_the_next_attempt_goes_on_after_the_last_part(
    make_long_job: Callable[[], Job],
    engine: GainEngine,
    monkeypatch: pytest.MonkeyPatch,
    media_dir: Path,
    stored: Callable[[], list[str]],
    settings: Any,
    n_parts: int,
):
    whole = make_long_job()
    assert run_jobs() == 1
    n_all, engine.n_passes = engine.n_passes, 0

    job = make_long_job()
    lose_after(n_parts, job, EngineLost(-9), monkeypatch)
    assert run_jobs() == 2
    job.refresh_from_db()
    assert (job.state, job.attempt, job.losses) == ("succeeded", 2, 1)
    assert contents(job, media_dir) == contents(whole, media_dir)
    # What was done before counts once, but for the segments that a part's end cuts through, and
    # for those that were on their way when the attempt was lost: one in work, one behind it.
    assert n_all <= engine.n_passes <= n_all + 2 + 2
    assert list(job.parts.order_by("number").values_list("number", flat=True))[:n_parts] == list(
        range(n_parts)
    )
    assert part_files(stored())[:3] == [
        "1/00000.instrumental.wav",
        "1/00000.json",
        "1/00000.vocals.wav",
    ]
    assert list(settings.SCRATCH_DIR.iterdir()) == []
    wallet = wallet_get(workspace=job.workspace)
    assert (wallet.posted_mcr, wallet.held_mcr) == (100_000 - 2 * job.price_mcr, 0)

    assert storage_clean() == 2
    assert part_files(stored()) == []
    assert contents(job, media_dir) == contents(whole, media_dir)


def test_a_short_recording_is_not_kept_in_parts(
    make_long_job: Callable[[], Job], settings: Any, stored: Callable[[], list[str]]
):
    settings.JOB_PARTS_FROM_SECONDS = 1.9
    job = make_long_job()
    assert run_jobs() == 1
    assert (job.parts.count(), part_files(stored())) == (0, [])


def test_a_part_that_is_gone_is_made_again(
    make_long_job: Callable[[], Job], engine: GainEngine, monkeypatch: pytest.MonkeyPatch
):
    job = make_long_job()
    lose_after(3, job, EngineLost(-9), monkeypatch)
    assert run_next_job()
    storage_delete(key=f"jobs/{job.uuid}/parts/1/00001.vocals.wav")
    assert run_next_job()
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("succeeded", 2)
    (row,) = job.parts.filter(number=1)
    assert row.keys["00001.vocals.wav"] == f"jobs/{job.uuid}/parts/2/00001.vocals.wav"


def test_a_part_that_rotted_in_storage_is_made_again(
    make_long_job: Callable[[], Job],
    monkeypatch: pytest.MonkeyPatch,
    media_dir: Path,
    settings: Any,
):
    job = make_long_job()
    lose_after(3, job, EngineLost(-9), monkeypatch)
    assert run_next_job()
    rotten = media_dir / f"jobs/{job.uuid}/parts/1/00001.vocals.wav"
    rotten.write_bytes(bytes(rotten.stat().st_size))
    settings.JOB_DELAYS_SECONDS = (0,)
    assert run_jobs() == 2
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("succeeded", 3)


def test_a_storage_that_refuses_parts_costs_the_job_nothing(
    make_long_job: Callable[[], Job], monkeypatch: pytest.MonkeyPatch
):
    def refuse(*, key: str, path: Path) -> None:
        raise OSError("the storage is away")

    monkeypatch.setattr("jobs.checkpoints.storage_save", refuse)
    job = make_long_job()
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, job.losses, job.parts.count()) == ("succeeded", 1, 0, 0)


def test_a_part_that_failed_once_is_stored_again(
    make_long_job: Callable[[], Job], monkeypatch: pytest.MonkeyPatch
):
    failures = [OSError("the storage is away"), OSError("still")]

    def refuse_twice(*, key: str, path: Path) -> None:
        if failures:
            raise failures.pop()
        storage_save(key=key, path=path)

    monkeypatch.setattr("jobs.checkpoints.storage_save", refuse_twice)
    job = make_long_job()
    lose_after(2, job, EngineLost(-9), monkeypatch)
    assert run_jobs() == 2
    assert failures == []
    assert job.parts.filter(number__lt=2).count() == 2


def test_who_lost_the_job_notes_no_part_of_it(
    make_long_job: Callable[[], Job], monkeypatch: pytest.MonkeyPatch
):
    job = make_long_job()

    def save_while_another_takes_over(*, key: str, path: Path) -> None:
        storage_save(key=key, path=path)
        Job.objects.filter(pk=job.pk).update(attempt=2)

    # A thread of the store's would not see the rows of this test's open transaction.
    monkeypatch.setattr("jobs.checkpoints.ThreadPoolExecutor", lambda *_, **__: InlineExecutor())
    monkeypatch.setattr("jobs.checkpoints.storage_save", save_while_another_takes_over)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.attempt, job.parts.count()) == ("running", 2, 0)


def test_a_cancel_keeps_no_parts(
    make_long_job: Callable[[], Job],
    monkeypatch: pytest.MonkeyPatch,
    stored: Callable[[], list[str]],
):
    job = make_long_job()
    real = Heartbeat.check

    def check(self: Heartbeat) -> None:
        if job.parts.exists() and not job.events.filter(kind="cancel_requested").exists():
            job_cancel(workspace=job.workspace, job_uuid=job.uuid)
        real(self)

    monkeypatch.setattr(Heartbeat, "check", check)
    lose_after(2, job, EngineLost(-9), monkeypatch)
    assert run_jobs() == 1
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert len(part_files(stored())) >= 3
    assert storage_clean() == 1
    assert part_files(stored()) == []
