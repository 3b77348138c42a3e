"""The operator's console, from signing in to looking on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings as configured
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.models import AuditEvent, User
from accounts.operators import operator_set
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.models import Job
from tests.makers import PASSWORD, make_asset, make_code, make_job, make_user, run_jobs
from tests.web.console.conftest import factor_give

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = generate_totp_secret()


@pytest.fixture
def operator(transactional_db: None) -> User:
    user = make_user("olga@example.org")
    TOTP.activate(user, SECRET)
    return operator_set(email=user.email, is_operator=True)


@pytest.fixture
def job(person: User, tmp_path: Path, fake_separation: Any) -> Job:
    """Of a member's, that was charged."""
    workspace = person.memberships.get().workspace
    job = make_job(workspace, make_asset(workspace, tmp_path))
    run_jobs()
    job.refresh_from_db()
    assert job.charged_mcr == 2_500
    return job


@pytest.fixture
def at_console(operator: User, page: Page, live_server: Any) -> Page:
    """In the console, without the way through the forms."""
    client = Client()
    client.force_login(operator)
    factor_give(client)
    name = configured.SESSION_COOKIE_NAME
    page.context.add_cookies(
        [{"name": name, "value": client.cookies[name].value, "url": live_server.url}]
    )
    return page


def test_an_operator_gives_credits_refunds_and_looks_on(
    page: Page, operator: User, person: User, job: Job, check_page: Callable[[Page], None]
):
    workspace = person.memberships.get().workspace
    # In, by password and second factor.
    page.goto("/console/")
    page.get_by_label("Email").fill(operator.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign In", exact=True).click()
    page.get_by_label("Code").fill(make_code(SECRET))
    page.locator("main").get_by_role("button", name="Sign In", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Search and health")

    # A workspace, by its member's address.
    page.get_by_label("Find anything").fill("alice@exa")
    page.get_by_role("main").get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Studio").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Studio")

    # Credits, seen before they are booked.
    page.get_by_role("link", name="Adjust credits").click()
    page.get_by_label("Credits", exact=True).fill("25")
    page.get_by_label("Reason", exact=True).fill("The outage on Monday")
    page.get_by_label("Ticket or reference").fill("T-42")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("row").filter(has_text="wallet")).to_contain_text("+25")
    check_page(page)
    assert wallet_get(workspace=workspace).available_mcr == 497_500
    page.get_by_role("button", name="Book it").click()
    line = page.get_by_role("row").filter(has_text="The outage on Monday [T-42]").first
    expect(line).to_contain_text("+25")
    expect(line).to_contain_text("522.5")

    # A job's charge goes back.
    page.goto(f"/console/jobs/{job.uuid}")
    page.get_by_role("link", name="Refund").click()
    page.get_by_label("Reason", exact=True).fill("Bleed")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Book it").click()
    expect(page.get_by_role("row").filter(has_text="Bleed").first).to_contain_text("+2.5")
    assert wallet_get(workspace=workspace).available_mcr == 525_000
    assert ledger_discrepancies() == []
    page.goto(f"/console/jobs/{job.uuid}")
    expect(page.get_by_role("link", name="Refund")).to_have_count(0)

    # Looking on: everything is there to see, nothing to change.
    page.goto(f"/console/workspaces/{workspace.uuid}")
    page.get_by_role("link", name="Look on alice@example.org").click()
    page.get_by_label("Reason", exact=True).fill("Cannot find a file")
    page.get_by_role("button", name="Look on").click()
    expect(page.get_by_text("You are looking on as alice@example.org")).to_be_visible()
    expect(page).to_have_url("/app/")
    check_page(page)
    page.get_by_role("button", name="Account and workspaces").click()
    page.locator("#account-menu").get_by_role("button", name="Studio").click()
    expect(page.get_by_role("main")).to_contain_text("nothing can be changed")
    told = page.evaluate(
        """async () => {
          const token = document.querySelector('meta[name="csrf-token"]').content;
          const headers = {"X-CSRFToken": token, "Content-Type": "application/json"};
          const body = JSON.stringify({name: "Mine"});
          const answer = await fetch("/v1/workspace", {method: "PATCH", headers, body});
          return [answer.status, (await answer.json()).error.message];
        }"""
    )
    assert told == [403, "You are looking on as a member: nothing can be changed."]
    page.get_by_role("button", name="End").click()
    expect(page).to_have_url("/console/")
    expect(page.get_by_text("You are looking on as")).to_have_count(0)
    actions = AuditEvent.objects.filter(actor_label=operator.email, actor_kind="operator")
    assert list(actions.order_by("pk").values_list("action", flat=True)) == [
        "credits.granted",
        "credits.refunded",
        "impersonation.started",
        "impersonation.page_seen",
        "impersonation.refused",
        "impersonation.ended",
    ]


def test_unfold_works_within_its_policy(at_console: Page, job: Job):
    at_console.goto("/console/db/")
    expect(at_console.get_by_role("link", name="Jobs").first).to_be_visible()
    at_console.goto("/console/db/jobs/job/")
    expect(at_console.get_by_text(str(job.uuid)).first).to_be_visible()
