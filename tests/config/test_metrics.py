import os
import signal
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from billing.models import Reconciliation
from jobs.models import Asset, Job, JobEvent
from jobs.tallies import tallies_roll_up, tally_add
from tests.e2e.processes import ROOT, service_environment, wait_until
from tests.makers import make_asset, make_job

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def read(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(client: Client, name: str, **labels: str) -> float | None:
    response = client.get("/metrics")
    assert response.status_code == 200
    return read(response.text).get((f"stemwright_{name}", frozenset(labels.items())))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("token", "production", "sent", "status"),
    [
        ("", False, None, 200),
        ("", True, None, 404),
        ("", True, "Bearer ", 404),
        ("secret", False, None, 401),
        ("secret", True, "Bearer wrong", 401),
        ("secret", True, "secret", 401),
        ("secret", True, "Bearer secret", 200),
    ],
)
def test_who_may_look(
    client: Client, settings: Any, token: str, production: bool, sent: str | None, status: int
):
    settings.METRICS_TOKEN = token
    settings.PRODUCTION = production
    response = client.get("/metrics", headers={"Authorization": sent} if sent else {})
    assert response.status_code == status
    assert ("stemwright_" in response.text) is (status == 200)


@pytest.mark.django_db
def test_the_queue(client: Client, alice: Any, tmp_path: Path, settings: Any):
    settings.PARALLEL_JOBS = 2
    asset = make_asset(alice, tmp_path)
    jobs = [make_job(alice, asset) for _ in range(4)]
    Job.objects.filter(pk=jobs[0].pk).update(
        state="running", lease_until=LONG_AGO, started_at=LONG_AGO
    )
    Job.objects.filter(pk__in=[job.pk for job in jobs[1:]]).update(
        is_preview=False, queued_at=LONG_AGO
    )
    age_s = (datetime.now(UTC) - LONG_AGO).total_seconds()
    assert value(client, "jobs_queued", queue="normal") == 3
    # The plan has one place left.
    assert value(client, "jobs_startable", queue="normal") == 1
    assert value(client, "queue_age_seconds", queue="normal") == pytest.approx(age_s, abs=60)
    assert value(client, "jobs_running") == 1
    assert value(client, "lease_overdue_seconds") == pytest.approx(age_s, abs=60)
    assert value(client, "credits_held_mcr") == 4 * jobs[0].price_mcr
    assert value(client, "credits_available_mcr") == 100_000 - 4 * jobs[0].price_mcr
    assert value(client, "stored_files") == 1
    assert value(client, "stored_bytes") == asset.size_bytes


@pytest.mark.django_db
def test_jobs_that_no_worker_could_take_call_for_none(
    client: Client, alice: Any, tmp_path: Path, settings: Any
):
    settings.PARALLEL_JOBS = 1
    asset = make_asset(alice, tmp_path)
    running, waiting = make_job(alice, asset), make_job(alice, asset)
    Job.objects.filter(pk=running.pk).update(state="running", lease_until=LONG_AGO)
    Job.objects.filter(pk=waiting.pk).update(queued_at=LONG_AGO, is_preview=True)
    assert value(client, "jobs_queued", queue="preview") == 1
    assert value(client, "jobs_startable", queue="preview") == 0
    assert value(client, "queue_age_seconds", queue="preview") == 0


@pytest.mark.django_db
def test_what_was_counted(client: Client, alice: Any, tmp_path: Path):
    job = make_job(alice, make_asset(alice, tmp_path, seconds=2.0))
    Job.objects.filter(pk=job.pk).update(queued_at=LONG_AGO, is_preview=False)
    JobEvent.objects.create(job=job, kind="started", attempt=1, created_at=LONG_AGO)
    JobEvent.objects.create(
        job=job, kind="failed", attempt=1, detail="storage", created_at=LONG_AGO
    )
    assert value(client, "jobs_ended_total", state="failed", cause="internal") == 0
    tallies_roll_up()
    assert value(client, "jobs_ended_total", state="failed", cause="storage") == 1
    assert value(client, "job_events_total", kind="started", cause="") == 1
    assert value(client, "job_wait_seconds_bucket", queue="normal", le="0.1") == 1
    assert value(client, "job_wait_seconds_bucket", queue="normal", le="+Inf") == 1
    assert value(client, "job_wait_seconds_count", queue="preview") == 0
    # As an earlier version may have counted.
    tally_add("jobs_ended", state="failed")
    assert value(client, "jobs_ended_total", state="failed", cause="") == 1


@pytest.mark.django_db
def test_files_beyond_their_time_and_the_books(client: Client, alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    Asset.objects.filter(pk=asset.pk).update(expires_at=LONG_AGO)
    Reconciliation.objects.create(discrepancies=[["a", 1], ["b", 2]], finished_at=LONG_AGO)
    Reconciliation.objects.create()
    assert value(client, "assets_overdue") == 1
    assert value(client, "ledger_discrepancies") == 2
    assert value(client, "ledger_checked_timestamp_seconds") == LONG_AGO.timestamp()


@pytest.mark.django_db
def test_requests_are_counted_by_route_and_not_by_path(client: Client, alice_client: Client):
    before = value(client, "http_requests_total", method="GET", route="none", status="404") or 0
    client.get("/nothing/1")
    client.get("/nothing/2")
    alice_client.get("/v1/jobs/7d9a4b8e-54a8-4a3e-8d5c-0a4c6d0f6a10")
    client.generic("BREW", "/livez")
    text = client.get("/metrics").text
    found = read(text)
    route = "v1/jobs/<uuid:job_uuid>"
    assert value(client, "http_requests_total", method="GET", route="none", status="404") == (
        before + 2
    )
    count = "stemwright_http_requests_total"
    assert (count, frozenset({"method": "GET", "route": route, "status": "404"}.items())) in found
    assert (
        count,
        frozenset({"method": "other", "route": "livez", "status": "405"}.items()),
    ) in found
    assert "7d9a4b8e" not in text


@pytest.mark.django_db
def test_without_a_database_the_rest_is_still_told(client: Client, monkeypatch: pytest.MonkeyPatch):
    def fail() -> Any:
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", fail)
        response = client.get("/metrics")
    found = read(response.text)
    assert found["stemwright_database_up", frozenset()] == 0
    assert not any(name.startswith("stemwright_jobs_") for name, _ in found)
    assert any(name == "stemwright_http_requests_total" for name, _ in found)


@pytest.mark.django_db(transaction=True)
def test_all_web_processes_are_counted_together(tmp_path: Path):
    log = tmp_path / "web.log"
    environ = service_environment(tmp_path, WEB_CONCURRENCY="2", TMPDIR=str(tmp_path))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.py", "-b", "127.0.0.1:0"]
            + ["config.wsgi:application", "--log-level", "info"],
            cwd=ROOT,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: log.read_text().count("Booting worker") == 2, timeout_s=60, log=log)
        line = next(line for line in log.read_text().splitlines() if "Listening at" in line)
        url = line.split("Listening at: ")[1].split()[0]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        (folder,) = tmp_path.glob("metrics-*")
        calls = count()

        def both_have_counted() -> bool:
            # Which of them takes a call is up to the kernel.
            opener.open(f"{url}/livez").read()
            next(calls)
            return len(list(folder.glob("counter_*.db"))) == 2

        wait_until(both_have_counted, timeout_s=60, log=log)
        found = read(opener.open(f"{url}/metrics").read().decode())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    labels = frozenset({"method": "GET", "route": "livez", "status": "200"}.items())
    assert found["stemwright_http_requests_total", labels] == next(calls)
    assert not folder.exists(), os.listdir(folder)
