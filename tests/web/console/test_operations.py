"""Jobs, queues, models, webhooks, books, prices, flags, notes."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.flags import flag_is_on, flags_forget
from accounts.models import AuditEvent, Flag, User, Workspace
from billing.models import Hold, Price, Reconciliation
from billing.selectors import prices_list
from jobs.models import Job, WebhookEndpoint, WebhookMessage, Worker
from separation import catalog
from tests.makers import make_asset, make_job, make_workspace, run_jobs
from tests.web.html import Page

pytestmark = pytest.mark.django_db


def check(client: Client, path: str, **query: str) -> str:
    response = client.get(path, query)
    text: str = response.content.decode()
    assert response.status_code == 200
    assert Page(text).problems() == []
    return text


def actions() -> list[str]:
    """What the operator did."""
    events = AuditEvent.objects.filter(actor_label="olga@example.org", actor_kind="operator")
    return list(events.order_by("pk").values_list("action", flat=True))


@pytest.fixture
def job(studio: Workspace, tmp_path: Path) -> Job:
    return make_job(studio, make_asset(studio, tmp_path))


@pytest.fixture
def message(studio: Workspace) -> WebhookMessage:
    endpoint = WebhookEndpoint.objects.create(
        workspace=studio,
        url="https://example.org/hook",
        secret="x",
        is_enabled=False,
        disabled_reason="It answered 410 Gone.",
        disabled_at=timezone.now(),
    )
    return WebhookMessage.objects.create(
        workspace=studio,
        endpoint=endpoint,
        url=endpoint.url,
        host="example.org",
        event="job.succeeded",
        state="failed",
        finished_at=timezone.now(),
    )


@pytest.mark.parametrize(
    "name",
    ["jobs", "queues", "models", "webhooks", "books", "approvals", "prices", "flags", "audit"],
)
def test_every_page_shows_something_and_nothing(console: Client, name: str, request: Any):
    check(console, f"/console/{name}")
    request.getfixturevalue("job")
    request.getfixturevalue("message")
    Flag.objects.create(name="new-player", percent=50)
    check(console, f"/console/{name}")


def test_jobs_are_found_by_what_they_are(console: Client, studio: Workspace, job: Job):
    short = str(job.uuid)
    for query, is_there in (
        ({"state": "queued"}, True),
        ({"state": "failed"}, False),
        ({"service": "separation", "age": "hour"}, True),
        ({"service": "conversion"}, False),
        ({"workspace": str(studio.uuid)}, True),
        ({"state": "nonsense", "after": "x"}, True),
    ):
        assert (short in check(console, "/console/jobs", **query)) is is_there, query
    response = console.get("/console/jobs", {"workspace": "x"})
    assert response.status_code == 400
    assert "This is no id" in response.content.decode()


def test_a_job_is_cancelled_and_tried_again(console: Client, job: Job):
    path = f"/console/jobs/{job.uuid}"
    assert "Cancel the job" in check(console, path)
    assert console.post(f"{path}/act", {"act": "cancel"}).status_code == 400
    assert console.post(f"{path}/act", {"act": "x", "reason": "Why not"}).status_code == 400
    assert Job.objects.get().state == "queued"
    console.post(f"{path}/act", {"act": "cancel", "reason": "Stuck"})
    job.refresh_from_db()
    assert (job.state, Hold.objects.get().state) == ("cancelled", "released")
    assert "Retry the job" in check(console, path)
    assert console.post(f"{path}/act", {"act": "cancel", "reason": "Stuck"}).status_code == 302
    response = console.post(f"{path}/act", {"act": "retry", "reason": "Fixed"})
    again = Job.objects.get(retry_of=job)
    assert response["Location"] == f"/console/jobs/{again.uuid}"
    assert console.post(f"{path}/act", {"act": "retry", "reason": "Fixed"}).status_code == 409
    assert actions() == ["job.cancel", "job.cancel", "job.retry"]


def test_a_finished_job_tells_all_about_it(
    console: Client, job: Job, fake_separation: Any, no_beats: None
):
    run_jobs()
    text = check(console, f"/console/jobs/{job.uuid}")
    for word in ("started", "succeeded", "wav", "htdemucs", "vocals", f'job="{job.uuid}"'):
        assert word in text, word
    assert "htdemucs" in check(console, "/console/models")


def test_models_show_what_was_measured_of_their_stems(
    console: Client, monkeypatch: pytest.MonkeyPatch
):
    [drums, *_] = catalog.quality_of("drums", "htdemucs").measurements
    strong = replace(drums, sdr_db=12.34, parent_db=1.0)
    weak = replace(drums, stem="bass", sdr_db=5.0, parent_db=4.0)
    monkeypatch.setattr("separation.catalog.measured.measurements", lambda: (strong, weak))
    text = check(console, "/console/models")
    assert "<code>drums</code> 12.3 dB</span>" in text
    assert "<code>bass</code> 5.0 dB (experimental)</span>" in text


def test_workers_are_woken_and_lost_jobs_taken_back(console: Client, job: Job):
    gone = timezone.now() - timedelta(minutes=5)
    Job.objects.update(state="running", attempt=1, worker="host:1", lease_until=gone)
    assert "host:1" in check(console, "/console/queues")
    assert "Running jobs whose worker is silent" in check(console, "/console/")
    console.post("/console/queues/act", {"act": "reap"})
    job.refresh_from_db()
    assert (job.state, job.losses) == ("queued", 1)
    console.post("/console/queues/act", {"act": "wake"})
    assert console.post("/console/queues/act", {"act": "x"}).status_code == 400
    assert actions() == ["queue.reap", "queue.wake"]


def test_workers_are_seen_with_device_models_and_jobs(console: Client, job: Job):
    Job.objects.update(state="running", attempt=1, worker="gpu-1:7", lease_until=timezone.now())
    common = {"cluster": "separation", "started_at": timezone.now(), "at_once": 4}
    loaded = [{"model": "htdemucs_ft", "backend": "cuda-graphs", "device": "cuda"}]
    named = {"device": "cuda", "device_name": "NVIDIA H200", "loaded": loaded}
    Worker.objects.create(name="gpu-1:7", host="gpu-1", pid=7, **common, **named)
    silent = timezone.now() - timedelta(minutes=5)
    Worker.objects.create(name="gpu-2:8", host="gpu-2", pid=8, seen_at=silent, **common, **named)
    text = check(console, "/console/queues")
    for word in ("gpu-1:7", "NVIDIA H200", "htdemucs_ft", "cuda-graphs", str(job.uuid), "silent"):
        assert word in text, word
    numbers = re.findall(r'data-label="(Alive|Busy|Running|Places|Silent)">(\d+)<', text)
    assert dict(numbers) == {
        "Alive": "1",
        "Busy": "1",
        "Running": "1",
        "Places": "4",
        "Silent": "1",
    }
    home = check(console, "/console/")
    assert "Workers that fell silent within an hour." in home
    assert "1 of 1 workers busy" in home


def test_webhooks_are_switched_on_and_messages_sent_again(
    console: Client, operator: User, message: WebhookMessage
):
    text = check(console, "/console/webhooks")
    assert "It answered 410 Gone." in text
    values = {"message": str(message.uuid)}
    assert console.post("/console/webhooks/resend", values).status_code == 409
    endpoint = message.endpoint
    assert endpoint is not None
    console.post("/console/webhooks/enable", {"endpoint": str(endpoint.uuid)})
    endpoint.refresh_from_db()
    assert (endpoint.is_enabled, endpoint.disabled_reason) == (True, "")
    console.post("/console/webhooks/resend", values)
    message.refresh_from_db()
    assert message.state == "pending"
    for path in ("resend", "enable"):
        assert console.post(f"/console/webhooks/{path}", {"message": "x"}).status_code == 400
    assert actions() == ["webhook.updated", "webhook.resent"]
    event = AuditEvent.objects.get(action="webhook.updated")
    assert event.actor_label == operator.email


def test_the_books_are_checked(console: Client, studio: Workspace):
    console.post("/console/books/check", {"what": "ledger"})
    assert Reconciliation.objects.get().discrepancies == []
    assert "all adds up" in check(console, "/console/books")
    Reconciliation.objects.update(discrepancies=[["transaction has no entries", 7]])
    assert "transaction has no entries" in check(console, "/console/books")
    assert "The books do not add up." in check(console, "/console/")


def test_a_price_is_changed_by_a_new_one(console: Client, studio: Workspace):
    old = Price.objects.get(service="separation", workspace=None)
    values = {
        "service": "separation",
        "amount": "3",
        "quantity": "1",
        "unit": "per_second",
        "reason": "Power",
    }
    check(console, "/console/prices/new", service="separation")
    shown = console.post("/console/prices/new", values)
    assert "Set this price?" in shown.content.decode()
    assert Page(shown.content.decode()).problems() == []
    assert Price.objects.filter(service="separation").count() == 1
    assert console.post("/console/prices/new", {**values, "confirmed": "yes"}).status_code == 302
    new = Price.objects.exclude(pk=old.pk).get(service="separation")
    assert (new.amount_mcr, new.workspace) == (3_000, None)
    old.refresh_from_db()
    assert (old.amount_mcr, old.effective_until) == (2_500, None)
    now = {row.service: row.amount_mcr for row in prices_list(workspace=studio)}
    assert now["separation"] == 3_000
    # For one workspace, from tomorrow on.
    tomorrow = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    own = {**values, "amount": "1", "workspace": str(studio.uuid), "from": tomorrow}
    console.post("/console/prices/new", {**own, "confirmed": "yes"})
    assert Price.objects.get(workspace=studio).amount_mcr == 1_000
    assert "Prices to come" in check(console, "/console/prices", workspace=str(studio.uuid))
    assert actions()[-2:] == ["price.set", "price.set"]
    for wrong in (
        {"amount": "x"},
        {"quantity": "0"},
        {"unit": "per_year"},
        {"reason": ""},
        {"from": "yesterday"},
        {"from": "2020-01-01T00:00"},
    ):
        response = console.post("/console/prices/new", {**values, **wrong, "confirmed": "yes"})
        assert response.status_code == 422, wrong
    assert console.get("/console/prices/new?service=x").status_code == 400


def test_flags_are_for_some(console: Client, studio: Workspace):
    other = make_workspace("Other")
    assert not flag_is_on(workspace=studio, name="new-player")
    path = "/console/flags/new-player"
    assert console.post("/console/flags", {"name": "new-player"})["Location"] == path
    check(console, path)
    values = {"percent": "0", "workspaces": str(studio.uuid), "note": "Soon", "reason": "Try"}
    assert console.post(path, values).status_code == 302
    flags_forget()
    assert flag_is_on(workspace=studio, name="new-player")
    assert not flag_is_on(workspace=other, name="new-player")
    assert "new-player" in check(console, f"/console/workspaces/{studio.uuid}")
    console.post(path, {**values, "percent": "100", "workspaces": ""})
    flags_forget()
    assert flag_is_on(workspace=other, name="new-player")
    for wrong in ({"percent": "101"}, {"percent": "x"}, {"workspaces": "x"}, {"reason": ""}):
        assert console.post(path, {**values, **wrong}).status_code == 400
    assert console.post("/console/flags", {"name": "Größe"}).status_code == 400
    console.post(path, {"delete": "yes", "reason": "Done"})
    flags_forget()
    assert not flag_is_on(workspace=other, name="new-player")
    assert actions() == ["flag.set", "flag.set", "flag.deleted"]


def test_a_growing_share_takes_nothing_away():
    workspaces = [make_workspace(f"Number {number}", credits=0) for number in range(60)]
    flag = Flag.objects.create(name="slow", percent=0)
    had: set[int] = set()
    for percent in (0, 20, 50, 100):
        Flag.objects.filter(pk=flag.pk).update(percent=percent)
        flags_forget()
        have = {row.pk for row in workspaces if flag_is_on(workspace=row, name="slow")}
        assert had <= have
        had = have
    assert len(had) == 60


def test_notes_are_for_operators_only(console: Client, alice: User, studio: Workspace):
    path = f"/console/workspaces/{studio.uuid}"
    console.post(f"{path}/notes", {"text": "Pays late,\nbut pays."})
    assert console.post(f"{path}/notes", {"text": " "}).status_code == 400
    text = check(console, path)
    assert "Pays late" in text
    assert not AuditEvent.objects.filter(workspace_uuid=studio.uuid, action="note.added").exists()
    assert "note.added" in check(console, "/console/audit", kind="operator")
