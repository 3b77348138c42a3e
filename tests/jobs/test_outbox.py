"""Messages are written with what they tell, or not at all."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import OrmQ

from accounts.audit import OPERATOR
from accounts.models import Workspace
from billing.selectors import wallet_get
from jobs import leases
from jobs.leases import job_fail, job_hand_back, job_stop, job_succeed
from jobs.models import (
    Asset,
    AssetState,
    Ingest,
    IngestKind,
    IngestState,
    Job,
    JobState,
    WebhookAttempt,
    WebhookEndpoint,
    WebhookMessage,
)
from jobs.outbox import ingest_ended, job_ended, messages_clean
from jobs.scheduling import job_claim
from jobs.services import Order, job_cancel, job_create
from jobs.webhook_events import EVENT_TYPES
from jobs.webhooks import endpoint_create, endpoint_delete, endpoint_update
from tests.makers import make_asset, make_job

pytestmark = pytest.mark.django_db

URL = "https://hooks.example.org/in"


def make_endpoint(workspace: Workspace, **values: Any) -> WebhookEndpoint:
    values.setdefault("url", URL)
    return endpoint_create(workspace=workspace, actor=OPERATOR, **values)[0]


def claim(workspace: Workspace, folder: Path, **order: Any) -> Job:
    asset = make_asset(workspace, folder)
    order = {
        "asset_uuid": asset.uuid,
        "service": "separation",
        "stems": ["vocals"],
        "model": "htdemucs",
        "output_format": "wav",
        **order,
    }
    job_create(workspace=workspace, api_key=None, order=Order(**order))
    job = job_claim()
    assert job is not None
    return job


def make_stem(job: Job, stem: str = "vocals") -> Asset:
    asset = job.recording
    return Asset(
        workspace=job.workspace,
        state=AssetState.READY,
        job=job,
        stem=stem,
        filename="my song (vocals).wav",
        storage_key=f"jobs/{uuid4()}",
        size_bytes=123_456_789_012,
        sha256="f" * 64,
        codec=asset.codec,
        container=asset.container,
        sample_rate=asset.sample_rate,
        channels=asset.channels,
        n_samples=asset.n_samples,
        layout=asset.layout,
        bits_per_sample=asset.bits_per_sample,
        is_float=False,
        is_lossy=False,
    )


def told() -> list[tuple[Any, ...]]:
    return list(
        WebhookMessage.objects.order_by("pk").values_list("event", "url", "state", "attempts")
    )


def zulu(at: Any) -> Any:
    return at.isoformat().replace("+00:00", "Z")


def test_the_end_of_a_job_is_told_in_full_but_opens_nothing(alice: Workspace, tmp_path: Path):
    endpoint = make_endpoint(alice)
    job = claim(alice, tmp_path)
    stem = make_stem(job)
    job_succeed(job, outputs=[stem])
    message = WebhookMessage.objects.get()
    job.refresh_from_db()
    assert (message.endpoint, message.job, message.workspace) == (endpoint, job, alice)
    assert (message.url, message.host) == (URL, "hooks.example.org")
    assert message.body == {
        "type": "job.succeeded",
        "timestamp": zulu(job.finished_at),
        "data": {
            "id": str(job.uuid),
            "status": "succeeded",
            "service": "separation",
            "asset": str(job.recording.uuid),
            "stems": ["vocals"],
            "model": "htdemucs",
            "format": "wav",
            "formats": ["wav"],
            "range": None,
            "steps": [],
            "metadata": {},
            "retry_of": None,
            "price_mcr": 2_500,
            "charged_mcr": 2_500,
            "credits_charged": "2.5",
            "error": None,
            "outputs": [
                {
                    "id": str(stem.uuid),
                    "stem": "vocals",
                    "kind": "stem",
                    "format": "wav16",
                    "size_bytes": 123_456_789_012,
                    "sha256": "f" * 64,
                }
            ],
            "created_at": zulu(job.created_at),
            "started_at": zulu(job.started_at),
            "finished_at": zulu(job.finished_at),
        },
    }


def test_failure_and_cancel_are_told_each_by_its_name(alice: Workspace, tmp_path: Path):
    make_endpoint(alice)
    job_fail(claim(alice, tmp_path), code="broken_media", message="It is broken.")
    job_stop(claim(alice, tmp_path))
    waiting = make_job(alice, make_asset(alice, tmp_path))
    job_cancel(workspace=alice, job_uuid=waiting.uuid)
    messages = WebhookMessage.objects.order_by("pk")
    assert [message.event for message in messages] == [
        "job.failed",
        "job.cancelled",
        "job.cancelled",
    ]
    assert [message.body["data"]["error"] for message in messages] == [
        {"code": "broken_media", "message": "It is broken."},
        None,
        None,
    ]
    assert {message.body["data"]["charged_mcr"] for message in messages} == {0}
    assert messages[2].body["data"]["started_at"] is None


def test_what_is_not_the_end_is_not_told(alice: Workspace, tmp_path: Path):
    make_endpoint(alice)
    job = claim(alice, tmp_path)
    job_hand_back(job)
    job_ended(job)
    job = job_claim() or pytest.fail("it was handed back")
    job_cancel(workspace=alice, job_uuid=job.uuid)
    assert told() == []
    # Once it has ended, a worker that lost it tells nothing.
    job_stop(job)
    with pytest.raises(leases.LeaseLost):
        job_fail(job, code="x", message="x")
    assert [event for event, *_ in told()] == ["job.cancelled"]


def test_only_those_are_told_that_want_it(alice: Workspace, charlie: Workspace, tmp_path: Path):
    failed = make_endpoint(alice, url=f"{URL}/failed", events=["job.failed"])
    make_endpoint(alice, url=f"{URL}/both", events=["job.succeeded", "job.failed"])
    make_endpoint(alice, url=f"{URL}/other", events=["import.ready"])
    disabled = make_endpoint(alice, url=f"{URL}/disabled")
    deleted = make_endpoint(alice, url=f"{URL}/deleted")
    endpoint_update(workspace=alice, endpoint_uuid=disabled.uuid, actor=OPERATOR, is_enabled=False)
    endpoint_delete(workspace=alice, endpoint_uuid=deleted.uuid, actor=OPERATOR)
    make_endpoint(charlie, url=f"{URL}/stranger")
    job_succeed(claim(alice, tmp_path), outputs=[])
    assert told() == [("job.succeeded", f"{URL}/both", "pending", 0)]
    endpoint_delete(workspace=alice, endpoint_uuid=failed.uuid, actor=OPERATOR)
    job_succeed(claim(charlie, tmp_path), outputs=[])
    assert told()[1:] == [("job.succeeded", f"{URL}/stranger", "pending", 0)]


def test_twenty_endpoints_and_the_jobs_own_address(
    alice: Workspace, tmp_path: Path, django_assert_max_num_queries: Any
):
    urls = {f"{URL}/{number}" for number in range(20)}
    for url in urls:
        make_endpoint(alice, url=url)
    job = claim(alice, tmp_path, callback_url=f"{URL}/callback")
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).update(
            state=JobState.SUCCEEDED, lease_until=None, finished_at=Now()
        )
        with django_assert_max_num_queries(4):
            job_ended(job)
    messages = WebhookMessage.objects.all()
    assert {message.url for message in messages} == urls | {f"{URL}/callback"}
    assert len(messages) == len({message.uuid for message in messages}) == 21
    own = messages.get(endpoint=None)
    assert (own.url, own.job) == (f"{URL}/callback", job)


def test_an_end_that_fails_leaves_neither_state_nor_message(
    alice: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make_endpoint(alice)
    job = claim(alice, tmp_path)

    def fail_afterwards(job: Job) -> None:
        job_ended(job)
        assert WebhookMessage.objects.count() == 1
        raise RuntimeError("the last step of the transaction, say")

    monkeypatch.setattr(leases, "job_ended", fail_afterwards)
    for end in (
        lambda: job_succeed(job, outputs=[make_stem(job)]),
        lambda: job_fail(job, code="x", message="x"),
        lambda: job_stop(job),
    ):
        with pytest.raises(RuntimeError):
            end()
        job.refresh_from_db()
        assert (job.state, job.finished_at, job.charged_mcr) == ("running", None, 0)
        wallet = wallet_get(workspace=alice)
        assert (wallet.posted_mcr, wallet.held_mcr) == (100_000, 2_500)
        assert told() == []
        assert not Asset.objects.filter(job=job).exists()


def test_a_body_stays_far_below_20_kilobytes(alice: Workspace, tmp_path: Path):
    make_endpoint(alice)
    job = claim(alice, tmp_path)
    stems = [f"{number:064}" for number in range(32)]
    Job.objects.filter(pk=job.pk).update(stems=stems, model="m" * 64)
    job_succeed(job, outputs=[make_stem(job, stem) for stem in stems])
    body = WebhookMessage.objects.get().body
    assert len(body["data"]["outputs"]) == 32
    assert len(json.dumps(body)) < 15_000
    assert "my song" not in json.dumps(body)


@pytest.mark.parametrize(
    ("kind", "state", "event"),
    [
        (IngestKind.URL, IngestState.READY, "import.ready"),
        (IngestKind.URL, IngestState.FAILED, "import.failed"),
        (IngestKind.TUS, IngestState.READY, "upload.ready"),
        (IngestKind.MULTIPART, IngestState.FAILED, "upload.failed"),
        (IngestKind.URL, IngestState.CANCELLED, None),
        (IngestKind.TUS, IngestState.WAITING, None),
    ],
)
def test_recordings_that_came_or_failed_to_are_told(
    alice: Workspace, tmp_path: Path, kind: str, state: str, event: str | None
):
    make_endpoint(alice)
    is_ready, has_failed = state == IngestState.READY, state == IngestState.FAILED
    asset = make_asset(alice, tmp_path) if is_ready else None
    ingest = Ingest.objects.create(
        workspace=alice,
        kind=kind,
        state=state,
        asset=asset,
        error_code="timeout" if has_failed else "",
        error_message="It took too long." if has_failed else "",
        expires_at=Now() + timedelta(days=1),
        finished_at=None if state == IngestState.WAITING else Now(),
    )
    ingest_ended(ingest)
    messages = list(WebhookMessage.objects.all())
    assert [message.event for message in messages] == ([event] if event else [])
    for message in messages:
        ingest.refresh_from_db()
        assert event in EVENT_TYPES
        assert message.body == {
            "type": event,
            "timestamp": zulu(ingest.finished_at),
            "data": {
                "id": str(ingest.uuid),
                "status": state,
                "asset": str(asset.uuid) if asset else None,
                "duration_s": 1.0 if asset else None,
                "error": {"code": "timeout", "message": "It took too long."}
                if has_failed
                else None,
                "created_at": zulu(ingest.created_at),
                "finished_at": zulu(ingest.finished_at),
            },
        }


def test_an_order_without_an_address_keeps_the_hash_that_it_always_had():
    order = Order(
        asset_uuid=UUID("00000000-0000-4000-8000-000000000000"),
        service="separation",
        stems=["vocals"],
        model="htdemucs",
        output_format="wav",
    )
    text = (
        '{"asset_uuid": "00000000-0000-4000-8000-000000000000", "service": "separation", '
        '"stems": ["vocals"], "model": "htdemucs", "output_format": "wav"}'
    )
    assert order.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert replace(order, callback_url=URL).sha256 != order.sha256


def test_a_worker_is_woken_after_the_commit_if_there_is_something_to_send(
    alice: Workspace, tmp_path: Path, django_capture_on_commit_callbacks: Any
):
    def end_a_job() -> list[str]:
        job = claim(alice, tmp_path)
        OrmQ.objects.all().delete()
        with django_capture_on_commit_callbacks(execute=True):
            job_succeed(job, outputs=[])
        return [task.func() for task in OrmQ.objects.all()]

    assert "jobs.tasks.webhooks_run" not in end_a_job()
    make_endpoint(alice)
    assert "jobs.tasks.webhooks_run" in end_a_job()


def test_what_ended_long_ago_is_forgotten_with_its_log(alice: Workspace):
    endpoint = make_endpoint(alice)
    ages = {"old": 31, "recent": 29, "pending": None}
    for event, age in ages.items():
        message = WebhookMessage.objects.create(
            workspace=alice,
            endpoint=endpoint,
            url=URL,
            event=event,
            body={},
            state="pending" if age is None else "failed",
            finished_at=timezone.now() - timedelta(days=age) if age else None,
        )
        WebhookAttempt.objects.create(message=message, number=1, duration_ms=1)
    assert messages_clean() == 1
    assert messages_clean() == 0
    assert {message.event for message in WebhookMessage.objects.all()} == {"recent", "pending"}
    assert WebhookAttempt.objects.count() == 2
