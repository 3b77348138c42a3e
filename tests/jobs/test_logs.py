from pathlib import Path
from typing import Any

import pytest
import structlog
from django.test import Client
from structlog.testing import capture_logs

from jobs.logs import request_id
from jobs.models import Job
from jobs.services import job_cancel
from tests.makers import make_asset, make_job, run_jobs

pytestmark = pytest.mark.django_db


def ends(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["event"] == "job_ended"]


def test_the_order_and_the_work_are_logged_under_one_request(
    alice: Any,
    alice_client: Client,
    tmp_path: Path,
    fake_separation: Any,
    django_capture_on_commit_callbacks: Any,
):
    asset = make_asset(alice, tmp_path, seconds=2.0)
    response = alice_client.post(
        "/v1/jobs",
        {"asset": str(asset.uuid), "stems": ["vocals"], "model": "htdemucs"},
        content_type="application/json",
    )
    assert response.status_code == 201
    job = Job.objects.get()
    assert job.request_id == response.headers["X-Request-ID"]
    merge = structlog.contextvars.merge_contextvars
    with (
        capture_logs(processors=[merge]) as logs,
        django_capture_on_commit_callbacks(execute=True),
    ):
        run_jobs()
    known = {
        "job": str(job.uuid),
        "attempt": 1,
        "workspace": str(alice.uuid),
        "request_id": job.request_id,
    }
    of_work = [line for line in logs if line["event"] == "job_started"]
    assert [{name: line[name] for name in known} for line in of_work] == [known]
    (end,) = ends(logs)
    job.refresh_from_db()
    assert job.finished_at
    assert job.claimed_at
    assert end.items() >= known.items()
    assert (end["state"], end["cause"], end["losses"], end["audio_s"]) == ("succeeded", "", 0, 2.0)
    assert end["service"] == "separation"
    assert end["run_s"] == round((job.finished_at - job.claimed_at).total_seconds(), 3)
    assert end["wait_s"] >= 0
    assert end["speed"] > 0


def test_a_job_that_never_ran(alice: Any, tmp_path: Path, django_capture_on_commit_callbacks: Any):
    job = make_job(alice, make_asset(alice, tmp_path))
    with capture_logs() as logs, django_capture_on_commit_callbacks(execute=True):
        job_cancel(workspace=alice, job_uuid=job.uuid)
    (end,) = ends(logs)
    assert (end["state"], end["attempt"], end["request_id"]) == ("cancelled", 0, "")
    assert (end["wait_s"], end["run_s"], end["speed"]) == (None, None, None)


def test_what_callers_call_themselves_is_cut():
    assert request_id() == ""
    with structlog.contextvars.bound_contextvars(request_id="x" * 1000):
        assert request_id() == "x" * 64
