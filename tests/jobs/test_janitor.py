from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django_q.models import OrmQ

from accounts.models import RateWindow
from accounts.rate_limits import rate_windows_clean
from billing.ledger import credits_grant, lots_expire
from billing.selectors import wallet_get
from jobs import leases, queue
from jobs.brokers import Database
from jobs.cleaning import storage_clean
from jobs.management.commands.janitor import Command as Janitor
from jobs.management.commands.janitor import attempt_all, wake_cleaning_if_needed
from jobs.models import Job
from jobs.scheduling import job_claim
from jobs.services import asset_delete, job_cancel
from tests.makers import make_asset, make_job, make_workspace
from tests.races import held_elsewhere

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def waiting_tasks() -> list[str]:
    return [task.key for task in OrmQ.objects.order_by("pk")]


def test_a_new_job_wakes_a_worker_but_not_without_end(
    alice: Any,
    tmp_path: Path,
    django_capture_on_commit_callbacks: Any,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(Database, "enough_waiting", 3)
    asset = make_asset(alice, tmp_path)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(5):
            make_job(alice, asset)
    assert waiting_tasks() == ["separation"] * 3


def test_the_janitor_wakes_for_a_job_that_nobody_was_told_of(
    alice: Any, tmp_path: Path, django_capture_on_commit_callbacks: Any
):
    job = make_job(alice, make_asset(alice, tmp_path))
    OrmQ.objects.all().delete()
    with django_capture_on_commit_callbacks(execute=True):
        Janitor().round()
    assert waiting_tasks() == []
    Job.objects.filter(pk=job.pk).update(queued_at=LONG_AGO)
    with django_capture_on_commit_callbacks(execute=True):
        Janitor().round()
    assert waiting_tasks() == ["separation"]


def test_the_janitor_takes_back_a_lost_job_and_cleans(
    alice: Any, tmp_path: Path, stored: Callable[[], list[str]]
):
    asset = make_asset(alice, tmp_path)
    job = make_job(alice, asset)
    job_claim()
    Job.objects.filter(pk=job.pk).update(lease_until=LONG_AGO)
    Janitor().round()
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("queued", 1)
    job_cancel(workspace=alice, job_uuid=job.uuid)
    asset_delete(workspace=alice, asset_uuid=asset.uuid)
    assert storage_clean() == 2
    assert stored() == []


def test_tasks_of_a_killed_cluster_do_not_keep_others_from_being_woken(
    alice: Any, tmp_path: Path, django_capture_on_commit_callbacks: Any
):
    """The broker locks what it has fetched; after a kill that stays locked for a day."""
    asset = make_asset(alice, tmp_path)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(3):
            make_job(alice, asset)
    OrmQ.objects.update(lock="2100-01-01T00:00:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        make_job(alice, asset)
    assert OrmQ.objects.filter(lock__lte=Now()).count() == 1


def test_one_job_that_cannot_be_taken_back_does_not_hold_up_the_others(
    alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asset = make_asset(alice, tmp_path)
    bad, good = make_job(alice, asset), make_job(alice, asset)
    for _ in range(2):
        job_claim()
    Job.objects.update(lease_until=LONG_AGO)
    real = leases.job_retry_or_fail

    def fail_for_one(job: Job, **kwargs: Any) -> None:
        if job.pk == bad.pk:
            raise RuntimeError("a bug in the ledger, say")
        real(job, **kwargs)

    monkeypatch.setattr(leases, "job_retry_or_fail", fail_for_one)
    assert leases.jobs_reap() == 1
    states = {job.pk: job.state for job in Job.objects.all()}
    assert states == {bad.pk: "running", good.pk: "queued"}


def test_a_duty_that_fails_does_not_end_the_round(
    alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail() -> None:
        raise RuntimeError("whatever it is")

    monkeypatch.setattr("jobs.management.commands.janitor.jobs_reap", fail)
    fail.__name__ = "jobs_reap"
    credits_grant(
        workspace=alice, amount_mcr=5, source="promo", idempotency_key="p", expires_at=LONG_AGO
    )
    Janitor().round()
    assert wallet_get(workspace=alice).posted_mcr == 100_000


def test_after_an_outage_workers_may_beat_before_they_lose_their_jobs(
    alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    job = make_job(alice, make_asset(alice, tmp_path))
    job_claim()
    Job.objects.update(lease_until=LONG_AGO)

    def limit_waiting() -> None:
        raise OperationalError("the database is away")

    janitor = Janitor()
    with monkeypatch.context() as outage:
        outage.setattr("jobs.management.commands.janitor.limit_waiting", limit_waiting)
        janitor.round()
    janitor.round()
    job.refresh_from_db()
    assert job.state == "running"
    janitor._reap_from -= 3
    janitor.round()
    job.refresh_from_db()
    assert job.state == "queued"


def test_it_wakes_for_files_to_remove(
    alice: Any, tmp_path: Path, django_capture_on_commit_callbacks: Any
):
    with django_capture_on_commit_callbacks(execute=True):
        wake_cleaning_if_needed()
    assert waiting_tasks() == []
    asset_delete(workspace=alice, asset_uuid=make_asset(alice, tmp_path).uuid)
    with django_capture_on_commit_callbacks(execute=True):
        wake_cleaning_if_needed()
    assert waiting_tasks() == ["default"]


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_breaks_no_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def away(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("the broker is away")

    monkeypatch.setattr(queue, "async_task", away)
    workspace = make_workspace()
    job = make_job(workspace, make_asset(workspace, tmp_path))
    assert job.state == "queued"
    assert waiting_tasks() == []


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_holds_fails_one_duty_only():
    workspace = make_workspace(credits=100)
    credits_grant(
        workspace=workspace, amount_mcr=5, source="promo", idempotency_key="p", expires_at=LONG_AGO
    )
    RateWindow.objects.create(subject="somebody", started_at=LONG_AGO, calls=1)
    wallet = f"SELECT 1 FROM billing_account WHERE workspace_id = {workspace.pk} FOR UPDATE"
    with held_elsewhere(wallet):
        attempt_all(lots_expire, rate_windows_clean)
    assert wallet_get(workspace=workspace).posted_mcr == 100_005
    assert RateWindow.objects.count() == 0
    attempt_all(lots_expire)
    assert wallet_get(workspace=workspace).posted_mcr == 100_000
    connection.close()
