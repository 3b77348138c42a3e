import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from accounts.models import ApiKey
from api.native import events
from jobs.leases import job_beat, job_succeed
from jobs.models import Job
from jobs.scheduling import job_claim
from jobs.services import job_cancel, job_delete
from tests.fakes.clock import Clock
from tests.makers import make_asset, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(events, "time", clock)
    return clock


@pytest.fixture
def job(alice: Any, tmp_path: Path) -> Job:
    return make_job(alice, make_asset(alice, tmp_path))


@pytest.fixture
def path(job: Job) -> str:
    return f"/v1/jobs/{job.uuid}/events"


def text_of(response: Any) -> str:
    assert response.headers["Content-Type"] == "text/event-stream"
    text: str = b"".join(response.streaming_content).decode()
    assert text.startswith("retry: 1000\n\n")
    return text


def told(response: Any) -> list[dict[str, Any]]:
    lines = text_of(response).splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def test_an_ended_job_is_told_as_its_end(alice_client: Client, alice: Any, job: Job, path: str):
    job_cancel(workspace=alice, job_uuid=job.uuid)
    (event,) = told(alice_client.get(path))
    assert (event["id"], event["status"]) == (str(job.uuid), "cancelled")


def test_another_step_is_told_without_progress(
    alice_client: Client, job: Job, path: str, clock: Clock
):
    def step(name: str) -> Callable[[], Any]:
        return lambda: job_beat(Job.objects.get(pk=job.pk), progress=0.25, step=name)

    def succeed() -> None:
        job_succeed(Job.objects.get(pk=job.pk), outputs=[])

    clock.turns = iter([job_claim, step("embed"), step("cluster"), step("cluster"), succeed])
    steps = [event["step"] for event in told(alice_client.get(path))]
    assert steps == ["", "", "embed", "cluster", ""]


def test_each_change_is_told_once(alice_client: Client, job: Job, path: str, clock: Clock):
    def succeed() -> None:
        job.refresh_from_db()
        job_succeed(job, outputs=[])

    clock.turns = iter([lambda: None, job_claim, lambda: None, succeed])
    states = [event["status"] for event in told(alice_client.get(path))]
    assert states == ["queued", "running", "succeeded"]


def test_it_ends_when_the_job_is_deleted(
    alice_client: Client, alice: Any, job: Job, path: str, clock: Clock
):
    def delete() -> None:
        job_cancel(workspace=alice, job_uuid=job.uuid)
        job_delete(workspace=alice, job_uuid=job.uuid)

    clock.turns = iter([delete])
    assert [event["status"] for event in told(alice_client.get(path))] == ["queued"]
    assert clock.now_s == 1_000.5


@pytest.mark.parametrize("change", [{"revoked_at": Now()}, {"scopes": ["assets:read"]}])
def test_it_ends_when_the_key_may_no_longer_look(
    alice_client: Client, alice: Any, job: Job, path: str, clock: Clock, change: dict[str, Any]
):
    keys = ApiKey.objects.filter(workspace=alice)
    clock.turns = iter([lambda: keys.update(**change)])
    assert [event["status"] for event in told(alice_client.get(path))] == ["queued"]
    assert clock.now_s == 1_000.5


def test_it_ends_after_five_minutes_and_says_something_every_five_seconds(
    alice_client: Client, path: str, clock: Clock
):
    text = text_of(alice_client.get(path))
    assert clock.now_s == 1_300
    assert (text.count("event: job\n"), text.count(": still here\n")) == (1, 59)


def test_head_opens_no_stream(alice_client: Client, path: str, settings: Any, clock: Clock):
    settings.PROGRESS_STREAMS_PER_PROCESS = 0
    response = alice_client.head(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    assert clock.now_s == 1_000


@pytest.mark.parametrize(
    "setting", ["PROGRESS_STREAMS_PER_PROCESS", "PROGRESS_STREAMS_PER_WORKSPACE"]
)
def test_too_many_streams_are_refused_until_one_is_closed(
    alice_client: Client, path: str, settings: Any, setting: str
):
    setattr(settings, setting, 2)
    never_read, half_read = alice_client.get(path), alice_client.get(path)
    next(iter(half_read))
    refused = alice_client.get(path)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert refused.json()["error"]["code"] == "too_many_requests"
    for response in (never_read, half_read):
        response.close()
        # A second time gives nothing back.
        response.close()
    again = [alice_client.get(path) for _ in range(3)]
    assert [response.status_code for response in again] == [200, 200, 429]
    for response in again:
        response.close()


def test_the_streams_of_one_workspace_leave_places_for_others(
    alice_client: Client,
    charlie_client: Client,
    charlie: Any,
    path: str,
    settings: Any,
    tmp_path: Path,
):
    settings.PROGRESS_STREAMS_PER_WORKSPACE = 1
    of_charlie = f"/v1/jobs/{make_job(charlie, make_asset(charlie, tmp_path)).uuid}/events"
    responses = [
        alice_client.get(path),
        alice_client.get(path),
        charlie_client.get(of_charlie),
    ]
    assert [response.status_code for response in responses] == [200, 429, 200]
    for response in responses:
        response.close()


def test_a_stream_that_is_refused_to_a_stranger_takes_no_place(
    charlie_client: Client, path: str, settings: Any
):
    settings.PROGRESS_STREAMS_PER_PROCESS = 0
    assert charlie_client.get(path).status_code == 404
