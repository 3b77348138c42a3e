"""Webhooks of this dialect, received by a customer's server on loopback."""

import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from jobs.delivering import messages_deliver
from jobs.models import Job, WebhookEndpoint, WebhookMessage
from jobs.services import job_cancel
from tests.api.audiopod.steps import STEMS, ordered
from tests.fakes.receiver import DOWN, OK, Received, Receiver, receiver
from tests.jobs.webhook_steps import make_due
from tests.makers import make_asset, make_job, make_speaker_job, run_jobs

# Deliveries have connections of their own.
pytestmark = pytest.mark.django_db(transaction=True)

HOOKS = "/api/v1/webhooks"


@pytest.fixture
def customer(settings: Any) -> Any:
    with receiver(settings) as server:
        yield server


def made(client: Client, server: Receiver, **fields: Any) -> dict[str, Any]:
    body = {"url": server.url, **fields}
    response = client.post(f"{HOOKS}/endpoints", body, content_type="application/json")
    assert response.status_code == 200, response.content
    shown: dict[str, Any] = response.json()
    return shown


def verify(received: Received, secret: str) -> dict[str, Any]:
    """As a customer would, by their documents."""
    stamp = received.headers["x-audiopod-timestamp"]
    assert abs(time.time() - int(stamp)) < 300
    expected = hmac.new(
        secret.encode(), stamp.encode() + b"." + received.content, hashlib.sha256
    ).hexdigest()
    assert hmac.compare_digest(received.headers["x-audiopod-signature"], f"sha256={expected}")
    body: dict[str, Any] = json.loads(received.content)
    assert received.headers["x-audiopod-event"] == body["event_type"]
    assert received.headers["x-audiopod-event-id"] == body["event_id"]
    return body


def test_a_job_that_ended_is_told_after_a_first_failure_too(
    client: Client, customer: Receiver, fake_separation: Any
):
    endpoint = made(client, customer, events=["job.completed"], description="mine")
    assert list(endpoint) == [
        *("id", "url", "events", "active", "description", "created_at", "secret")
    ]
    assert endpoint["secret"].startswith("whsec_")
    assert (endpoint["events"], endpoint["active"]) == (["job.completed"], True)
    job = ordered(client, f"{STEMS}/api/extract")
    assert run_jobs() == 1

    customer.answer = DOWN
    messages_deliver()
    assert len(customer.received) == 1
    message = WebhookMessage.objects.get()
    # "retries 1m, 2m, 4m, …", five in all.
    assert (message.attempts, message.tries_max) == (1, 5)
    paused = WebhookMessage.objects.filter(next_attempt_at__gt=F("created_at")).get()
    assert paused == message
    messages_deliver()
    assert len(customer.received) == 1

    customer.answer = OK
    make_due()
    messages_deliver()
    first, second = customer.received
    body = verify(second, endpoint["secret"])
    assert body == {
        "event_type": "job.completed",
        "event_id": str(message.uuid),
        "job_id": job["id"],
        "job_type": "stem_extraction",
        "status": "COMPLETED",
    }
    assert second.headers["content-type"] == "application/json"
    # Each try is signed anew and tells the same.
    assert verify(first, endpoint["secret"]) == body

    listed = client.get(f"{HOOKS}/endpoints/{endpoint['id']}/deliveries").json()
    assert (listed["total"], listed["hasMore"]) == (1, False)
    delivery = listed["items"][0]
    assert (delivery["id"], delivery["status"], delivery["attempts"]) == (
        str(message.uuid),
        "delivered",
        2,
    )
    detail = client.get(f"{HOOKS}/deliveries/{delivery['id']}").json()
    assert detail["payload"] == body
    assert [(one["status_code"], one["error"] is None) for one in detail["log"]] == [
        (500, False),
        (200, True),
    ]


def test_after_five_tries_it_is_a_dead_letter_that_can_be_sent_again(
    client: Client, customer: Receiver, fake_separation: Any
):
    endpoint = made(client, customer)
    ordered(client, f"{STEMS}/api/extract")
    assert run_jobs() == 1
    customer.answer = DOWN
    for _ in range(6):
        make_due()
        messages_deliver()
    assert len(customer.received) == 5
    delivery = client.get(f"{HOOKS}/endpoints/{endpoint['id']}/deliveries").json()["items"][0]
    assert (delivery["status"], delivery["next_attempt_at"]) == ("dead_letter", None)
    customer.answer = OK
    response = client.post(f"{HOOKS}/deliveries/{delivery['id']}/redeliver")
    assert (response.status_code, response.json()["status"]) == (200, "pending")
    messages_deliver()
    assert verify(customer.received[-1], endpoint["secret"])["event_id"] == delivery["id"]
    shown = client.get(f"{HOOKS}/deliveries/{delivery['id']}").json()
    assert shown["status"] == "delivered"


def test_failure_and_cancellation_are_told(client: Client, customer: Receiver, alice: Any):
    endpoint = made(client, customer)
    cancelled = ordered(client)
    job_cancel(workspace=alice, job_uuid=Job.objects.get().uuid)
    messages_deliver()
    assert verify(customer.received[0], endpoint["secret"]) == {
        "event_type": "job.cancelled",
        "event_id": str(WebhookMessage.objects.get().uuid),
        "job_id": cancelled["id"],
        "job_type": "speaker_extraction",
        "status": "CANCELLED",
    }


def test_why_a_job_failed_is_told(
    client: Client, customer: Receiver, alice: Any, monkeypatch: pytest.MonkeyPatch
):
    from separation.errors import NoSpeech

    def find(**_: Any) -> None:
        raise NoSpeech("Nobody speaks in the recording.")

    monkeypatch.setattr("jobs.work.speakers.engine_speakers", find)
    endpoint = made(client, customer)
    job = ordered(client)
    assert run_jobs() == 1
    messages_deliver()
    body = verify(customer.received[0], endpoint["secret"])
    assert (body["event_type"], body["job_id"], body["status"]) == (
        "job.failed",
        job["id"],
        "FAILED",
    )
    assert body["error_message"] == "Nobody speaks in the recording."
    assert body["failure_reason"] == "no_speech"


def test_a_test_arrives(client: Client, customer: Receiver):
    endpoint = made(client, customer, events=["job.failed"])
    response = client.post(f"{HOOKS}/endpoints/{endpoint['id']}/test")
    assert response.status_code == 200
    messages_deliver()
    body = verify(customer.received[0], endpoint["secret"])
    assert (body["event_type"], body["event_id"]) == ("webhook.test", response.json()["id"])


def test_only_what_was_asked_for_is_told(
    client: Client, customer: Receiver, fake_separation: Any, alice: Any, tmp_path: Any
):
    made(client, customer, events=["job.failed"])
    ordered(client, f"{STEMS}/api/extract")
    # Nor what was ordered through other APIs: its number means nothing here.
    asset = make_asset(alice, tmp_path)
    job = make_speaker_job(alice, asset)
    job_cancel(workspace=alice, job_uuid=job.uuid)
    make_job(alice, asset)
    assert run_jobs() == 2
    assert not WebhookMessage.objects.exists()


def test_endpoints_are_changed_stopped_and_deleted(client: Client, customer: Receiver):
    endpoint = made(client, customer)
    path = f"{HOOKS}/endpoints/{endpoint['id']}"
    assert endpoint.pop("secret")
    assert endpoint["events"] == ["job.completed", "job.failed", "job.cancelled"]
    assert client.get(path).json() == endpoint
    response = client.patch(
        path,
        {"active": False, "events": ["job.failed"], "description": "new"},
        content_type="application/json",
    )
    assert response.json() == endpoint | {
        "active": False,
        "events": ["job.failed"],
        "description": "new",
    }
    assert client.post(f"{path}/test").status_code == 409
    assert client.get(f"{HOOKS}/endpoints").json()["total"] == 1
    assert client.delete(path).status_code == 204
    assert client.get(path).json() == {"detail": "There is no such webhook."}
    assert client.get(f"{HOOKS}/endpoints").json()["items"] == []


def test_each_api_has_its_own_endpoints(client: Client, stranger: Client, customer: Receiver):
    endpoint = made(client, customer)
    native = client.post(
        "/v1/webhooks", {"url": customer.url}, content_type="application/json"
    ).json()
    assert client.get("/v1/webhooks").json()["results"][0]["id"] == native["id"]
    assert client.get(f"{HOOKS}/endpoints").json()["total"] == 1
    for path in (f"{HOOKS}/endpoints/{native['id']}", f"/v1/webhooks/{endpoint['id']}"):
        assert client.get(path).status_code == 404
    response = client.post(f"{HOOKS}/endpoints/{endpoint['id']}/test")
    delivery = response.json()["id"]
    for method, path in (
        ("GET", f"{HOOKS}/endpoints/{endpoint['id']}"),
        ("PATCH", f"{HOOKS}/endpoints/{endpoint['id']}"),
        ("DELETE", f"{HOOKS}/endpoints/{endpoint['id']}"),
        ("POST", f"{HOOKS}/endpoints/{endpoint['id']}/test"),
        ("GET", f"{HOOKS}/endpoints/{endpoint['id']}/deliveries"),
        ("GET", f"{HOOKS}/deliveries/{delivery}"),
        ("POST", f"{HOOKS}/deliveries/{delivery}/redeliver"),
    ):
        answer = stranger.generic(method, path, b"{}", content_type="application/json")
        assert (answer.status_code, list(answer.json())) == (404, ["detail"]), path
    assert WebhookEndpoint.objects.filter(deleted_at=None).count() == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"events": ["job.succeeded"]},
        {"events": "job.failed"},
        {"url": "ftp://example.org"},
        {"url": "http://10.0.0.1/"},
        {"url": "https://example.org/\x00"},
        {"description": "x" * 201},
    ],
)
def test_what_cannot_be_an_endpoint_is_refused(client: Client, fields: dict[str, Any]):
    body = {"url": "https://hooks.example.org", **fields}
    response = client.post(f"{HOOKS}/endpoints", body, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["error_code"] == "INVALID_PARAMETER"
    assert not WebhookEndpoint.objects.exists()
