"""Waiting for a job: by events, and without them."""

from pathlib import Path
from typing import Any

import pytest
from stemwright import Client, Job

from jobs.runner import run_next_job
from tests.clients.proxy import Fault, Proxy
from tests.makers import make_asset, make_job


@pytest.fixture
def queued(workspace: Any, tmp_path: Path) -> str:
    return str(make_job(workspace, make_asset(workspace, tmp_path)).uuid)


def test_events_tell_what_happens(through: Client, proxy: Proxy, queued: str, fake_separation: Any):
    seen: list[Job] = []
    for job in through.jobs.watch(queued):
        seen.append(job)
        if job.status == "queued":
            run_next_job()
    # Whether anybody looks while it runs is a matter of moments.
    statuses = [job.status for job in seen if job.status != "running"]
    assert statuses == ["queued", "succeeded"]
    assert len(proxy.called("GET", f"/v1/jobs/{queued}/events")) == 1
    assert proxy.called("GET", f"/v1/jobs/{queued}?") == []


def plain_reads(proxy: Proxy, job_id: str) -> int:
    return sum(call.path == f"/v1/jobs/{job_id}" for call in proxy.calls)


def test_without_events_it_asks_again(
    through: Client, proxy: Proxy, queued: str, fake_separation: Any, pauses: list[float]
):
    # As a proxy does that does not let them through.
    proxy.will("GET", f"/v1/jobs/{queued}/events", Fault(status=502, is_passed_on=False))
    seen = []
    for job in through.jobs.watch(queued):
        seen.append(job.status)
        if len(seen) == 3:
            run_next_job()
    assert seen == ["queued", "queued", "queued", "succeeded"]
    assert plain_reads(proxy, queued) == 4
    assert len(proxy.called("GET", f"/v1/jobs/{queued}/events")) == 1
    # Less and less often.
    assert len(pauses) == 3
    assert pauses[0] < pauses[1] < pauses[2]


def test_a_stream_that_breaks_is_opened_again(
    through: Client, proxy: Proxy, queued: str, fake_separation: Any
):
    first_event = Fault(cut_answer_at=b"}\n\n")
    proxy.will("GET", f"/v1/jobs/{queued}/events", first_event)
    seen = []
    for job in through.jobs.watch(queued):
        seen.append(job.status)
        if len(seen) == 2:
            run_next_job()
    assert seen[-1] == "succeeded"
    assert len(proxy.called("GET", f"/v1/jobs/{queued}/events")) == 2


def test_where_too_many_streams_are_open_it_asks_and_tries_again(
    through: Client, proxy: Proxy, queued: str, fake_separation: Any, settings: Any
):
    settings.PROGRESS_STREAMS_PER_WORKSPACE = 0
    seen = []
    for job in through.jobs.watch(queued):
        seen.append(job.status)
        if len(seen) == 1:
            settings.PROGRESS_STREAMS_PER_WORKSPACE = 4
        elif len(seen) == 2:
            run_next_job()
    assert seen[-1] == "succeeded"
    assert plain_reads(proxy, queued) == 1
    assert len(proxy.called("GET", f"/v1/jobs/{queued}/events")) == 2
