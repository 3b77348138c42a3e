"""Members are told of low credits once for each fall, and nothing of it is lost."""

from datetime import timedelta
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.db.models.functions import Now

from accounts.audit import OPERATOR, SYSTEM
from accounts.models import AuditEvent, Role, Workspace
from billing.auto_top_ups import auto_top_up_disable
from billing.credit_alerts import credit_alert_put, credits_low_get, has_credit_alerts_to_run
from billing.ledger import credits_hold, hold_release
from billing.models import AutoTopUp, CreditAlert, Notice, Pack, Payment
from billing.notices import has_notices_to_send, notices_clean, notices_send
from config.errors import ValidationFailed
from jobs.credit_alerts import credit_alerts_run
from jobs.models import WebhookMessage
from jobs.webhooks import endpoint_create
from tests.makers import make_grant, make_member, make_shop, make_workspace
from tests.races import together

pytestmark = pytest.mark.django_db


@pytest.fixture
def studio(db: None) -> Workspace:
    """With 100 credits, and an alert below 50."""
    workspace = make_workspace("Studio", credits=100)
    make_member(workspace, Role.OWNER, email="olga@example.org")
    make_member(workspace, Role.BILLING, email="bill@example.org")
    make_member(workspace, Role.DEVELOPER, email="mia@example.org")
    credit_alert_put(workspace=workspace, actor=OPERATOR, is_enabled=True, threshold_mcr=50_000)
    return workspace


def spend(workspace: Workspace, amount_mcr: int) -> Any:
    job_uuid = uuid4()
    credits_hold(workspace=workspace, job_uuid=job_uuid, amount_mcr=amount_mcr)
    return job_uuid


def mails() -> list[str]:
    """To whom what was owed has been sent."""
    notices_send()
    sent = [message.to[0] for message in mail.outbox]
    mail.outbox.clear()
    return sorted(sent)


def test_who_pays_is_told_once_for_each_fall(studio: Workspace):
    spend(studio, 50_000)
    assert not has_credit_alerts_to_run()
    credit_alerts_run()
    assert mails() == []
    held = spend(studio, 1)
    assert has_credit_alerts_to_run()
    credit_alerts_run()
    assert not has_credit_alerts_to_run()
    assert mails() == ["bill@example.org", "olga@example.org"]
    spend(studio, 10_000)
    credit_alerts_run()
    assert mails() == []
    # Above again, and below again.
    hold_release(job_uuid=held)
    make_grant(studio, 10_000)
    assert has_credit_alerts_to_run()
    credit_alerts_run()
    assert not has_credit_alerts_to_run()
    spend(studio, 1)
    credit_alerts_run()
    assert mails() == ["bill@example.org", "olga@example.org"]


def test_the_mail_says_what_is_left(studio: Workspace):
    spend(studio, 60_500)
    credit_alerts_run()
    notices_send()
    message = mail.outbox[0]
    assert message.subject == "“Studio” on Stemwright has 39.5 credits left"
    assert "fewer than the 50 below which" in message.body
    assert "/app/credits" in message.body


def test_webhooks_are_told_in_the_same_breath(studio: Workspace):
    for url, events in (
        ("https://example.org/all", []),
        ("https://example.org/low", ["credits.low"]),
        ("https://example.org/jobs", ["job.failed"]),
    ):
        endpoint_create(workspace=studio, actor=OPERATOR, url=url, events=events)
    spend(studio, 60_000)
    credit_alerts_run()
    messages = WebhookMessage.objects.order_by("pk")
    assert [message.url[-4:] for message in messages] == ["/all", "/low"]
    body = messages[0].body
    assert body["type"] == "credits.low"
    assert body["data"] == {
        "workspace": str(studio.uuid),
        "available_mcr": 40_000,
        "credits_available": "40",
        "threshold_mcr": 50_000,
    }


def test_what_is_written_is_written_together(studio: Workspace, monkeypatch: Any):
    """A kill in between: nothing was told, and the next run tells all of it."""

    def fail(told: Any) -> None:
        raise RuntimeError

    spend(studio, 60_000)
    with monkeypatch.context() as patch:
        patch.setattr("jobs.credit_alerts.credits_low", fail)
        with pytest.raises(RuntimeError):
            credit_alerts_run()
    assert (Notice.objects.count(), CreditAlert.objects.get().is_armed) == (0, True)
    credit_alerts_run()
    assert Notice.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_side_by_side_it_is_told_once(studio: Workspace):
    endpoint_create(workspace=studio, actor=OPERATOR, url="https://example.org/", events=[])
    spend(studio, 60_000)
    together(4, credit_alerts_run)
    assert (Notice.objects.count(), WebhookMessage.objects.count()) == (2, 1)
    together(2, notices_send)
    assert sorted(message.to[0] for message in mail.outbox) == [
        "bill@example.org",
        "olga@example.org",
    ]


def test_a_mail_that_cannot_be_sent_is_tried_again(studio: Workspace, monkeypatch: Any):
    spend(studio, 60_000)
    credit_alerts_run()

    def away(*values: Any, **options: Any) -> None:
        raise SMTPException

    with monkeypatch.context() as patch:
        patch.setattr("billing.notices.notice_mail_send", away)
        notices_send()
        notices_send()
    assert not has_notices_to_send()
    assert mails() == []
    Notice.objects.update(next_attempt_at=Now())
    assert mails() == ["bill@example.org", "olga@example.org"]
    Notice.objects.update(next_attempt_at=Now())
    assert mails() == []


def test_one_address_that_is_no_more_is_passed_over(studio: Workspace, monkeypatch: Any):
    spend(studio, 60_000)
    credit_alerts_run()
    tried = []

    def refuse(*, email: str, **values: Any) -> None:
        tried.append(email)
        raise SMTPRecipientsRefused({email: (550, b"gone")})

    monkeypatch.setattr("billing.notices.notice_mail_send", refuse)
    notices_send()
    assert sorted(tried) == ["bill@example.org", "olga@example.org"]
    assert not Notice.objects.filter(finished_at=None).exists()


def test_who_left_meanwhile_is_told_nothing(studio: Workspace):
    spend(studio, 60_000)
    credit_alerts_run()
    studio.memberships.filter(role=Role.BILLING).delete()
    assert mails() == ["olga@example.org"]


def test_old_news_are_given_up_and_forgotten(studio: Workspace):
    spend(studio, 60_000)
    credit_alerts_run()
    Notice.objects.update(created_at=Now() - timedelta(days=3))
    notices_clean()
    assert (mails(), Notice.objects.count()) == ([], 2)
    Notice.objects.update(finished_at=Now() - timedelta(days=31))
    notices_clean()
    assert not Notice.objects.exists()


def test_it_is_off_unless_somebody_wants_it(studio: Workspace):
    credit_alert_put(workspace=studio, actor=OPERATOR, is_enabled=False, threshold_mcr=50_000)
    spend(studio, 60_000)
    assert not has_credit_alerts_to_run()
    assert credits_low_get(workspace=studio) is None
    # Switched on below its threshold, it tells what is no news.
    credit_alert_put(workspace=studio, actor=OPERATOR, is_enabled=True, threshold_mcr=50_000)
    credit_alerts_run()
    assert mails() == []
    low = credits_low_get(workspace=studio)
    assert low is not None
    assert AuditEvent.objects.filter(action="credit_alert.changed").count() == 3
    for threshold_mcr in (0, -1, 10**12 + 1):
        with pytest.raises(ValidationFailed):
            credit_alert_put(
                workspace=studio, actor=OPERATOR, is_enabled=True, threshold_mcr=threshold_mcr
            )


def test_a_top_up_under_way_is_waited_for(studio: Workspace):
    spend(studio, 60_000)
    payment = Payment.objects.create(
        workspace=studio, kind="top_up", credits_mcr=1, amount_cents=1, currency="usd"
    )
    assert not has_credit_alerts_to_run()
    Payment.objects.filter(pk=payment.pk).update(state="failed")
    assert has_credit_alerts_to_run()


def test_a_top_up_that_goes_off_is_told(studio: Workspace):
    make_shop()
    AutoTopUp.objects.create(
        workspace=studio,
        is_enabled=True,
        threshold_mcr=1,
        pack=Pack.objects.get(code="starter"),
        monthly_ceiling_cents=500,
    )
    for _ in range(2):
        auto_top_up_disable(workspace=studio, reason="The card was declined.")
    notices_send()
    assert [message.to for message in mail.outbox] == [["olga@example.org"], ["bill@example.org"]]
    assert "The card was declined." in mail.outbox[0].body
    assert SYSTEM.label == AuditEvent.objects.get(action="auto_top_up.disabled").actor_label
