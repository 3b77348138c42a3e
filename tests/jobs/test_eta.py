"""Estimates from what was measured here; where nothing was, none."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from accounts.models import Workspace
from jobs import eta
from jobs.eta import Etas, job_eta_s, order_eta_s
from jobs.models import Asset, Ingest, Job, Tally
from jobs.tallies import key
from tests.makers import make_asset, make_job

pytestmark = pytest.mark.django_db


def measure(
    runs: Sequence[tuple[float, float]], *, service: str = "separation", stems: str = "1"
) -> None:
    """As if jobs of these seconds of audio had taken these seconds of work."""
    sums = {
        "n": len(runs),
        "x": sum(x for x, _ in runs),
        "y": sum(y for _, y in runs),
        "xx": sum(x * x for x, _ in runs),
        "xy": sum(x * y for x, y in runs),
    }
    for term, value in sums.items():
        name, labels = key("job_fit", service=service, stems=stems, term=term)
        Tally.objects.create(name=name, labels=labels, value=value)


@pytest.fixture
def asset(alice: Workspace, tmp_path: Path) -> Asset:
    return make_asset(alice, tmp_path, seconds=2.0)


def queue(asset: Asset, /, **values: Any) -> Job:
    job = make_job(asset.workspace, asset)
    Job.objects.filter(pk=job.pk).update(**{"is_preview": False, **values})
    job.refresh_from_db()
    return job


def run(asset: Asset, *, progress: float = 0, since_s: float = 0) -> Job:
    now = Now()
    return queue(
        asset,
        state="running",
        lease_until=now + timedelta(minutes=1),
        claimed_at=now - timedelta(seconds=since_s),
        progress=progress,
    )


def test_where_nothing_was_measured_nobody_knows(asset: Asset):
    measure([(10, 5)], service="speaker_extraction", stems="0")
    assert order_eta_s(service="separation", duration_s=60, n_stems=1) == -1
    assert job_eta_s(queue(asset)) == -1


def test_with_few_runs_it_is_their_mean_ratio(asset: Asset):
    measure([(10, 5), (30, 15)])
    assert order_eta_s(service="separation", duration_s=60, n_stems=1) == 30
    assert order_eta_s(service="separation", duration_s=0.1, n_stems=1) == 1
    assert job_eta_s(queue(asset)) == 1


def test_with_more_runs_there_is_a_part_that_every_job_takes():
    measure([(x, 8 + 0.5 * x) for x in (10, 20, 60, 100, 300)])
    # The mean ratio would say 2 and 1900.
    assert order_eta_s(service="separation", duration_s=2, n_stems=1) == 9
    assert order_eta_s(service="separation", duration_s=3600, n_stems=1) == 1808


@pytest.mark.parametrize(
    "runs",
    [
        # All of one length; longer ones that took less; a line that begins below 0.
        [(10, 5)] * 9,
        [(x, 110 - x) for x in (10, 20, 60, 100)] + [(10, 10), (100, 90)],
        [(x, x - 5) for x in (10, 20, 60, 100, 300)],
    ],
)
def test_where_no_sensible_line_is_found_the_mean_ratio_holds(runs: list[tuple[float, float]]):
    measure(runs)
    ratio = sum(y for _, y in runs) / sum(x for x, _ in runs)
    found = order_eta_s(service="separation", duration_s=1000, n_stems=1)
    assert found == pytest.approx(1000 * ratio, abs=1)


def test_as_many_stems_say_more_than_others():
    measure([(10, 5)], stems="1")
    measure([(10, 15)], stems="more")
    assert order_eta_s(service="separation", duration_s=100, n_stems=1) == 50
    assert order_eta_s(service="separation", duration_s=100, n_stems=9) == 150
    # None of two were run yet: all of them together.
    assert order_eta_s(service="separation", duration_s=100, n_stems=2) == 100


def test_what_is_before_it_is_waited_for(asset: Asset):
    """2 s of audio take 20 s."""
    measure([(1, 10)])
    run(asset, progress=0.5, since_s=30)
    # It has run for 12 s of 20, which its progress does not tell yet.
    run(asset, since_s=12)
    first, second = queue(asset), queue(asset)
    # Two places: 30 s and 8 s are left there.
    assert job_eta_s(first) == pytest.approx(19 + 20, abs=1)
    assert job_eta_s(second) == pytest.approx(29 + 20, abs=1)
    assert order_eta_s(service="separation", duration_s=100, n_stems=1) == pytest.approx(
        39 + 1000, abs=1
    )
    # Previews go before those that wait.
    assert order_eta_s(service="separation", duration_s=1, n_stems=1) == pytest.approx(
        19 + 10, abs=1
    )
    preview = queue(asset, is_preview=True)
    assert job_eta_s(preview) == pytest.approx(19 + 20, abs=1)
    assert job_eta_s(first) == pytest.approx(29 + 20, abs=1)


def test_one_that_nobody_knows_makes_those_behind_it_unknown(asset: Asset):
    measure([(1, 10)])
    queue(asset, service="analysis")
    assert job_eta_s(queue(asset)) == -1


def test_a_running_job_knows_by_its_own_progress(asset: Asset):
    job = run(asset, progress=0.25, since_s=30)
    assert job_eta_s(job) == pytest.approx(90, abs=2)


def test_of_a_range_only_the_range_counts(asset: Asset):
    measure([(1, 10)])
    assert job_eta_s(queue(asset, range_start=0, range_end=asset.n_samples // 2)) == 10


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_an_ended_job_needs_no_more_time(asset: Asset, state: str, django_assert_num_queries: Any):
    job = queue(asset, state=state)
    with django_assert_num_queries(0):
        assert job_eta_s(job) == 0


def test_how_long_a_recording_will_be_that_has_not_come_nobody_knows(
    alice: Workspace, asset: Asset
):
    measure([(1, 10)])
    ingest = Ingest.objects.create(workspace=alice, kind="url", state="waiting", expires_at=Now())
    job = queue(asset, state="waiting", asset=None, ingest=ingest)
    assert job_eta_s(job) == -1


def test_behind_a_long_queue_nobody_knows(asset: Asset, monkeypatch: pytest.MonkeyPatch):
    measure([(1, 10)])
    monkeypatch.setattr(eta, "_QUEUE_AT_MOST", 2)
    monkeypatch.setattr(eta, "_QUEUE", eta._QUEUE.replace("LIMIT 1000", "LIMIT 2"))
    jobs = [queue(asset) for _ in range(3)]
    assert [job_eta_s(job) for job in jobs] == [20, 40, -1]
    assert order_eta_s(service="separation", duration_s=100, n_stems=1) == -1


def test_many_jobs_cost_two_queries(asset: Asset, django_assert_num_queries: Any):
    measure([(1, 10)])
    jobs = [queue(asset) for _ in range(5)]
    with django_assert_num_queries(2):
        etas = Etas()
        assert [etas.of(job) for job in jobs] == [20, 40, 60, 80, 100]
