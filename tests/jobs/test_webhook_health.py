"""Endpoints that are gone, fail for days, move or are disabled."""

from datetime import timedelta
from smtplib import SMTPRecipientsRefused
from typing import Any

import pytest
from django.core import mail
from django.db.models.functions import Now

from accounts.audit import OPERATOR
from accounts.mail import webhook_disabled_mail_send
from accounts.models import AuditEvent, Role, Workspace
from jobs.delivering import messages_deliver
from jobs.models import WebhookAttempt, WebhookEndpoint, WebhookMessage
from jobs.webhooks import endpoint_update
from tests.fakes.http import says
from tests.fakes.receiver import DOWN, Receiver, receiver
from tests.jobs.webhook_steps import log_of, make_due, make_endpoint, only, write
from tests.makers import make_member, make_workspace
from tests.races import together

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Any) -> Any:
    with receiver(settings) as server:
        yield server


def test_410_disables_the_endpoint_and_says_so(
    alice: Workspace, server: Receiver, django_capture_on_commit_callbacks: Any
):
    server.answer = says("410 Gone")
    people = {role: make_member(alice, role) for role in Role}
    endpoint, _ = make_endpoint(alice, f"{server.url}/token-in-the-path")
    write(alice, endpoint.url, endpoint=endpoint)
    (later,) = write(alice, endpoint.url, endpoint=endpoint)
    (other,) = write(alice, "https://hooks.example.org")
    for waiting in (later, other):
        WebhookMessage.objects.filter(pk=waiting.pk).update(
            next_attempt_at=Now() + timedelta(hours=1)
        )
    with django_capture_on_commit_callbacks(execute=True):
        messages_deliver()
    endpoint.refresh_from_db()
    assert (endpoint.is_enabled, endpoint.disabled_reason) == (False, "It answered 410 Gone.")
    assert endpoint.disabled_at is not None
    states = [message.state for message in WebhookMessage.objects.order_by("pk")]
    assert states == ["failed", "failed", "pending"]
    assert [message.to for message in mail.outbox] == [
        [people[Role.OWNER].email],
        [people[Role.ADMIN].email],
    ]
    assert mail.outbox[0].subject == "A webhook of “Alice's” on Stemwright was disabled"
    assert endpoint.url in mail.outbox[0].body
    event = AuditEvent.objects.get(action="webhook.disabled")
    assert event.data == {"host": "127.0.0.1", "reason": "It answered 410 Gone."}
    # Enabled again, it starts with a clean record.
    endpoint_update(workspace=alice, endpoint_uuid=endpoint.uuid, actor=OPERATOR, is_enabled=True)
    endpoint = WebhookEndpoint.objects.get(pk=endpoint.pk)
    assert (endpoint.is_enabled, endpoint.disabled_reason) == (True, "")
    assert endpoint.disabled_at is endpoint.failing_since is None


@pytest.mark.parametrize(
    ("days", "tries", "is_disabled"), [(6, 9, True), (4, 9, False), (6, 8, False)]
)
def test_five_days_and_ten_tries_without_success_disable_it(
    alice: Workspace, server: Receiver, days: int, tries: int, is_disabled: bool
):
    server.answer = DOWN
    endpoint, _ = make_endpoint(alice, server.url)
    (message,) = write(alice, endpoint.url, endpoint=endpoint)
    since = Now() - timedelta(days=days)
    WebhookEndpoint.objects.update(failing_since=since)
    for number in range(tries):
        WebhookAttempt.objects.create(
            message=message, number=100 + number, duration_ms=1, started_at=since
        )
    messages_deliver()
    endpoint.refresh_from_db()
    assert endpoint.is_enabled is not is_disabled
    assert only().state == ("failed" if is_disabled else "pending")
    if is_disabled:
        assert endpoint.disabled_reason == "Nothing could be delivered for 5 days."


@pytest.mark.django_db(transaction=True)
def test_mail_that_cannot_be_sent_changes_nothing(settings: Any):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    workspace = make_workspace(credits=0)
    make_member(workspace, Role.OWNER)
    with receiver(settings, says("410 Gone")) as server:
        # It speaks no SMTP, and hangs up.
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_USE_TLS = False
        endpoint, _ = make_endpoint(workspace, server.url)
        write(workspace, endpoint.url, endpoint=endpoint)
        settings.EMAIL_TIMEOUT = 1
        assert messages_deliver() is False
        assert server.n_connections == 2
    endpoint.refresh_from_db()
    assert (endpoint.is_enabled, only().state) == (False, "failed")
    assert log_of(only()) == [(1, 410, "refused")]


def test_an_address_that_is_no_more_does_not_keep_it_from_the_others(
    alice: Workspace, monkeypatch: pytest.MonkeyPatch
):
    owner, admin = make_member(alice, Role.OWNER), make_member(alice, Role.ADMIN)
    asked: list[str] = []

    def send(subject: str, body: str, sender: None, to: list[str]) -> None:
        asked.extend(to)
        if to == [owner.email]:
            raise SMTPRecipientsRefused({owner.email: (550, b"no such user")})

    monkeypatch.setattr("accounts.mail.send_mail", send)
    webhook_disabled_mail_send(workspace=alice, url="https://h.example.org/", reason="Gone.")
    assert asked == [owner.email, admin.email]


def test_nothing_is_sent_to_an_endpoint_that_was_disabled_meanwhile(
    alice: Workspace, server: Receiver
):
    endpoint, _ = make_endpoint(alice, server.url)
    write(alice, endpoint.url, endpoint=endpoint)
    WebhookEndpoint.objects.update(is_enabled=False)
    messages_deliver()
    assert (only().state, server.n_connections, only().log.count()) == ("failed", 0, 0)


def test_an_endpoint_that_moved_takes_its_messages_along(alice: Workspace, server: Receiver):
    endpoint, _ = make_endpoint(alice, "https://hooks.example.org")
    write(alice, endpoint.url, endpoint=endpoint)
    endpoint_update(
        workspace=alice, endpoint_uuid=endpoint.uuid, actor=OPERATOR, url=f"{server.url}/new"
    )
    messages_deliver()
    assert (only().state, only().url, only().host) == (
        "delivered",
        f"{server.url}/new",
        "127.0.0.1",
    )


@pytest.mark.django_db(transaction=True)
def test_disabling_while_everything_fails_stops_nobody(settings: Any):
    """Both want the endpoint and its messages, and must not wait for each other in a circle."""
    workspace = make_workspace(credits=0)
    with receiver(settings, DOWN) as server:
        endpoint, _ = make_endpoint(workspace, server.url)
        write(workspace, endpoint.url, endpoint=endpoint, count=20)

        def switch() -> None:
            for is_enabled in [False, True] * 5:
                endpoint_update(
                    workspace=workspace,
                    endpoint_uuid=endpoint.uuid,
                    actor=OPERATOR,
                    is_enabled=is_enabled,
                )
                make_due()

        def deliver() -> None:
            for _ in range(5):
                messages_deliver()

        assert together(3, switch, deliver) == [None] * 3
    endpoint.refresh_from_db()
    assert endpoint.is_enabled
    assert set(WebhookMessage.objects.values_list("state", flat=True)) == {"failed"}
