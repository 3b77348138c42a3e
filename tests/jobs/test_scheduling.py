"""Whose job is next (jobs/scheduling.py says why)."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.db.models.functions import Now
from django_q.models import OrmQ

from accounts.models import Workspace
from billing.models import Plan, Price, Subscription
from jobs import scheduling
from jobs.models import Asset, Job, JobState
from jobs.scheduling import has_waiting_jobs, job_claim
from jobs.services import Order, job_create
from tests.makers import make_workspace
from tests.races import held_elsewhere, together

pytestmark = pytest.mark.django_db


def make_waiting(
    workspace: Workspace, *, waited_s: float = 0, is_preview: bool = False, **values: Any
) -> Job:
    asset = Asset.objects.filter(workspace=workspace).first() or make_recording(workspace)
    return Job.objects.create(
        workspace=workspace,
        service="separation",
        asset=asset,
        stems=["vocals"],
        model="htdemucs",
        output_format="wav",
        order_sha256="",
        price_mcr=0,
        is_preview=is_preview,
        queued_at=Now() - timedelta(seconds=waited_s),
        **values,
    )


def make_recording(workspace: Workspace, *, n_samples: int = 44_100) -> Asset:
    return Asset.objects.create(
        workspace=workspace,
        state="ready",
        filename="song.wav",
        storage_key=f"uploads/{workspace.uuid}/{n_samples}",
        size_bytes=1,
        sha256="",
        codec="pcm_s16le",
        container="wav",
        sample_rate=44_100,
        channels=2,
        n_samples=n_samples,
        layout="stereo",
        bits_per_sample=16,
        is_float=False,
        is_lossy=False,
    )


def subscribe(workspace: Workspace, *, parallel_jobs: int | None, status: str = "active") -> None:
    plan = Plan.objects.create(
        code=f"plan-{workspace.pk}-{status}",
        name="Test",
        monthly_mcr=1,
        price_cents=1,
        parallel_jobs=parallel_jobs,
    )
    Subscription.objects.create(
        workspace=workspace, plan=plan, stripe_id=f"sub_{plan.code}", status=status
    )


def claim_all() -> list[Job]:
    claimed: list[Job] = []
    while (job := job_claim()) is not None:
        claimed.append(job)
    return claimed


def end(*jobs: Job) -> None:
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(
        state=JobState.SUCCEEDED, lease_until=None
    )


def run_in_turn(count: int) -> list[Job]:
    """One worker: a job ends before the next is claimed."""
    jobs = []
    for _ in range(count):
        job = job_claim()
        assert job is not None
        jobs.append(job)
        end(job)
    return jobs


@pytest.fixture
def bob(db: None) -> Workspace:
    return make_workspace("Bob's", credits=0)


def test_workspaces_take_turns_however_much_one_of_them_orders(
    alice: Any, bob: Workspace, charlie: Any
):
    many = [make_waiting(alice, waited_s=100 - n) for n in range(4)]
    few = [make_waiting(bob), make_waiting(bob)]
    one = make_waiting(charlie)
    expected = [many[0], few[0], one, many[1], few[1], many[2], many[3]]
    assert run_in_turn(7) == expected
    assert job_claim() is None


def test_a_place_for_previews_is_given_to_nothing_else(alice: Any, bob: Workspace):
    """However long the others have waited."""
    old = make_waiting(alice, waited_s=1000)
    assert job_claim(only_previews=True) is None
    preview = make_waiting(bob, is_preview=True)
    assert job_claim(only_previews=True) == preview
    assert job_claim() == old


def test_a_job_that_was_lost_keeps_its_turn_until_a_worker_has_no_other(alice: Any, bob: Workspace):
    lost = make_waiting(alice, waited_s=10, losses=1)
    make_waiting(bob)
    assert job_claim(beside_others=True) is None
    assert job_claim() == lost
    assert job_claim(beside_others=True) is not None


def test_previews_may_pass_a_job_that_waits_for_a_worker_of_its_own(alice: Any, bob: Workspace):
    lost = make_waiting(alice, waited_s=400, losses=1)
    make_waiting(bob)
    lost_preview = make_waiting(bob, is_preview=True, losses=1)
    assert job_claim(beside_others=True, previews_meanwhile=True) is None
    preview = make_waiting(alice, is_preview=True)
    assert job_claim(beside_others=True) is None
    assert job_claim(beside_others=True, previews_meanwhile=True) == preview
    assert job_claim(beside_others=True, previews_meanwhile=True) is None
    assert {job_claim(), job_claim()} == {lost, lost_preview}


def test_who_has_fewer_running_jobs_comes_first(alice: Any, bob: Workspace):
    """Alice's turn is longer ago, but two of her jobs still run."""
    running = [make_waiting(alice), make_waiting(alice)]
    assert claim_all() == running
    mine = make_waiting(bob)
    assert run_in_turn(1) == [mine]
    first, second = make_waiting(alice, waited_s=100), make_waiting(bob)
    assert claim_all() == [second, first]


def test_previews_go_first(alice: Any, bob: Workspace):
    long = make_waiting(alice, waited_s=200)
    long_of_bob = make_waiting(bob, waited_s=299)
    preview = make_waiting(alice, is_preview=True)
    assert run_in_turn(3) == [preview, long_of_bob, long]


def test_a_preview_does_not_overtake_who_has_waited_long(alice: Any, bob: Workspace):
    old = make_waiting(alice, waited_s=301)
    young = make_waiting(bob, waited_s=299)
    preview = make_waiting(bob, is_preview=True)
    # Bob was served last.
    Job.objects.filter(pk=make_waiting(bob).pk).update(
        state=JobState.SUCCEEDED, claimed_at=Now() - timedelta(hours=1)
    )
    assert run_in_turn(3) == [old, preview, young]


def test_a_stream_of_previews_cannot_starve_the_same_workspaces_old_job(alice: Any):
    old = [make_waiting(alice, waited_s=1000 - n) for n in range(2)]
    previews = [make_waiting(alice, is_preview=True) for _ in range(3)]
    assert run_in_turn(5) == [previews[0], old[0], previews[1], old[1], previews[2]]


def test_the_length_of_the_recording_makes_a_preview(alice: Any):
    Price.objects.update(amount_mcr=1)

    def ordered(n_samples: int) -> Job:
        asset = make_recording(alice, n_samples=n_samples)
        order = Order(asset.uuid, "separation", ("vocals",), "htdemucs", "wav")
        return job_create(workspace=alice, api_key=None, order=order)

    assert ordered(30 * 44_100).is_preview is True
    assert ordered(30 * 44_100 + 1).is_preview is False


def test_a_job_that_has_to_pause_is_not_there_yet(alice: Any):
    paused = make_waiting(alice, waited_s=1000, not_before=Now() + timedelta(hours=1))
    assert has_waiting_jobs() is False
    ready = make_waiting(alice, not_before=Now() - timedelta(seconds=1), waited_s=6)
    assert has_waiting_jobs() is True
    assert claim_all() == [ready]
    Job.objects.filter(pk=paused.pk).update(not_before=Now())
    assert claim_all() == [paused]


def test_a_job_that_has_to_pause_holds_up_none_behind_it(alice: Any):
    for is_preview in (True, False):
        make_waiting(
            alice, waited_s=1000, is_preview=is_preview, not_before=Now() + timedelta(hours=1)
        )
    long, preview = make_waiting(alice), make_waiting(alice, is_preview=True)
    assert claim_all() == [preview, long]


def test_without_a_plan_the_setting_limits(alice: Any, bob: Workspace, settings: Any):
    settings.PARALLEL_JOBS = 2
    for workspace in (alice, alice, alice, bob):
        make_waiting(workspace)
    claimed = claim_all()
    assert Counter(job.workspace.name for job in claimed) == {"Alice's": 2, "Bob's": 1}
    end(claimed[0])
    assert [job.workspace.name for job in claim_all()] == ["Alice's"]


@pytest.mark.parametrize(
    ("parallel_jobs", "status", "expected"),
    [(3, "active", 3), (None, "active", 5), (3, "past_due", 3), (3, "ended", 1)],
)
def test_the_plan_limits(
    alice: Any, settings: Any, parallel_jobs: int | None, status: str, expected: int
):
    settings.PARALLEL_JOBS = 1
    subscribe(alice, parallel_jobs=parallel_jobs, status=status)
    for _ in range(5):
        make_waiting(alice)
    assert len(claim_all()) == expected


def test_shipped_plans_say_what_they_allow():
    plans = Plan.objects.order_by("code").values_list(
        "code", "parallel_jobs", "results_days", "uploads_days"
    )
    assert list(plans) == [("hobby", 4, None, None), ("pro", 16, 30, 7)]


def test_a_claim_wakes_the_next_worker_only_while_jobs_wait(
    alice: Any, django_capture_on_commit_callbacks: Any
):
    make_waiting(alice), make_waiting(alice)
    for waiting in (1, 1):
        with django_capture_on_commit_callbacks(execute=True):
            job_claim()
        assert OrmQ.objects.count() == waiting


@pytest.mark.django_db(transaction=True)
def test_sixteen_claimers_at_once_keep_the_limits_and_claim_nothing_twice(settings: Any):
    settings.PARALLEL_JOBS = 3
    first, second = make_workspace("First", credits=0), make_workspace("Second", credits=0)
    subscribe(second, parallel_jobs=5)
    for _ in range(10):
        make_waiting(first), make_waiting(second)
    claimed = [job for job in together(16, job_claim) if job is not None]
    assert Counter(job.workspace.name for job in claimed) == {"First": 3, "Second": 5}
    assert len({job.pk for job in claimed}) == 8
    assert Job.objects.filter(state=JobState.RUNNING, attempt=1).count() == 8


@pytest.mark.django_db(transaction=True)
def test_sixteen_claimers_share_what_there_is():
    workspaces = [make_workspace(f"W{n}", credits=0) for n in range(4)]
    for workspace in workspaces * 4:
        make_waiting(workspace)
    claimed = [job for job in together(16, job_claim) if job is not None]
    assert len({job.pk for job in claimed}) == 16
    assert Counter(job.workspace.pk for job in claimed) == {w.pk: 4 for w in workspaces}


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_holds_is_passed_over():
    held, free = (make_waiting(make_workspace(name, credits=0)) for name in ("First", "Second"))
    with held_elsewhere(f"SELECT 1 FROM jobs_job WHERE id = {held.pk} FOR UPDATE"):
        assert [job_claim(), job_claim()] == [free, None]
    assert job_claim() == held


@pytest.mark.django_db(transaction=True)
def test_a_stopped_claimer_does_not_hold_others_for_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scheduling, "_LOCK_TIMEOUT_MS", 50)
    job = make_waiting(make_workspace(credits=0))
    with held_elsewhere(f"SELECT pg_advisory_xact_lock({scheduling._CLAIM_LOCK})"):
        assert job_claim() is None
    assert job_claim() == job


def test_no_plan_lets_jobs_wait_for_ever():
    with pytest.raises(IntegrityError, match="plan_runs_jobs"):
        Plan.objects.create(code="none", name="None", monthly_mcr=1, price_cents=1, parallel_jobs=0)
