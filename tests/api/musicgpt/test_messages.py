"""What receivers are told, over real connections."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from jobs.arrivals import jobs_give_up
from jobs.delivering import messages_deliver
from jobs.models import Job, WebhookMessage
from jobs.services import job_cancel
from jobs.storage import download_token_read
from tests.api.musicgpt.steps import URL, extract, job_of, wav
from tests.fakes.http import says
from tests.fakes.receiver import OK, Received, Receiver, receiver
from tests.jobs.webhook_steps import log_of, make_due, only
from tests.makers import run_jobs

pytestmark = pytest.mark.django_db

BUSY = says("503 Service Unavailable", body=b"later")
SITE = "https://stems.example.org"


@pytest.fixture
def server(settings: Any) -> Iterator[Receiver]:
    settings.SITE_URL = SITE
    with receiver(settings, BUSY) as server:
        yield server


@pytest.fixture
def job(client: Client, server: Receiver) -> Job:
    fields = {"stems": '["vocals","drums"]', "webhook_url": f"{server.url}/hook?secret=1"}
    return job_of(extract(client, audio_file=wav(), **fields))


def told(server: Receiver) -> Received:
    """What arrives once the receiver is well again."""
    assert not server.received
    messages_deliver()
    assert len(server.received) == 1
    server.answer = OK
    make_due()
    messages_deliver()
    first, second = server.received
    assert first.content == second.content
    assert log_of(only())[-1][1:] == (200, "")
    return second


def test_success_is_told_again_after_a_first_failure(
    job: Job, server: Receiver, fake_separation: list[dict[str, Any]]
):
    assert run_jobs() == 1
    message = told(server)
    assert message.line == "POST /hook?secret=1 HTTP/1.1"
    assert message.headers["content-type"] == "application/json"
    # Unsigned: users put a secret into the address.
    assert not [name for name in message.headers if "signature" in name]
    body = message.body
    assert set(body) == {
        *("success", "conversion_type", "task_id", "conversion_id"),
        *("audio_url", "audio_url_wav", "conversion_cost", "conversion_duration"),
    }
    assert (body["success"], body["conversion_type"]) == (True, "Extraction")
    assert body["task_id"] == str(job.uuid)
    # Texts that hold JSON; a receiver of theirs parses both.
    for field in ("audio_url", "audio_url_wav"):
        assert isinstance(body[field], str)
        links = json.loads(body[field])
        assert list(links) == ["vocals", "drums"]
        for link in links.values():
            assert link.startswith(f"{SITE}/v1/")
            assert download_token_read(link.rsplit("/", 1)[1]).seconds > 6 * 86_400
    assert body["conversion_cost"] == "0.028"
    assert body["conversion_duration"] == 1.0


def test_failure_is_told_in_words(client: Client, server: Receiver):
    fields = {"stems": '["vocals"]', "webhook_url": server.url}
    job = job_of(extract(client, audio_url=URL, **fields))
    assert job.ingest is not None
    jobs_give_up(job.ingest, code="not_there", message="There is nothing at this address.")
    body = told(server).body
    assert set(body) == {
        *("success", "conversion_type", "task_id", "conversion_id", "status", "status_msg"),
    }
    assert body["success"] is False
    assert (body["conversion_type"], body["task_id"]) == ("Extraction", str(job.uuid))
    assert (body["status"], body["status_msg"]) == ("FAILED", "There is nothing at this address.")


def test_that_it_was_cancelled_is_told_as_a_failure(job: Job, server: Receiver, alice: Any):
    job_cancel(workspace=alice, job_uuid=job.uuid)
    body = told(server).body
    assert (body["success"], body["status"]) == (False, "FAILED")
    assert body["status_msg"] == "The conversion was cancelled"


def test_it_is_given_up_after_three_tries(job: Job, server: Receiver, alice: Any):
    job_cancel(workspace=alice, job_uuid=job.uuid)
    for _ in range(5):
        make_due()
        messages_deliver()
    assert len(server.received) == 3
    assert only().state == "failed"


def test_without_an_address_nobody_is_told(client: Client, alice: Any):
    job = job_of(extract(client, audio_file=wav(), stems='["vocals"]', webhook_url=""))
    job_cancel(workspace=alice, job_uuid=job.uuid)
    assert not WebhookMessage.objects.exists()
