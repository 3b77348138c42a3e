"""Delivery over real connections on loopback; time passes by changing rows."""

import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db.models.functions import Now
from django_q.models import OrmQ
from standardwebhooks import WebhookVerificationError

from accounts.audit import OPERATOR
from accounts.models import Workspace
from jobs import tasks
from jobs.delivering import (
    Outcome,
    deliveries_claim,
    delivery_record,
    has_messages_due,
    messages_deliver,
)
from jobs.instance import FOLDER_VARIABLE, stop_request
from jobs.management.commands.janitor import Command as Janitor
from jobs.models import MessageState, WebhookAttempt, WebhookEndpoint, WebhookMessage
from jobs.native_messages import RETRY_PAUSES_S, NativeStyle
from jobs.webhook_signing import callback_secret_get
from jobs.webhooks import (
    callback_secret_show,
    endpoint_create,
    endpoint_roll,
    endpoint_test,
    message_resend,
)
from tests.e2e.processes import manage, service_environment, wait_until
from tests.fakes.http import says
from tests.fakes.receiver import DOWN, OK, Receiver, receiver
from tests.jobs.webhook_steps import let_leases_end, log_of, make_due, make_endpoint, only, write
from tests.makers import make_workspace
from tests.races import together

pytestmark = pytest.mark.django_db

TRIES = NativeStyle.schedule.tries


@pytest.fixture
def server(settings: Any) -> Any:
    with receiver(settings) as server:
        yield server


def test_a_message_arrives_signed(alice: Workspace, server: Receiver):
    endpoint, secret = make_endpoint(alice, f"{server.url}/in?x=1")
    write(alice, endpoint.url, endpoint=endpoint)
    assert has_messages_due()
    assert messages_deliver() is False
    message = only()
    (received,) = server.received
    assert received.line == "POST /in?x=1 HTTP/1.1"
    assert received.verify(secret) == message.body
    assert received.id == str(message.uuid)
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == "Stemwright/1"
    assert (message.state, message.attempts, message.lease_until) == ("delivered", 1, None)
    assert message.finished_at is not None
    attempt = message.log.get()
    assert (attempt.status_code, attempt.error_code, attempt.response) == (200, "", "thanks")
    assert attempt.duration_ms >= 0
    assert not has_messages_due()
    with pytest.raises(WebhookVerificationError):
        received.verify(secret[:-8] + "AAAAAAA=")


def test_while_a_secret_is_replaced_both_sign(alice: Workspace, server: Receiver):
    endpoint, first = make_endpoint(alice, server.url)

    def signed_by(*secrets: str) -> list[bool]:
        write(alice, endpoint.url, endpoint=endpoint)
        messages_deliver()
        received = server.received[-1]
        n_signatures = len(received.headers["webhook-signature"].split(" "))
        verified = []
        for secret in secrets:
            try:
                received.verify(secret)
            except WebhookVerificationError:
                verified.append(False)
            else:
                verified.append(True)
        assert n_signatures == sum(verified)
        return verified

    def roll(hours: int) -> str:
        overlap = timedelta(hours=hours)
        return endpoint_roll(
            workspace=alice, endpoint_uuid=endpoint.uuid, overlap=overlap, actor=OPERATOR
        )[1]

    assert signed_by(first) == [True]
    second = roll(24)
    assert signed_by(first, second) == [True, True]
    WebhookEndpoint.objects.update(old_secret_until=Now() - timedelta(seconds=1))
    assert signed_by(first, second) == [False, True]
    third = roll(0)
    assert signed_by(first, second, third) == [False, False, True]


def test_the_address_of_a_job_is_signed_with_the_workspaces_secret(
    alice: Workspace, charlie: Workspace, server: Receiver
):
    write(alice, server.url)
    messages_deliver()
    (received,) = server.received
    assert received.verify(callback_secret_show(workspace=alice)) == only().body
    with pytest.raises(WebhookVerificationError):
        received.verify(callback_secret_show(workspace=charlie))
    assert callback_secret_show(workspace=alice) not in callback_secret_get(workspace=alice).secret


def test_it_is_tried_ten_times_over_three_days_and_once_more_on_demand(
    alice: Workspace, server: Receiver
):
    server.answer = DOWN
    endpoint, secret = make_endpoint(alice, server.url)
    write(alice, endpoint.url, endpoint=endpoint)
    for number, pause_s in enumerate(RETRY_PAUSES_S, start=1):
        assert messages_deliver() is False
        message = only()
        assert (message.state, message.attempts, message.lease_until) == ("pending", number, None)
        assert not has_messages_due()
        attempt = message.log.get(number=number)
        waited_s = (message.next_attempt_at - attempt.started_at).total_seconds()
        assert 0.8 * pause_s <= waited_s <= 1.2 * pause_s + 5
        assert messages_deliver() is False  # not due
        make_due()
    messages_deliver()
    message = only()
    assert (message.state, message.attempts) == ("failed", TRIES)
    assert TRIES == len(server.received) == 10
    assert log_of(message) == [(number, 500, "refused") for number in range(1, 11)]
    make_due()
    assert messages_deliver() is False
    assert len(server.received) == 10

    # Sent again on demand, it has one try; then it is up again.
    message_resend(workspace=alice, message_uuid=message.uuid)
    messages_deliver()
    assert (only().state, only().attempts) == ("failed", 11)
    server.answer = OK
    message_resend(workspace=alice, message_uuid=message.uuid)
    messages_deliver()
    assert (only().state, only().attempts) == ("delivered", 12)
    assert {received.id for received in server.received} == {str(message.uuid)}
    assert server.received[-1].verify(secret) == message.body


def test_down_then_up(alice: Workspace, server: Receiver):
    endpoint, _ = make_endpoint(alice, server.url)
    server.answer = lambda connection: None  # closes without an answer
    write(alice, endpoint.url, endpoint=endpoint)
    messages_deliver()
    endpoint.refresh_from_db()
    assert endpoint.failing_since is not None
    server.answer = OK
    make_due()
    messages_deliver()
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None
    (first, second) = log_of(only())
    assert (first, second) == ((1, None, "bad_answer"), (2, 200, ""))


def test_a_redirect_is_a_failure(alice: Workspace, server: Receiver):
    server.answer = says("307 Temporary Redirect", f"Location: {server.url}/elsewhere")
    write(alice, server.url)
    messages_deliver()
    assert log_of(only()) == [(1, 307, "redirect_not_followed")]
    assert (only().state, server.n_connections) == ("pending", 1)


def test_a_forbidden_address_is_not_reached_but_tried_again(
    alice: Workspace, server: Receiver, settings: Any
):
    """What a name leads to can change, for the better too."""
    write(alice, server.url)
    settings.OUTBOUND_ALLOW = []
    messages_deliver()
    assert log_of(only()) == [(1, None, "address_not_allowed")]
    assert (only().state, server.n_connections) == ("pending", 0)


def test_an_answer_is_kept_in_part_and_made_safe(alice: Workspace, server: Receiver):
    server.answer = says("400 Bad Request", body=b"\x00\x1b[31m\xff<b>" + b"x" * 70_000)
    write(alice, server.url)
    messages_deliver()
    response = only().log.get().response
    assert response[:10] == "��[31m�<b>"
    assert response[10:] == "x" * 990


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.parametrize(
    ("header", "low_s", "high_s"),
    [
        ("3600", 3600, 3600),
        ("date", 3590, 3600),
        # At most a day; and it never shortens the pause.
        ("99999999999999999999", 86_400, 86_400),
        ("0", 4, 6),
        ("soon", 4, 6),
        ("٣", 4, 6),
    ],
)
def test_it_waits_as_long_as_it_is_asked_to(
    alice: Workspace, server: Receiver, status: str, header: str, low_s: float, high_s: float
):
    if header == "date":
        header = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server.answer = says(status, f"Retry-After: {header}")
    write(alice, server.url)
    messages_deliver()
    message = only()
    assert message.state == "pending"
    waited = message.next_attempt_at - message.log.get().started_at
    assert low_s <= waited.total_seconds() <= high_s + 5


def test_a_secret_that_cannot_be_read_any_more_is_a_failure(
    alice: Workspace, server: Receiver, settings: Any
):
    endpoint, _ = make_endpoint(alice, server.url)
    write(alice, endpoint.url, endpoint=endpoint)
    settings.MFA_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    messages_deliver()
    assert log_of(only()) == [(1, None, "secret_not_readable")]
    assert (only().state, server.n_connections) == ("pending", 0)


def test_a_slow_receiver_does_not_hold_up_the_others(alice: Workspace, settings: Any):
    """It answers only once the other has had all of its messages."""
    gate = threading.Event()

    def after_the_others(connection: Any) -> None:
        gate.wait(30)
        OK(connection)

    with (
        receiver(settings, after_the_others, host="127.0.0.2") as slow,
        receiver(settings) as quick,
    ):
        n_slow_meanwhile: list[int] = []

        def count(connection: Any) -> None:
            OK(connection)
            if len(quick.requests) == 10:
                n_slow_meanwhile.append(slow.n_connections)
                gate.set()

        quick.answer = count
        write(alice, slow.url, count=5)
        write(alice, quick.url, count=10)
        assert messages_deliver() is False
        assert n_slow_meanwhile == [2]
        assert (len(slow.requests), len(quick.requests)) == (5, 10)
    assert WebhookMessage.objects.filter(state="delivered", attempts=1).count() == 15


def test_hosts_and_workspaces_have_their_shares(alice: Workspace, charlie: Workspace):
    for number in range(10):
        write(alice, f"https://h{number}.example.org", count=3)
    write(charlie, "https://h0.example.org", count=3)
    WebhookMessage.objects.filter(workspace=charlie).update(next_attempt_at=Now())

    def claimed(limit: int) -> list[tuple[str, str]]:
        found = [delivery.message for delivery in deliveries_claim(limit=limit)]
        return [(message.workspace.name, message.host) for message in found]

    # In turns, though Alice was first with all of hers.
    first = claimed(4)
    assert [name for name, _ in first].count("Charlie's") == 2
    rest = claimed(100)
    assert [name for name, _ in rest] == ["Alice's"] * 6
    hosts = [host for name, host in first + rest if name == "Alice's"]
    assert len(hosts) == len(set(hosts)) == 8
    assert claimed(100) == []
    assert has_messages_due()
    assert WebhookMessage.objects.filter(attempts=1, lease_until__gt=Now()).count() == 10
    # A lease that is over is no share any more.
    let_leases_end()
    assert len(claimed(100)) == 10


def test_a_last_try_that_is_lost_with_its_worker_is_not_repeated_for_ever(
    alice: Workspace, server: Receiver
):
    write(alice, server.url)
    WebhookMessage.objects.update(attempts=TRIES - 1)
    deliveries_claim(limit=1)
    assert messages_deliver() is False
    assert only().state == "pending"
    let_leases_end()
    messages_deliver()
    assert (only().state, server.n_connections) == ("failed", 0)


def test_a_worker_that_is_asked_to_stop_begins_nothing(
    alice: Workspace, server: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(alice, server.url)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    stop_request(tmp_path)
    assert messages_deliver() is True
    assert (only().attempts, server.n_connections) == (0, 0)


def test_a_worker_that_lost_its_lease_decides_nothing(alice: Workspace, settings: Any):
    """It was stopped while it waited; another has delivered the message since."""
    with receiver(settings) as server:
        write(alice, server.url)
        (delivery,) = deliveries_claim(limit=1)
        let_leases_end()
        messages_deliver()
        assert (only().state, only().attempts) == ("delivered", 2)
        delivery_record(delivery, Outcome(5, 500, "refused"))
        assert (only().state, only().attempts) == ("delivered", 2)
        assert log_of(only()) == [(1, 500, "refused"), (2, 200, "")]


def test_the_janitor_wakes_for_what_is_due(
    alice: Workspace, django_capture_on_commit_callbacks: Any
):
    def woken() -> list[str]:
        OrmQ.objects.all().delete()
        with django_capture_on_commit_callbacks(execute=True):
            Janitor().round()
        return [task.func() for task in OrmQ.objects.all()]

    assert woken() == []
    write(alice, "https://hooks.example.org")
    assert woken() == ["jobs.tasks.webhooks_run"]
    deliveries_claim(limit=1)
    assert woken() == []
    let_leases_end()
    assert woken() == ["jobs.tasks.webhooks_run"]
    WebhookMessage.objects.update(next_attempt_at=Now() + timedelta(minutes=1))
    assert woken() == []


def test_a_test_event_goes_through_the_outbox(
    alice: Workspace, server: Receiver, django_capture_on_commit_callbacks: Any
):
    endpoint, secret = endpoint_create(
        workspace=alice, actor=OPERATOR, url=server.url, events=["job.failed"]
    )
    with django_capture_on_commit_callbacks(execute=True):
        endpoint_test(workspace=alice, endpoint_uuid=endpoint.uuid)
    assert [task.func() for task in OrmQ.objects.all()] == ["jobs.tasks.webhooks_run"]
    assert server.n_connections == 0
    tasks.webhooks_run()
    body = server.received[0].verify(secret)
    assert (body["type"], body["data"]) == ("webhook.test", {"endpoint": str(endpoint.uuid)})


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_deliver_each_message_once(settings: Any):
    alice = make_workspace("Alice's", credits=0)
    charlie = make_workspace("Charlie's", credits=0)
    with receiver(settings) as first, receiver(settings, host="127.0.0.2") as second:
        most = _most_at_once(first)
        for workspace in (alice, charlie):
            write(workspace, first.url, count=10)
            write(workspace, second.url, count=10)
        assert together(2, messages_deliver) == [False, False]
        received = [received.id for received in first.received + second.received]
    assert len(received) == len(set(received)) == 40
    # Two of each workspace.
    assert most() <= 4
    states = WebhookMessage.objects.values_list("state", "attempts")
    assert set(states) == {("delivered", 1)}
    assert WebhookAttempt.objects.count() == 40


def _most_at_once(server: Receiver) -> Any:
    lock, now, most = threading.Lock(), [0], [0]

    def answer(connection: Any) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        OK(connection)
        with lock:
            now[0] -= 1

    server.answer = answer
    return lambda: most[0]


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_before_it_can_write_repeats_the_message(
    settings: Any, media_dir: Path, tmp_path: Path
):
    workspace = make_workspace(credits=0)
    with receiver(settings) as server:
        write(workspace, server.url)
        killed = threading.Event()

        def kill(connection: Any) -> None:
            # It has the message, and the worker will never know.
            os.kill(worker.pid, signal.SIGKILL)
            killed.set()

        server.answer = kill
        environ = service_environment(
            media_dir,
            STEMWRIGHT_OUTBOUND_ALLOW="127.0.0.0/8",
            STEMWRIGHT_OUTBOUND_PORTS=str(server.port),
        )
        command = "from jobs.tasks import webhooks_run; webhooks_run()"
        log = tmp_path / "worker.log"
        with manage("shell", "-c", command, environ=environ, log=log) as worker:
            wait_until(killed.is_set, timeout_s=60, log=log)
        message = only()
        assert (message.state, message.attempts) == ("pending", 1)
        assert message.log.count() == 0
        # Nobody else sends it as long as the lease lasts.
        assert not has_messages_due()
        assert messages_deliver() is False
        assert len(server.requests) == 1
        server.answer = OK
        let_leases_end()
        assert messages_deliver() is False
        assert [received.id for received in server.received] == [str(message.uuid)] * 2
    assert log_of(message) == [(2, 200, "")]
    assert only().state == MessageState.DELIVERED
