"""Credits given and taken by hand."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core import signing
from django.test import Client

from accounts.models import AuditEvent, User, Workspace
from billing.models import Entry, PendingAdjustment, Transaction
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.models import Job
from tests.makers import make_asset, make_job, make_workspace, run_jobs
from tests.races import together
from tests.web.console.conftest import enter
from tests.web.html import Page

pytestmark = pytest.mark.django_db


def path_of(workspace: Workspace) -> str:
    return f"/console/workspaces/{workspace.uuid}/adjust"


def preview(client: Client, workspace: Workspace, **values: str) -> str:
    """The page of the preview."""
    values = {"kind": "grant", "amount": "12.5", "reason": "Sorry", **values}
    response = client.post(path_of(workspace), values)
    text = response.content.decode()
    assert response.status_code == 200, text
    assert Page(text).problems() == []
    return text


def signed_of(text: str) -> str:
    found = re.search(r'name="signed" value="([^"]+)"', text)
    assert found
    return found[1]


def available(workspace: Workspace) -> int:
    return wallet_get(workspace=workspace).available_mcr


def test_a_grant_is_shown_first_and_booked_once(console: Client, operator: User, studio: Workspace):
    before = (Entry.objects.count(), Transaction.objects.count(), AuditEvent.objects.count())
    text = preview(console, studio, reference="T-1", days="30")
    assert "+12.5" in text
    assert "112.5" in text
    assert "Sorry [T-1]" in text
    # Looking books nothing.
    after = (Entry.objects.count(), Transaction.objects.count(), AuditEvent.objects.count())
    assert after == before
    for _ in range(2):
        response = console.post(path_of(studio), {"signed": signed_of(text)})
        assert response["Location"] == f"/console/workspaces/{studio.uuid}"
    assert available(studio) == 112_500
    fact = Transaction.objects.get(kind="grant", reason="Sorry [T-1]")
    assert fact.lot.expires_at is not None
    event = AuditEvent.objects.get(action="credits.granted", target_uuid=fact.uuid)
    assert (event.actor_kind, event.actor_uuid) == ("operator", operator.uuid)
    assert (event.actor_label, event.workspace_uuid) == ("olga@example.org", studio.uuid)
    assert event.data == {"amount_mcr": 12_500, "reason": "Sorry [T-1]"}
    page = console.get(f"/console/workspaces/{studio.uuid}").content.decode()
    assert "+12.5" in page
    assert Page(page).problems() == []
    assert ledger_discrepancies() == []


def test_credits_are_taken_but_no_more_than_there_are(console: Client, studio: Workspace):
    text = preview(console, studio, kind="take", amount="40")
    console.post(path_of(studio), {"signed": signed_of(text)})
    assert available(studio) == 60_000
    response = console.post(path_of(studio), {"kind": "take", "amount": "61", "reason": "Too much"})
    assert response.status_code == 422
    assert "Only 60 credits are available" in response.content.decode()
    assert available(studio) == 60_000


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"reason": " "}, "Say why"),
        ({"amount": "-5"}, "credits are written like"),
        ({"amount": "0"}, "positive whole number"),
        ({"amount": "1000000001"}, "At most 1000000000 credits"),
        ({"kind": "present"}, "Choose what"),
        ({"days": "0"}, "Days are a whole number"),
        ({"reason": "x" * 151}, "at most 150 characters"),
        ({"reason": "a\x00b"}, "at most 150 characters"),
        ({"kind": "refund", "job": "x"}, "Name the job"),
    ],
)
def test_what_makes_no_sense_is_said(
    console: Client, studio: Workspace, values: dict[str, str], problem: str
):
    values = {"kind": "grant", "amount": "5", "reason": "Sorry", **values}
    response = console.post(path_of(studio), values)
    assert response.status_code in (400, 422)
    text = response.content.decode()
    assert problem in text
    assert Page(text).problems() == []
    assert available(studio) == 100_000


def test_what_was_shown_cannot_be_changed_or_used_elsewhere(
    console: Client, second: Client, studio: Workspace
):
    signed = signed_of(preview(console, studio))
    other = make_workspace("Other", credits=0)
    for client, workspace, text in (
        (console, studio, signed[:-2] + "xx"),
        (console, other, signed),
        (second, studio, signed),
        (console, studio, signing.dumps({}, salt="other")),
    ):
        assert client.post(path_of(workspace), {"signed": text}).status_code == 409
    assert (available(studio), available(other)) == (100_000, 0)


def test_money_wants_a_fresh_second_factor(operator: User, studio: Workspace):
    stale = enter(operator, age_s=3600)
    assert stale.get(f"/console/workspaces/{studio.uuid}").status_code == 200
    for method in ("get", "post"):
        response = getattr(stale, method)(path_of(studio))
        assert response["Location"].startswith("/account/2fa/reauthenticate/?next=%2Fconsole%2F")


def test_above_the_limit_two_have_to_agree(
    console: Client, second: Client, operator: User, studio: Workspace, settings: Any
):
    settings.CONSOLE_GRANT_LIMIT = 20
    text = preview(console, studio, amount="21")
    assert "Ask for approval" in text
    for _ in range(2):
        response = console.post(path_of(studio), {"signed": signed_of(text)})
        assert response["Location"] == "/console/approvals"
    pending = PendingAdjustment.objects.get()
    assert available(studio) == 100_000
    page = second.get("/console/approvals").content.decode()
    assert Page(page).problems() == []
    assert "121" in page
    # Not by oneself.
    address = f"/console/approvals/{pending.uuid}"
    assert console.post(address, {"decision": "approve"}).status_code == 403
    assert available(studio) == 100_000
    assert second.post(address, {"decision": "approve"}).status_code == 302
    assert available(studio) == 121_000
    assert second.post(address, {"decision": "approve"}).status_code == 409
    assert available(studio) == 121_000
    actions = AuditEvent.objects.filter(target_uuid=pending.uuid).order_by("pk")
    assert [(event.action, event.actor_label) for event in actions] == [
        ("adjustment.requested", "olga@example.org"),
        ("adjustment.approved", "otto@example.org"),
    ]
    granted = AuditEvent.objects.get(action="credits.granted", actor_kind="operator")
    assert granted.actor_uuid == operator.uuid
    # What was agreed to does not count against what one may do alone.
    assert "Book it" in preview(console, studio, amount="20")


def test_a_large_gift_in_small_parts_is_a_large_gift(
    console: Client, studio: Workspace, settings: Any
):
    settings.CONSOLE_GRANT_LIMIT = 20
    for _ in range(2):
        text = preview(console, studio, amount="10")
        assert "Book it" in text
        console.post(path_of(studio), {"signed": signed_of(text)})
    assert available(studio) == 120_000
    text = preview(console, studio, amount="0.001")
    assert "Ask for approval" in text
    console.post(path_of(studio), {"signed": signed_of(text)})
    assert available(studio) == 120_000


def test_a_request_can_be_rejected_and_needs_its_asker(
    console: Client, second: Client, operator: User, studio: Workspace, settings: Any
):
    settings.CONSOLE_GRANT_LIMIT = 0
    for _ in range(2):
        console.post(path_of(studio), {"signed": signed_of(preview(console, studio))})
    first, other = PendingAdjustment.objects.order_by("pk")
    second.post(f"/console/approvals/{first.uuid}", {"decision": "reject"})
    operator.is_staff = False
    operator.save(update_fields=["is_staff"])
    address = f"/console/approvals/{other.uuid}"
    assert second.post(address, {"decision": "approve"}).status_code == 403
    first.refresh_from_db()
    assert (first.state, available(studio)) == ("rejected", 100_000)


def test_a_job_is_refunded_once_and_no_more_than_it_cost(
    console: Client, studio: Workspace, tmp_path: Path, fake_separation: Any, no_beats: None
):
    job = make_job(studio, make_asset(studio, tmp_path))
    path = f"/console/workspaces/{studio.uuid}/adjust"
    values = {"kind": "refund", "job": str(job.uuid), "amount": "1", "reason": "Bad"}
    response = console.post(path, values)
    assert response.status_code == 422
    assert "was not charged" in response.content.decode()
    run_jobs()
    charged = Job.objects.get().charged_mcr
    assert charged == 2_500
    assert available(studio) == 97_500
    assert "Refund" in console.get(f"/console/jobs/{job.uuid}").content.decode()
    form = console.get(path, {"kind": "refund", "job": str(job.uuid)}).content.decode()
    assert 'value="2.5"' in form
    response = console.post(path, {**values, "amount": "2.501"})
    assert "no more can be refunded" in response.content.decode()
    text = preview(console, studio, **{**values, "amount": "2.5"})
    assert "+2.5" in text
    assert console.post(path, {"signed": signed_of(text)}).status_code == 302
    assert available(studio) == 100_000
    assert "refunded already" in console.post(path, values).content.decode()
    page = console.get(f"/console/jobs/{job.uuid}").content.decode()
    assert "Bad" in page
    assert Page(page).problems() == []
    # Nor by the way of another workspace.
    other = make_workspace("Other", credits=0)
    response = console.post(f"/console/workspaces/{other.uuid}/adjust", values)
    assert "another workspace" in response.content.decode()
    assert ledger_discrepancies() == []


@pytest.mark.django_db(transaction=True)
def test_the_same_preview_sent_many_times_at_once_is_booked_once(
    console: Client, studio: Workspace
):
    signed = signed_of(preview(console, studio))
    cookies = console.cookies

    def send() -> int:
        client = Client()
        client.cookies = cookies
        return client.post(path_of(studio), {"signed": signed}).status_code

    assert together(4, send) == [302] * 4
    assert available(studio) == 112_500
    assert ledger_discrepancies() == []


@pytest.mark.django_db(transaction=True)
def test_nobody_slips_below_the_limit_side_by_side(
    console: Client, studio: Workspace, settings: Any
):
    settings.CONSOLE_GRANT_LIMIT = 20
    texts = [signed_of(preview(console, studio, amount="15")) for _ in range(3)]
    cookies = console.cookies

    def send() -> int:
        client = Client()
        client.cookies = cookies
        return client.post(path_of(studio), {"signed": texts.pop()}).status_code

    assert together(3, send) == [302] * 3
    assert available(studio) == 115_000
    assert PendingAdjustment.objects.count() == 2
