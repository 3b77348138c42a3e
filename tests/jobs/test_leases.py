from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from billing.selectors import ledger_discrepancies, ledger_list, wallet_get
from jobs.leases import (
    CancelRequested,
    LeaseLost,
    job_beat,
    job_delay_or_fail,
    job_fail,
    job_hand_back,
    job_look,
    job_part_add,
    job_retry_or_fail,
    job_stop,
    job_succeed,
    jobs_reap,
)
from jobs.models import Asset, Job, JobState
from jobs.scheduling import job_claim
from jobs.services import job_cancel
from tests.makers import make_asset, make_job, make_workspace

PRICE_MCR = 2_500


@pytest.fixture
def queued(alice: Any, tmp_path: Path) -> Job:
    return make_job(alice, make_asset(alice, tmp_path))


@pytest.fixture
def claimed(queued: Job) -> Job:
    job = job_claim()
    assert job is not None
    assert job.pk == queued.pk
    return job


def let_lease_end(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_until=Now() - timedelta(seconds=1))


def wallet_of(job: Job) -> tuple[int, int]:
    wallet = wallet_get(workspace=job.workspace)
    return wallet.posted_mcr, wallet.held_mcr


def test_a_claim_counts_the_attempt_and_takes_a_lease(claimed: Job):
    assert (claimed.state, claimed.attempt) == (JobState.RUNNING, 1)
    assert claimed.lease_until is not None
    assert claimed.started_at is not None
    assert job_claim() is None


def test_the_job_that_waits_longest_comes_first(alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    first, second = make_job(alice, asset), make_job(alice, asset)
    Job.objects.filter(pk=second.pk).update(queued_at=Now() - timedelta(hours=1))
    assert [job_claim(), job_claim()] == [second, first]


def test_success_charges_once(claimed: Job):
    job_succeed(claimed, outputs=[])
    claimed.refresh_from_db()
    assert (claimed.state, claimed.charged_mcr, claimed.progress) == ("succeeded", PRICE_MCR, 1)
    assert wallet_of(claimed) == (100_000 - PRICE_MCR, 0)
    with pytest.raises(LeaseLost):
        job_succeed(claimed, outputs=[])
    with pytest.raises(LeaseLost):
        job_fail(claimed, code="x", message="x")
    assert wallet_of(claimed) == (100_000 - PRICE_MCR, 0)


def test_failure_gives_the_credits_back(claimed: Job):
    job_fail(claimed, code="broken_media", message="It is broken.")
    claimed.refresh_from_db()
    assert (claimed.state, claimed.error_code, claimed.charged_mcr) == ("failed", "broken_media", 0)
    assert wallet_of(claimed) == (100_000, 0)
    assert ledger_list(workspace=claimed.workspace).count() == 1


def test_a_beat_prolongs_the_lease_and_never_takes_progress_back(claimed: Job):
    let_lease_end(claimed)
    job_beat(claimed, progress=0.5)
    job_beat(claimed, progress=0.25)
    claimed.refresh_from_db()
    assert claimed.progress == 0.5
    assert jobs_reap() == 0


def test_a_look_changes_nothing(claimed: Job):
    let_lease_end(claimed)
    before = Job.objects.filter(pk=claimed.pk).values().get()
    job_look(claimed)
    assert Job.objects.filter(pk=claimed.pk).values().get() == before


def test_a_beat_learns_of_a_cancel(claimed: Job):
    job_cancel(workspace=claimed.workspace, job_uuid=claimed.uuid)
    for learn in (lambda: job_beat(claimed, progress=0), lambda: job_look(claimed)):
        with pytest.raises(CancelRequested):
            learn()
    job_stop(claimed)
    claimed.refresh_from_db()
    assert claimed.state == JobState.CANCELLED
    assert wallet_of(claimed) == (100_000, 0)


def test_a_reaped_job_goes_to_another_worker_and_the_first_is_fenced_off(claimed: Job):
    let_lease_end(claimed)
    assert jobs_reap() == 1
    second = job_claim()
    assert second is not None
    assert (second.pk, second.attempt) == (claimed.pk, 2)
    for write in (
        lambda: job_beat(claimed, progress=1),
        lambda: job_look(claimed),
        lambda: job_succeed(claimed, outputs=[]),
        lambda: job_fail(claimed, code="x", message="x"),
        lambda: job_stop(claimed),
        lambda: job_retry_or_fail(claimed, code="x", message="x"),
        lambda: job_hand_back(claimed),
        lambda: job_part_add(claimed, number=0, n_samples=1, keys={"vocals": "x"}),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert second.parts.count() == 0
    second.refresh_from_db()
    assert (second.state, second.losses) == ("running", 1)
    job_succeed(second, outputs=[])
    assert wallet_of(second) == (100_000 - PRICE_MCR, 0)
    assert Asset.objects.filter(job=second).count() == 0


def test_three_lost_workers_end_the_job_and_charge_nothing(queued: Job):
    for attempt in (1, 2, 3):
        job = job_claim()
        assert job is not None
        assert job.attempt == attempt
        let_lease_end(job)
        assert jobs_reap() == 1
    assert job_claim() is None
    queued.refresh_from_db()
    assert (queued.state, queued.error_code, queued.losses) == ("failed", "worker_lost", 3)
    assert wallet_of(queued) == (100_000, 0)
    assert [event.kind for event in queued.events.order_by("pk")] == [
        *("queued", "started", "requeued"),
        *("started", "requeued"),
        *("started", "failed"),
    ]


def test_handing_back_keeps_the_place_and_costs_no_attempt(queued: Job, alice: Any):
    behind = make_job(alice, queued.recording)
    for attempt in range(1, 6):
        job = job_claim()
        assert job is not None
        assert (job.pk, job.attempt) == (queued.pk, attempt)
        job_hand_back(job)
    queued.refresh_from_db()
    assert (queued.state, queued.attempt, queued.losses) == ("queued", 5, 0)
    assert (queued.lease_until, queued.worker, queued.progress) == (None, "", 0)
    assert [event.kind for event in queued.events.order_by("pk")][-2:] == ["started", "handed_back"]
    assert wallet_of(queued) == (100_000, 2 * PRICE_MCR)
    assert [job_claim(), job_claim()] == [queued, behind]


def test_a_job_that_is_handed_back_after_its_cancel_is_cancelled(claimed: Job):
    job_cancel(workspace=claimed.workspace, job_uuid=claimed.uuid)
    job_hand_back(claimed)
    claimed.refresh_from_db()
    assert (claimed.state, claimed.losses) == (JobState.CANCELLED, 0)
    assert wallet_of(claimed) == (100_000, 0)


def test_the_pause_after_a_loss_grows_and_nobody_claims_in_it(claimed: Job):
    job: Job | None = claimed
    for pause_s in (10, 30):
        assert job is not None
        job_retry_or_fail(job, code="out_of_memory", message="No memory.", pause_s=10)
        assert job_claim() is None
        job.refresh_from_db()
        assert job.not_before is not None
        event = job.events.latest("pk")
        # Both by the database's clock, a statement apart.
        assert 0 <= pause_s - (job.not_before - event.created_at).total_seconds() < 5
        Job.objects.filter(pk=job.pk).update(not_before=Now())
        job = job_claim()
    assert job is not None
    job_retry_or_fail(job, code="out_of_memory", message="No memory.", pause_s=10)
    job.refresh_from_db()
    assert (job.state, job.error_code, job.losses) == ("failed", "out_of_memory", 3)


def test_a_job_waits_long_for_storage_and_its_losses_stay(claimed: Job, settings: Any):
    settings.JOB_DELAYS_SECONDS = (10, 30, 90, 300)
    job: Job | None = claimed
    for delays, pause_s in enumerate(settings.JOB_DELAYS_SECONDS, start=1):
        assert job is not None
        job_delay_or_fail(job, code="storage", message="Storage is away.")
        assert job_claim() is None
        job.refresh_from_db()
        assert (job.state, job.delays, job.losses) == ("queued", delays, 0)
        assert job.not_before is not None
        event = job.events.latest("pk")
        assert 0 <= pause_s - (job.not_before - event.created_at).total_seconds() < 5
        Job.objects.filter(pk=job.pk).update(not_before=Now())
        job = job_claim()
    assert job is not None
    job_delay_or_fail(job, code="storage", message="Storage is away.")
    job.refresh_from_db()
    assert (job.state, job.error_code, job.losses) == ("failed", "storage", 0)
    with pytest.raises(LeaseLost):
        job_delay_or_fail(job, code="storage", message="Storage is away.")


def test_a_part_that_is_made_again_replaces_the_first(claimed: Job):
    job_part_add(claimed, number=0, n_samples=10, keys={"vocals": "a"})
    job_part_add(claimed, number=0, n_samples=10, keys={"vocals": "b"})
    job_part_add(claimed, number=1, n_samples=4, keys={"vocals": "c"})
    assert list(claimed.parts.order_by("number").values_list("number", "n_samples", "keys")) == [
        (0, 10, {"vocals": "b"}),
        (1, 4, {"vocals": "c"}),
    ]


def test_a_lost_job_that_was_to_be_cancelled_is_cancelled(claimed: Job):
    job_cancel(workspace=claimed.workspace, job_uuid=claimed.uuid)
    let_lease_end(claimed)
    assert jobs_reap() == 1
    claimed.refresh_from_db()
    assert claimed.state == JobState.CANCELLED
    assert wallet_of(claimed) == (100_000, 0)


def test_a_lease_that_runs_is_left_alone(claimed: Job):
    assert jobs_reap() == 0
    claimed.refresh_from_db()
    assert claimed.state == JobState.RUNNING


@pytest.mark.django_db(transaction=True)
def test_parallel_workers_never_claim_the_same_job(tmp_path: Path, settings: Any):
    settings.PARALLEL_JOBS = 100
    workspace = make_workspace(credits=100)
    asset = make_asset(workspace, tmp_path)
    jobs = {make_job(workspace, asset).pk for _ in range(12)}

    def claim(_: int) -> int | None:
        try:
            job = job_claim()
            return job.pk if job else None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        claimed = [pk for pk in pool.map(claim, range(24)) if pk is not None]
    assert sorted(claimed) == sorted(jobs)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_a_stopped_process_holds_does_not_keep_the_reaper_from_others(tmp_path: Path):
    workspace = make_workspace(credits=100)
    asset = make_asset(workspace, tmp_path)
    jobs = [make_job(workspace, asset) for _ in range(3)]
    for job in jobs:
        assert job_claim() == job
        let_lease_end(job)

    def reap() -> int:
        try:
            return jobs_reap()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            Job.objects.select_for_update().get(pk=jobs[1].pk)
            assert elsewhere.submit(reap).result(timeout=60) == 2
        assert elsewhere.submit(reap).result(timeout=60) == 1


def test_a_round_takes_back_what_it_can_in_its_time(claimed: Job, monkeypatch: Any):
    let_lease_end(claimed)
    monkeypatch.setattr("jobs.leases._REAP_AT_MOST_S", -1)
    assert jobs_reap() == 0
    claimed.refresh_from_db()
    assert claimed.state == JobState.RUNNING


@pytest.mark.django_db(transaction=True)
def test_a_cancel_while_the_job_is_handed_back_is_not_refused(tmp_path: Path):
    workspace = make_workspace(credits=100)
    make_job(workspace, make_asset(workspace, tmp_path))
    job = job_claim()
    assert job is not None

    def cancel() -> str:
        try:
            return job_cancel(workspace=workspace, job_uuid=job.uuid).state
        finally:
            connection.close()

    def is_waiting() -> bool:
        with connection.cursor() as cursor:
            # Else a transaction sees again and again what it saw first.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return cursor.fetchone() is not None

    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            job_hand_back(job)
            cancelled = elsewhere.submit(cancel)
            while not is_waiting():
                assert not cancelled.done()
        assert cancelled.result(timeout=60) == JobState.CANCELLED
    assert wallet_of(job) == (100_000, 0)


@pytest.mark.django_db(transaction=True)
def test_cancel_and_success_in_parallel_settle_once(tmp_path: Path, settings: Any):
    settings.PARALLEL_JOBS = 100
    workspace = make_workspace(credits=100)
    asset = make_asset(workspace, tmp_path)
    for _ in range(8):
        make_job(workspace, asset)
    jobs = [job for job in (job_claim() for _ in range(8)) if job is not None]

    def end(turn: tuple[int, Job]) -> None:
        number, job = turn
        try:
            [lambda: job_succeed(job, outputs=[]), lambda: job_stop(job)][number % 2]()
        except LeaseLost:
            pass
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, [(number, job) for job in jobs for number in range(4)]))
    succeeded = Job.objects.filter(state=JobState.SUCCEEDED).count()
    assert succeeded + Job.objects.filter(state=JobState.CANCELLED).count() == 8
    wallet = wallet_get(workspace=workspace)
    assert (wallet.posted_mcr, wallet.held_mcr) == (100_000 - succeeded * PRICE_MCR, 0)
    assert ledger_discrepancies() == []
