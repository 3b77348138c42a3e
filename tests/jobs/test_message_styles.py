"""An API with words, signatures and a schedule of its own, told over real connections."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from accounts.audit import OPERATOR
from accounts.models import Workspace
from config.errors import NotFound, ValidationFailed
from jobs import message_styles
from jobs.delivering import messages_deliver
from jobs.message_styles import Schedule, style_get, style_register
from jobs.models import Job, JobState, WebhookEndpoint, WebhookMessage
from jobs.outbox import job_ended
from jobs.services import Order, job_cancel, job_create, job_delete
from jobs.webhooks import (
    endpoint_create,
    endpoint_delete,
    endpoint_get_for_workspace,
    endpoint_list,
    endpoint_roll,
    endpoint_test,
    endpoint_update,
    message_get_for_workspace,
    message_list,
)
from tests.fakes.http import says
from tests.fakes.receiver import OK, Receiver, receiver
from tests.jobs.webhook_steps import log_of, make_due, only
from tests.makers import make_asset

pytestmark = pytest.mark.django_db

BUSY = says("503 Service Unavailable", body=b"later")


class Toy:
    name = "toy"
    schedule = Schedule(total_s=2, pauses_s=(60, 120))
    events = {"done": "It is done.", "dead": "It is not."}

    def __init__(self) -> None:
        self.rendered = 0
        self.fails = False

    def event(self, job: Job) -> str | None:
        if job.dialect != "toy":
            return None
        return {JobState.CANCELLED: "dead", JobState.FAILED: "dead"}.get(JobState(job.state))

    def body(self, job: Job, *, event: str, message_uuid: UUID) -> Mapping[str, Any]:
        if self.fails:
            raise RuntimeError("told wrong")
        self.rendered += 1
        outputs = [asset.stem for asset in job.outputs]  # type: ignore[attr-defined]
        return {"z": event, "a": 0.10, "outputs": outputs, "n": self.rendered, "ä": str(job.uuid)}

    def test_body(self, *, message_uuid: UUID) -> Mapping[str, Any]:
        return {"test": str(message_uuid)}

    def headers(
        self,
        *,
        message_uuid: UUID,
        event: str,
        at: datetime,
        content: bytes,
        secrets: Sequence[str],
    ) -> Mapping[str, str]:
        marks = [hmac.new(one.encode(), content, hashlib.sha256).hexdigest() for one in secrets]
        return {"X-Toy": " ".join(marks), "X-Toy-Event": event, "Content-Type": "text/toy"}


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    monkeypatch.setattr(message_styles, "_STYLES", dict(message_styles._STYLES))
    style = Toy()
    style_register(style)
    return style


@pytest.fixture
def server(settings: Any) -> Iterator[Receiver]:
    with receiver(settings) as server:
        yield server


def mark(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def end_job(workspace: Workspace, folder: Path, **values: Any) -> Job:
    """A job of the toy's that is cancelled at once."""
    asset = make_asset(workspace, folder, seconds=0.1)
    order = Order(asset_uuid=asset.uuid, dialect="toy", callback_style="toy", **values)
    job = job_create(workspace=workspace, api_key=None, order=order)
    return job_cancel(workspace=workspace, job_uuid=job.uuid)


def make_endpoint(workspace: Workspace, url: str, **values: Any) -> tuple[WebhookEndpoint, str]:
    return endpoint_create(
        workspace=workspace, actor=OPERATOR, url=url, **{"style": "toy", **values}
    )


def test_a_callback_is_told_in_its_words_after_a_failure_too(
    alice: Workspace, server: Receiver, toy: Toy, tmp_path: Path
):
    server.answer = BUSY
    job = end_job(alice, tmp_path, callback_url=f"{server.url}/in", callback_secret="s3cret")
    message = only()
    assert (message.style, message.event, message.tries_max) == ("toy", "dead", 3)
    # What is said is put together when it is said first.
    assert (message.body, toy.rendered) == ({}, 0)
    messages_deliver()
    message = only()
    assert (message.state, message.attempts) == ("pending", 1)
    waited_s = (message.next_attempt_at - message.log.get().started_at).total_seconds()
    assert 0.8 * 60 <= waited_s <= 1.2 * 60 + 5
    server.answer = OK
    make_due()
    messages_deliver()
    assert log_of(only()) == [(1, 503, "refused"), (2, 200, "")]
    assert only().state == "delivered"
    first, second = server.received
    assert first.content == second.content
    assert toy.rendered == 1
    assert second.body == {"z": "dead", "a": 0.1, "outputs": [], "n": 1, "ä": str(job.uuid)}
    assert second.body == only().body
    assert second.headers["x-toy"] == mark("s3cret", second.content)
    assert second.headers["x-toy-event"] == "dead"
    assert second.headers["content-type"] == "text/toy"
    assert "webhook-signature" not in second.headers
    assert "s3cret" not in Job.objects.get().callback_secret


def test_a_callback_without_a_secret_is_not_signed(
    alice: Workspace, server: Receiver, toy: Toy, tmp_path: Path
):
    end_job(alice, tmp_path, callback_url=server.url)
    messages_deliver()
    assert server.received[0].headers["x-toy"] == ""


def test_it_is_given_up_after_the_tries_of_its_schedule(
    alice: Workspace, server: Receiver, toy: Toy, tmp_path: Path
):
    server.answer = BUSY
    end_job(alice, tmp_path, callback_url=server.url)
    for pause_s in (60, 120):
        messages_deliver()
        message = only()
        waited_s = (message.next_attempt_at - message.log.latest("pk").started_at).total_seconds()
        assert 0.8 * pause_s <= waited_s <= 1.2 * pause_s + 5
        make_due()
    messages_deliver()
    assert (only().state, only().attempts, len(server.received)) == ("failed", 3, 3)


def test_endpoints_are_signed_with_both_secrets_while_one_replaces_the_other(
    alice: Workspace, server: Receiver, toy: Toy, tmp_path: Path
):
    endpoint, old = make_endpoint(alice, server.url)
    _, new = endpoint_roll(
        workspace=alice,
        endpoint_uuid=endpoint.uuid,
        overlap=timedelta(hours=1),
        actor=OPERATOR,
        style="toy",
    )
    end_job(alice, tmp_path)
    messages_deliver()
    (received,) = server.received
    marks = [mark(new, received.content), mark(old, received.content)]
    assert received.headers["x-toy"].split(" ") == marks


def test_each_style_is_told_what_it_knows_and_its_endpoints_want(
    alice: Workspace, server: Receiver, toy: Toy, tmp_path: Path
):
    make_endpoint(alice, f"{server.url}/all")
    make_endpoint(alice, f"{server.url}/none", events=["done"])
    make_endpoint(alice, f"{server.url}/native", style="native", events=["job.cancelled"])
    end_job(alice, tmp_path)
    asset = make_asset(alice, tmp_path, seconds=0.1)
    other = job_create(workspace=alice, api_key=None, order=Order(asset_uuid=asset.uuid))
    job_cancel(workspace=alice, job_uuid=other.uuid)
    told = list(WebhookMessage.objects.order_by("pk").values_list("style", "event", "job__dialect"))
    assert told == [
        ("toy", "dead", "toy"),
        ("native", "job.cancelled", "toy"),
        # Of a job of the native API the toy has nothing to say.
        ("native", "job.cancelled", "native"),
    ]
    messages_deliver()
    lines = sorted(received.line.split(" ")[1] for received in server.received)
    assert lines == ["/all", "/native", "/native"]


def test_a_test_message_says_what_the_style_says(alice: Workspace, server: Receiver, toy: Toy):
    endpoint, secret = make_endpoint(alice, server.url)
    message = endpoint_test(workspace=alice, endpoint_uuid=endpoint.uuid, style="toy")
    assert (message.event, message.style) == ("webhook.test", "toy")
    messages_deliver()
    (received,) = server.received
    assert received.body == {"test": str(message.uuid)}
    assert received.headers["x-toy"] == mark(secret, received.content)


def test_of_a_job_that_was_deleted_nothing_is_told(
    alice: Workspace, server: Receiver, toy: Toy, tmp_path: Path
):
    endpoint, _ = make_endpoint(alice, server.url)
    job = end_job(alice, tmp_path)
    job_delete(workspace=alice, job_uuid=job.uuid)
    messages_deliver()
    assert log_of(only()) == [(1, None, "job_deleted")]
    assert (only().state, server.received, toy.rendered) == ("failed", [], 0)
    # The receiver did nothing wrong.
    endpoint.refresh_from_db()
    assert (endpoint.failing_since, endpoint.is_enabled) == (None, True)


@pytest.mark.parametrize("body", [None, {"text": "\x00"}, {"at": object()}])
def test_words_that_fail_are_tried_again_and_hold_up_nobody(
    alice: Workspace, server: Receiver, toy: Toy, tmp_path: Path, body: Any
):
    make_endpoint(alice, server.url, style="native", events=["job.cancelled"])
    if body is None:
        toy.fails = True
    else:
        toy.body = lambda job, **_: body  # type: ignore[method-assign]
    end_job(alice, tmp_path, callback_url=server.url)
    messages_deliver()
    told = WebhookMessage.objects.get(style="toy")
    assert (log_of(told), told.state, told.body) == ([(1, None, "internal")], "pending", {})
    assert WebhookMessage.objects.get(style="native").state == "delivered"


def test_a_style_that_is_no_more_ends_its_messages_and_stops_no_job(
    alice: Workspace, server: Receiver, toy: Toy, tmp_path: Path
):
    make_endpoint(alice, server.url)
    end_job(alice, tmp_path)
    del message_styles._STYLES["toy"]
    messages_deliver()
    assert (only().state, log_of(only())) == ("failed", [(1, None, "style_unknown")])
    job = Job.objects.get()
    job_ended(job)
    assert WebhookMessage.objects.count() == 1


def test_each_api_knows_its_own_endpoints_only(
    alice: Workspace, charlie: Workspace, server: Receiver, toy: Toy, tmp_path: Path
):
    endpoint, _ = make_endpoint(alice, server.url, events=["dead"])
    assert (endpoint.style, endpoint.events) == ("toy", ["dead"])
    assert list(endpoint_list(workspace=alice, style="toy")) == [endpoint]
    assert list(endpoint_list(workspace=alice)) == []
    mine: dict[str, Any] = {"workspace": alice, "endpoint_uuid": endpoint.uuid}
    for call in (
        lambda: endpoint_get_for_workspace(**mine),
        lambda: endpoint_test(**mine),
        lambda: endpoint_update(**mine, actor=OPERATOR, url=server.url),
        lambda: endpoint_delete(**mine, actor=OPERATOR),
        lambda: endpoint_get_for_workspace(
            workspace=charlie, endpoint_uuid=endpoint.uuid, style="toy"
        ),
    ):
        with pytest.raises(NotFound):
            call()
    for wrong, style in (("job.succeeded", "toy"), ("done", "native")):
        with pytest.raises(ValidationFailed):
            make_endpoint(alice, server.url, events=[wrong], style=style)
    changed = endpoint_update(**mine, actor=OPERATOR, style="toy", events=["done"])
    assert changed.events == ["done"]
    message = endpoint_test(**mine, style="toy")
    assert list(message_list(workspace=alice)) == [message]
    assert list(message_list(workspace=alice, style="native")) == []
    with pytest.raises(NotFound):
        message_get_for_workspace(workspace=alice, message_uuid=message.uuid, style="native")
    endpoint_delete(**mine, actor=OPERATOR, style="toy")
    assert list(endpoint_list(workspace=alice, style="toy")) == []


@pytest.mark.parametrize("total_s", [0, 31])
def test_no_try_may_outlast_the_lease_of_its_message(toy: Toy, total_s: float):
    style = Toy()
    style.schedule = Schedule(total_s=total_s, pauses_s=())
    with pytest.raises(ValueError, match="30"):
        style_register(style)
    assert style_get("toy") is toy
