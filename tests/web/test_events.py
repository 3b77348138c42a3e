"""What changes in the jobs on a page, as a stream and as an answer to one look."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from accounts.models import Membership, Role, Workspace
from jobs.leases import job_beat, job_succeed
from jobs.models import Job
from jobs.scheduling import job_claim
from jobs.services import job_cancel, job_delete
from tests.fakes.clock import Clock
from tests.makers import make_asset, make_job, make_member, make_workspace
from web.app import events

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(events, "time", clock)
    return clock


@pytest.fixture
def studio(db: None) -> Workspace:
    return make_workspace("Studio", credits=100)


@pytest.fixture
def client(studio: Workspace) -> Client:
    client = Client()
    client.force_login(make_member(studio, Role.OWNER, email="alice@example.org"))
    return client


@pytest.fixture
def job(studio: Workspace, tmp_path: Path) -> Job:
    return make_job(studio, make_asset(studio, tmp_path, name="song.wav"))


def told(response: Any) -> list[tuple[str, dict[str, Any]]]:
    """Each event and what it says."""
    assert response.headers["Content-Type"] == "text/event-stream"
    assert "no-store" in response.headers["Cache-Control"]
    assert response.headers["X-Accel-Buffering"] == "no"
    text = b"".join(response.streaming_content).decode()
    assert text.startswith("retry: 1000\n\n")
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        if "event" in lines:
            assert len(lines["id"]) == 16
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_every_change_comes_with_the_row(client: Client, job: Job, clock: Clock):
    def beat() -> None:
        job_beat(Job.objects.get(pk=job.pk), progress=0.5, step="separate")

    def succeed() -> None:
        job_succeed(Job.objects.get(pk=job.pk), outputs=[])

    clock.turns = iter([lambda: None, job_claim, beat, beat, succeed])
    found = told(client.get(f"/app/events?jobs={job.uuid}"))
    assert [name for name, _ in found] == ["job"] * 4 + ["end"]
    bodies = [body for name, body in found if name == "job"]
    assert {body["id"] for body in bodies} == {str(job.uuid)}
    assert [body["state"] for body in bodies] == ["queued", "running", "running", "succeeded"]
    assert [body["said"] for body in bodies] == [
        "song.wav: In the queue",
        "song.wav: Running",
        "song.wav: Separating",
        "song.wav: Done",
    ]
    assert bodies[2]["progress"] == 0.5
    assert 'Separating <span class="tabular">50 %</span>' in bodies[2]["html"]
    assert bodies[3]["html"].lstrip().startswith("<tr data-job=")


def test_all_jobs_of_a_page_share_a_stream(
    client: Client, studio: Workspace, job: Job, tmp_path: Path, clock: Clock
):
    other = make_job(studio, make_asset(studio, tmp_path, name="other.wav"))

    def cancel(one: Job) -> Callable[[], Any]:
        return lambda: job_cancel(workspace=studio, job_uuid=one.uuid)

    def delete() -> None:
        job_cancel(workspace=studio, job_uuid=job.uuid)
        job_delete(workspace=studio, job_uuid=job.uuid)

    clock.turns = iter([cancel(other), delete])
    found = told(client.get(f"/app/events?as=status&jobs={job.uuid},{other.uuid}"))
    names = [(name, body.get("state")) for name, body in found]
    assert names[-3:] == [("job", "cancelled"), ("gone", None), ("end", None)] or names[-4:] == [
        ("job", "cancelled"),
        ("job", "queued"),
        ("gone", None),
        ("end", None),
    ]
    assert "<section" in found[0][1]["html"]


def test_a_look_is_answered_with_the_same(client: Client, studio: Workspace, job: Job):
    path = f"/app/events?jobs={job.uuid},{uuid4()},wrong"
    answer = client.get(path, headers={"Accept": "application/json"}).json()
    (body,) = answer["jobs"]
    assert (body["id"], body["state"], len(answer["gone"])) == (str(job.uuid), "queued", 1)
    assert answer["end"] is False
    job_cancel(workspace=studio, job_uuid=job.uuid)
    answer = client.get(path, headers={"Accept": "application/json"}).json()
    assert (answer["jobs"][0]["stage"], answer["end"]) == ("Cancelled", True)


def test_who_comes_back_is_told_only_what_is_new(client: Client, job: Job, clock: Clock):
    path = f"/app/events?jobs={job.uuid}"
    clock.turns = iter([lambda: job_cancel(workspace=job.workspace, job_uuid=job.uuid)])
    stream = client.get(path)
    text = b"".join(stream.streaming_content).decode()  # type: ignore[attr-defined]
    first = text.partition("id: ")[2][:16]
    Job.objects.filter(pk=job.pk).update(state="queued", finished_at=None)
    clock.turns = iter([lambda: job_cancel(workspace=job.workspace, job_uuid=job.uuid)])
    found = told(client.get(path, headers={"Last-Event-ID": first}))
    assert [body.get("state") for _, body in found] == ["cancelled", None]


def test_it_ends_after_five_minutes_and_says_something_meanwhile(
    client: Client, job: Job, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "_LOOK_EVERY_S", 5.0)
    response = client.get(f"/app/events?jobs={job.uuid}")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert clock.now_s == 1_300
    assert text.count("event: job") == 1
    assert text.count(": still here") == 59


@pytest.mark.parametrize("change", ["signed out", "left", "other role"])
def test_it_ends_when_the_reader_may_no_longer_look(
    client: Client, studio: Workspace, job: Job, clock: Clock, change: str
):
    def happen() -> None:
        mine = Membership.objects.filter(workspace=studio)
        if change == "signed out":
            Session.objects.all().delete()
        elif change == "left":
            mine.delete()
        else:
            mine.update(role=Role.BILLING)

    clock.turns = iter([happen])
    assert [name for name, _ in told(client.get(f"/app/events?jobs={job.uuid}"))] == ["job"]
    assert clock.now_s == 1_001


def test_nothing_to_look_at_takes_no_place(client: Client, job: Job):
    for query in ("", "?jobs=", "?jobs=wrong"):
        assert client.get(f"/app/events{query}").status_code == 204
    head = client.head(f"/app/events?jobs={job.uuid}")
    assert (head.status_code, head["Content-Type"]) == (200, "text/event-stream")


def test_strangers_jobs_are_gone(client: Client, tmp_path: Path, clock: Clock):
    other = make_workspace("Other", credits=5)
    theirs = make_job(other, make_asset(other, tmp_path))
    found = told(client.get(f"/app/events?jobs={theirs.uuid}"))
    assert found == [("gone", {"id": str(theirs.uuid)}), ("end", {})]


def test_streams_are_bounded(client: Client, job: Job, settings: Any, clock: Clock):
    settings.PROGRESS_STREAMS_PER_WORKSPACE = 1
    path = f"/app/events?jobs={job.uuid}"
    first = client.get(path)
    refused = client.get(path)
    assert (refused.status_code, refused["Retry-After"]) == (429, "5")
    # A look needs no place.
    assert client.get(path, headers={"Accept": "application/json"}).status_code == 200
    job_cancel(workspace=job.workspace, job_uuid=job.uuid)
    told(first)
    told(client.get(path))
