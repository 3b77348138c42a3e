"""Receivers, messages and databases that do what they should not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.models import Workspace
from accounts.secrets import secret_encrypt
from jobs import tasks
from jobs.delivering import messages_deliver
from jobs.instance import FOLDER_VARIABLE
from jobs.models import CallbackSecret, WebhookEndpoint, WebhookMessage
from jobs.native_messages import NativeStyle
from tests.fakes.http import says
from tests.fakes.receiver import OK, Receiver, receiver
from tests.jobs.webhook_steps import log_of, make_endpoint, only, write
from tests.makers import make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Any) -> Any:
    with receiver(settings) as server:
        yield server


@pytest.mark.parametrize("length", ["Content-Length: 900", "Transfer-Encoding: chunked"])
def test_the_status_decides_though_the_body_hangs(
    alice: Workspace, server: Receiver, monkeypatch: pytest.MonkeyPatch, length: str
):
    schedule = replace(NativeStyle.schedule, total_s=0.2)
    monkeypatch.setattr(NativeStyle, "schedule", schedule)

    def hang(connection: Any) -> None:
        connection.sendall(f"HTTP/1.1 202 Accepted\r\n{length}\r\n\r\n5\r\nhello\r\n".encode())
        server.stopping.wait()

    server.answer = hang
    write(alice, server.url)
    messages_deliver()
    server.stopping.set()
    assert log_of(only()) == [(1, 202, "")]
    assert only().state == "delivered"


def test_a_body_that_breaks_off_does_not_hide_a_refusal(alice: Workspace, server: Receiver):
    server.answer = says("410 Gone", "Content-Length: 900", body=b"gone")
    write(alice, server.url)
    messages_deliver()
    assert log_of(only()) == [(1, 410, "refused")]
    assert (only().state, only().log.get().response) == ("failed", "gone")


def test_a_pause_that_no_clock_can_hold_is_no_pause(alice: Workspace, server: Receiver):
    date = "Mon, 01 Jan 2026 99999999999:00:00 GMT"
    server.answer = says("503 Service Unavailable", f"Retry-After: {date}")
    write(alice, server.url)
    messages_deliver()
    assert log_of(only()) == [(1, 503, "refused")]
    assert only().lease_until is None


def test_a_message_that_cannot_be_signed_does_not_stop_the_others(
    alice: Workspace, charlie: Workspace, server: Receiver
):
    endpoint, _ = make_endpoint(alice, server.url)
    write(alice, endpoint.url, endpoint=endpoint)
    WebhookEndpoint.objects.update(secret=secret_encrypt("whsec_abcde"))
    write(charlie, server.url)
    messages_deliver()
    first, second = WebhookMessage.objects.order_by("pk")
    assert (log_of(first), first.state) == ([(1, None, "internal")], "pending")
    assert (log_of(second), second.state) == ([(1, 200, "")], "delivered")


@pytest.mark.django_db(transaction=True)
def test_a_database_that_restarts_meanwhile_costs_no_outcome(settings: Any):
    workspace = make_workspace(credits=0)
    CallbackSecret.objects.all().delete()
    with receiver(settings) as server, connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()

        def answer(received: Any) -> None:
            from django.db import connection as aside

            with aside.cursor() as killer:
                killer.execute("SELECT pg_terminate_backend(%s)", [pid])
            aside.close()
            OK(received)

        server.answer = answer
        write(workspace, server.url)
        messages_deliver()
    assert log_of(only()) == [(1, 200, "")]
    assert (only().state, len(server.requests)) == ("delivered", 1)


@pytest.mark.parametrize(
    ("task", "work"),
    [
        (tasks.webhooks_run, "jobs.tasks.messages_deliver"),
        (tasks.storage_clean, "jobs.tasks.cleaning.storage_clean"),
    ],
)
def test_what_hangs_holds_one_worker_of_a_cluster_only(
    task: Callable[[], None], work: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    calls: list[int] = []

    def hang() -> int:
        calls.append(1)
        task()  # the next worker of the same cluster
        return 0

    monkeypatch.setattr(work, hang)
    task()
    task()
    assert len(calls) == 2
