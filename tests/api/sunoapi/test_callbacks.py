"""Callbacks, received by a server on loopback."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from api.sunoapi.stems import ALL, TWELVE
from jobs.delivering import messages_deliver
from jobs.ingesting import run_next_ingest
from jobs.models import Job, JobState, MessageState, WebhookMessage
from jobs.outbox import job_ended
from jobs.services import job_cancel
from jobs.storage import download_token_read
from tests.api.sunoapi.steps import info, ordered, pair_of, separated, signature
from tests.fakes.http import Server, says
from tests.fakes.receiver import DOWN, OK, Receiver
from tests.jobs.webhook_steps import make_due, only
from tests.makers import run_jobs

pytestmark = pytest.mark.django_db
SECRET = "a secret of the caller's"


@pytest.fixture
def pair(alice: Any, tmp_path: Path) -> dict[str, str]:
    return pair_of(alice, tmp_path)


def told(callbacks: Receiver) -> Any:
    """The body of the only callback."""
    messages_deliver()
    (received,) = callbacks.received
    return received.body


def test_two_stems_after_a_first_failure(
    client: Client, pair: dict[str, str], callbacks: Receiver, fake_separation: list[Any]
):
    callbacks.answer = DOWN
    url = f"{callbacks.url}/in?x=1"
    task = separated(client, {**pair, "callBackUrl": url, "callBackSecret": SECRET})
    run_jobs()
    messages_deliver()
    message = only()
    assert (message.state, message.attempts, message.tries_max) == ("pending", 1, 4)
    callbacks.answer = OK
    make_due()
    messages_deliver()
    assert only().state == MessageState.DELIVERED
    first, second = callbacks.received
    assert first.line == second.line == "POST /in?x=1 HTTP/1.1"
    assert first.content == second.content
    assert second.headers["content-type"] == "application/json"
    body = second.body
    assert (body["code"], body["msg"]) == (200, "vocal Removal generated successfully.")
    assert set(body["data"]) == {"task_id", "vocal_removal_info", "vocal_separation_info"}
    assert body["data"]["task_id"] == task
    urls = body["data"]["vocal_removal_info"]
    assert body["data"]["vocal_separation_info"] == urls
    assert set(urls) == {"instrumental_url", "origin_url", "vocal_url"}
    assert urls["origin_url"] == ""
    for name in ("instrumental_url", "vocal_url"):
        path = urlsplit(urls[name]).path
        seconds = download_token_read(path.rsplit("/", 1)[1]).seconds
        assert seconds == pytest.approx(timedelta(days=14).total_seconds(), abs=60)
        assert Client().head(path).status_code == 200
    for received in (first, second):
        timestamp = received.headers["x-webhook-timestamp"]
        assert received.headers["x-webhook-signature"] == signature(SECRET, task, timestamp)


def test_a_split(
    client: Client,
    pair: dict[str, str],
    callbacks: Receiver,
    fake_separation: list[Any],
    roots_only: None,
):
    task = separated(client, {**pair, "callBackUrl": callbacks.url, "type": "split_stem"})
    run_jobs()
    data = told(callbacks)["data"]
    urls = data["vocal_removal_info"]
    assert data["task_id"] == task
    assert set(urls) == {"origin_url", *(stem.callback_field for stem in TWELVE)}
    assert urls["backing_vocals_url"] == ""
    assert Client().head(urlsplit(urls["origin_url"]).path).status_code == 200
    # As the record says.
    response = info(client, "vocal-removal", task)["response"]
    for stem in ALL:
        assert bool(urls.get(stem.callback_field)) == (response[stem.field] is not None)


def test_without_a_secret_nothing_is_signed(
    client: Client, pair: dict[str, str], callbacks: Receiver, fake_separation: list[Any]
):
    separated(client, {**pair, "callBackUrl": callbacks.url})
    run_jobs()
    messages_deliver()
    (received,) = callbacks.received
    assert not [name for name in received.headers if name.startswith(("x-webhook", "webhook"))]


@pytest.mark.parametrize(
    ("error_code", "text", "code"),
    [("broken_media", "The recording cannot be read.", 400), ("internal", "Ours.", 500)],
)
def test_a_task_that_failed(
    client: Client,
    pair: dict[str, str],
    callbacks: Receiver,
    error_code: str,
    text: str,
    code: int,
):
    task = separated(client, {**pair, "callBackUrl": callbacks.url})
    Job.objects.update(
        state=JobState.FAILED, finished_at=Now(), error_code=error_code, error_message=text
    )
    job_ended(Job.objects.get())
    assert told(callbacks) == {"code": code, "msg": text, "data": {"task_id": task}}


def test_a_task_that_was_cancelled(
    client: Client, alice: Any, pair: dict[str, str], callbacks: Receiver
):
    task = separated(client, {**pair, "callBackUrl": callbacks.url})
    job_cancel(workspace=alice, job_uuid=Job.objects.get().uuid)
    assert told(callbacks) == {
        "code": 400,
        "msg": "The task was cancelled.",
        "data": {"task_id": task},
    }


def test_a_file_that_does_not_come(client: Client, media_server: Server, callbacks: Receiver):
    media_server.answer = says("404 Not Found")
    body = {"audioUrl": f"{media_server.url}/a.wav", "callBackUrl": callbacks.url}
    task = separated(client, body)
    assert run_next_ingest()
    assert told(callbacks) == {
        "code": 400,
        "msg": "The server of this address answered 404 instead of a file.",
        "data": {"task_id": task},
    }


def test_notes_that_failed_have_their_task_outside_too(
    client: Client, pair: dict[str, str], callbacks: Receiver
):
    task = ordered(
        client,
        "/api/v1/midi/generate",
        {**pair, "callBackUrl": callbacks.url, "callBackSecret": SECRET},
    )
    failed = {"error_code": "internal", "error_message": "Ours."}
    Job.objects.update(state=JobState.FAILED, finished_at=Now(), **failed)
    job_ended(Job.objects.get())
    assert told(callbacks) == {
        "task_id": task,
        "code": 500,
        "msg": "Ours.",
        "data": {"task_id": task},
    }
    (received,) = callbacks.received
    timestamp = received.headers["x-webhook-timestamp"]
    assert received.headers["x-webhook-signature"] == signature(SECRET, task, timestamp)


def test_the_pauses_and_the_end(
    client: Client, pair: dict[str, str], callbacks: Receiver, fake_separation: list[Any]
):
    callbacks.answer = DOWN
    task = separated(client, {**pair, "callBackUrl": callbacks.url})
    run_jobs()
    pauses = []
    for _ in range(4):
        messages_deliver()
        message = WebhookMessage.objects.annotate(
            pause=F("next_attempt_at") - Now(), now=Now()
        ).get()
        if message.state == MessageState.PENDING:
            pauses.append(message.pause.total_seconds())
            assert info(client, "vocal-removal", task)["successFlag"] == "SUCCESS"
        make_due()
    # A minute, five, a quarter of an hour; each a little more or less.
    for pause, meant in zip(pauses, [60, 300, 900], strict=True):
        assert meant * 0.7 < pause < meant * 1.3
    assert (only().state, len(callbacks.received)) == (MessageState.FAILED, 4)
    record = info(client, "vocal-removal", task)
    assert record["successFlag"] == "CALLBACK_EXCEPTION"
    # What was made can be had all the same.
    assert record["response"]["vocalUrl"]


def test_the_example_of_the_guide_verifies_a_callback(
    client: Client, pair: dict[str, str], callbacks: Receiver
):
    guide = Path(__file__).parents[3] / "docs" / "migrating" / "sunoapi.md"
    code = guide.read_text().partition("```python\n")[2].partition("```")[0]
    scope: dict[str, Any] = {}
    exec(code, scope)
    task = separated(client, {**pair, "callBackUrl": callbacks.url, "callBackSecret": SECRET})
    Job.objects.update(state=JobState.FAILED, finished_at=Now(), error_code="internal")
    job_ended(Job.objects.get())
    messages_deliver()
    (received,) = callbacks.received
    headers = {name.title(): value for name, value in received.headers.items()}
    assert scope["is_ours"](SECRET, task, headers) is True
    assert scope["is_ours"](SECRET, f"{task}0", headers) is False
    assert scope["is_ours"]("another secret", task, headers) is False
