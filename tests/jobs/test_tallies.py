"""Counting what happened: each row once, whoever counts and whenever."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from jobs import tallies
from jobs.models import Ingest, Job, JobEvent, TallyMark, WebhookMessage
from jobs.tallies import key, tallies_get, tallies_roll_up, tally_add, tally_add_aside
from tests.makers import make_asset, make_job, make_workspace

EARLIER = datetime(2026, 1, 2, tzinfo=UTC)


def seconds(number: float) -> datetime:
    return EARLIER + timedelta(seconds=number)


@pytest.fixture
def job(alice: Any, tmp_path: Path) -> Job:
    """A recording of 2 seconds."""
    job = make_job(alice, make_asset(alice, tmp_path, seconds=2.0))
    Job.objects.filter(pk=job.pk).update(queued_at=EARLIER, is_preview=False)
    return job


def happen(job: Job, kind: str, at_s: float, *, attempt: int = 1, detail: str = "") -> None:
    JobEvent.objects.create(
        job=job, kind=kind, attempt=attempt, detail=detail, created_at=seconds(at_s)
    )


@pytest.mark.django_db
def test_a_job_that_was_lost_and_succeeded(job: Job):
    happen(job, "started", 0.3)
    happen(job, "requeued", 40, detail="worker_lost")
    happen(job, "started", 41, attempt=2)
    happen(job, "succeeded", 44, attempt=2)
    tallies_roll_up()
    assert tallies_get() == {
        key("job_events", kind="started", cause=""): 2,
        key("job_events", kind="requeued", cause="worker_lost"): 1,
        key("jobs_ended", state="succeeded", cause=""): 1,
        # The wait is that for the first start.
        key("job_wait_bucket", queue="normal", le="0.5"): 1,
        key("job_wait_sum", queue="normal"): 0.3,
        # 3 s of the attempt that succeeded, for 2 s of audio.
        key("job_run_ratio_bucket", service="separation", le="1.5"): 1,
        key("job_run_ratio_sum", service="separation"): 1.5,
        key("job_run_s", service="separation"): 3,
        key("job_audio_s", service="separation"): 2,
    }


@pytest.mark.django_db
def test_runs_are_summed_up_for_estimates_by_service_and_stems(job: Job):
    Job.objects.filter(pk=job.pk).update(stems=["vocals", "drums", "bass", "other"])
    happen(job, "started", 0)
    happen(job, "succeeded", 3)
    # Half of the recording.
    Job.objects.filter(pk=job.pk).update(
        state="succeeded", range_start=0, range_end=job.recording.sample_rate
    )
    tallies_roll_up()

    def term(name: str) -> float:
        return tallies_get()[key("job_fit", service="separation", stems="4", term=name)]

    assert [term(name) for name in ("n", "x", "y", "xx", "xy")] == [1, 1, 3, 1, 3]


@pytest.mark.django_db
def test_what_did_less_than_the_whole_work_is_no_measure(job: Job):
    """A merge, and an attempt that went on where another was lost."""
    happen(job, "started", 0)
    happen(job, "requeued", 1, detail="worker_lost")
    happen(job, "started", 2, attempt=2)
    happen(job, "succeeded", 3, attempt=2)
    merge = Job.objects.create(
        workspace=job.workspace,
        asset=job.asset,
        service="speaker_extraction",
        stems=[],
        source_job=job,
        price_mcr=0,
    )
    happen(merge, "started", 0)
    happen(merge, "succeeded", 1)
    tallies_roll_up()
    names = [name for name, _ in tallies_get()]
    assert "job_fit" not in names
    assert names.count("job_run_s") == 2


@pytest.mark.django_db
def test_a_job_that_ended_without_a_recording_counts(alice: Any, job: Job):
    ingest = Ingest.objects.create(
        workspace=alice, kind="url", state="failed", expires_at=EARLIER, finished_at=EARLIER
    )
    Job.objects.filter(pk=job.pk).update(asset=None, ingest=ingest, state="failed")
    happen(job, "failed", 1, attempt=0, detail="too_large")
    tallies_roll_up()
    assert tallies_get()[key("jobs_ended", state="failed", cause="too_large")] == 1


@pytest.mark.django_db
def test_every_row_counts_once(job: Job):
    happen(job, "started", 1)
    tallies_roll_up()
    tallies_roll_up()
    happen(job, "failed", 5, detail="storage")
    # Before the mark: cannot happen, and is not counted.
    TallyMark.objects.filter(name="jobs").update(counted_until=seconds(3))
    tallies_roll_up()
    tallies_roll_up()
    counted = tallies_get()
    assert counted[key("job_events", kind="started", cause="")] == 1
    assert counted[key("jobs_ended", state="failed", cause="storage")] == 1


@pytest.mark.django_db
def test_what_has_just_happened_waits_for_those_still_at_work(job: Job):
    JobEvent.objects.create(job=job, kind="started", attempt=1)
    tallies_roll_up()
    assert tallies_get() == {}


@pytest.mark.django_db
def test_many_rows_are_counted_in_several_steps(job: Job, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jobs.tallies._AT_ONCE", 3)
    for number in range(9):
        happen(job, "started", number, attempt=number + 2)
    tallies_roll_up()
    assert tallies_get() == {key("job_events", kind="started", cause=""): 9}


@pytest.mark.django_db
def test_only_codes_become_labels(job: Job):
    happen(job, "failed", 1, detail="No such file: /srv/8f2e")
    happen(job, "cancelled", 2, detail="by its owner")
    tallies_roll_up()
    assert set(tallies_get()) == {
        key("jobs_ended", state="failed", cause="other"),
        key("jobs_ended", state="cancelled", cause=""),
    }


@pytest.mark.django_db
def test_uploads_and_messages(alice: Any):
    Ingest.objects.create(
        workspace=alice,
        kind="url",
        state="failed",
        error_code="too_large",
        expires_at=EARLIER,
        finished_at=EARLIER,
    )
    for state in ("delivered", "failed", "failed"):
        WebhookMessage.objects.create(
            workspace=alice, event="job.succeeded", body={}, state=state, finished_at=EARLIER
        )
    tallies_roll_up()
    assert tallies_get() == {
        key("ingests_ended", kind="url", state="failed", cause="too_large"): 1,
        key("webhook_messages_ended", state="delivered"): 1,
        key("webhook_messages_ended", state="failed"): 2,
    }


@pytest.mark.django_db
def test_a_tally_of_its_own():
    tally_add("cluster_restarts", cluster="separation", reason="hung")
    tally_add("cluster_restarts", reason="hung", cluster="separation")
    assert tallies_get() == {key("cluster_restarts", cluster="separation", reason="hung"): 2}


@pytest.mark.django_db(transaction=True)
def test_a_tally_for_those_who_must_not_wait():
    tally_add_aside("cluster_restarts", cluster="default", reason="ended")
    for thread in threading.enumerate():
        if thread.name == "tally":
            thread.join()
    assert tallies_get() == {key("cluster_restarts", cluster="default", reason="ended"): 1}


@pytest.mark.django_db(transaction=True)
def test_several_janitors_and_an_open_transaction_lose_and_double_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Without the margin, which would hide the rest.
    monkeypatch.setattr("jobs.tallies._SETTLED", tallies._SETTLED.replace("5 s", "0 s"))
    alice = make_workspace()
    job = make_job(alice, make_asset(alice, tmp_path))
    written, go_on = threading.Event(), threading.Event()

    def write_late() -> None:
        with transaction.atomic():
            JobEvent.objects.create(job=job, kind="started", attempt=1)
            written.set()
            go_on.wait(8)
        connection.close()

    def roll_up() -> None:
        tallies_roll_up()
        connection.close()

    writer = threading.Thread(target=write_late)
    writer.start()
    written.wait(8)
    happen(job, "started", 2, attempt=2)
    janitors = [threading.Thread(target=roll_up) for _ in range(4)]
    for janitor in janitors:
        janitor.start()
    for janitor in janitors:
        janitor.join()
    go_on.set()
    writer.join()
    assert tallies_get()[key("job_events", kind="started", cause="")] == 1
    # The counting has not passed the row of the one who was still at work: it will be counted.
    mark = TallyMark.objects.get(name="jobs")
    assert JobEvent.objects.get(job=job, attempt=1).created_at >= mark.counted_until
