"""What is told of tasks, received by a real server on loopback."""

import hashlib
import hmac
from typing import Any

import pytest
from django.test import Client

from jobs.delivering import messages_deliver
from jobs.models import Asset, Job
from jobs.services import job_cancel
from tests.api.answers import content
from tests.api.musicapi.calls import call, refusal
from tests.fakes.receiver import DOWN, OK, receiver
from tests.jobs.webhook_steps import make_due, only
from tests.makers import run_jobs

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "a secret of the customer's"


def signature(timestamp: str, content: bytes) -> str:
    """As the guide tells its readers to compute it."""
    signed = timestamp.encode() + b"." + content
    return "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


def test_it_is_told_after_a_first_failure(
    client: Client, clip: Asset, settings: Any, fake_separation: list[Any]
):
    with receiver(settings, DOWN) as server:
        url = f"{server.url}/hook"
        task_id = call(client, "stems/basic", clip, webhook_url=url, webhook_secret=SECRET).json()[
            "task_id"
        ]
        run_jobs()
        messages_deliver()
        message = only()
        assert (message.state, message.tries_max) == ("pending", 5)
        waited_s = (message.next_attempt_at - message.log.get().started_at).total_seconds()
        assert 48 <= waited_s <= 77
        server.answer = OK
        make_due()
        messages_deliver()
        assert only().state == "delivered"
        first, second = server.received
    assert first.line == second.line == "POST /hook HTTP/1.1"
    for received in (first, second):
        headers = received.headers
        assert headers["x-webhook-event"] == "song.completed"
        assert headers["x-webhook-id"] == str(message.uuid)
        expected = signature(headers["x-webhook-timestamp"], received.content)
        assert headers["x-webhook-signature"] == expected
    # The same bytes each time.
    assert first.content == second.content
    body = second.body
    made = {made.stem: made for made in Asset.objects.filter(job__uuid=task_id)}
    assert {key: body[key] for key in body if key != "data"} == {
        "code": 200,
        "message": "success",
        "task_id": task_id,
        "platform": "sonic",
        "event": "song.completed",
    }
    assert [(one["state"], one["clip_id"]) for one in body["data"]] == [
        ("succeeded", str(made["vocals"].uuid)),
        ("succeeded", str(made["instrumental"].uuid)),
    ]
    path = body["data"][0]["audio_url"].removeprefix(settings.SITE_URL)
    assert content(Client().get(path))[:4] == b"RIFF"


def test_a_failure_is_told_without_a_secret_unsigned(
    client: Client, clip: Asset, alice: Any, settings: Any
):
    with receiver(settings) as server:
        call(client, "stems/full", clip, webhook_url=server.url)
        job = Job.objects.get()
        job_cancel(workspace=alice, job_uuid=job.uuid)
        messages_deliver()
        (received,) = server.received
    assert "x-webhook-signature" not in received.headers
    assert received.headers["x-webhook-event"] == "song.failed"
    body = received.body
    assert (body["code"], body["event"], body["task_id"]) == (500, "song.failed", str(job.uuid))
    assert body["message"] == "Task was cancelled. Credits were previously refunded."
    assert {one["state"] for one in body["data"]} == {"failed"}


def test_nothing_is_told_of_calls_that_wait(
    client: Client, clip: Asset, worker: None, fake_separation: list[Any], settings: Any
):
    """Vox itself has no webhook; what else is sent with it is ignored."""
    with receiver(settings) as server:
        assert call(client, "vox", clip, webhook_url=server.url).status_code == 200
        messages_deliver()
        assert server.received == []


def test_an_address_that_may_not_be_used_is_refused(client: Client, clip: Asset):
    response = call(client, "stems/basic", clip, webhook_url="http://127.0.0.1/")
    assert refusal(response)[0] == 400
    assert Job.objects.count() == 0
