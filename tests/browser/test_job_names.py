"""Renaming a job on its page; days and times of where the browser is."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from accounts.models import User, Workspace
from jobs.models import Job
from tests.browser.conftest import WIDE
from tests.makers import make_asset, make_job


@pytest.fixture
def context(chromium: Browser, live_server: Any) -> Iterator[BrowserContext]:
    # Fourteen hours ahead of UTC, all year.
    zone = "Pacific/Kiritimati"
    context = chromium.new_context(
        base_url=live_server.url, viewport=WIDE, locale="en-GB", timezone_id=zone
    )
    yield context
    context.close()


@pytest.fixture
def job(person: User, tmp_path: Path) -> Job:
    workspace = Workspace.objects.get()
    return make_job(workspace, make_asset(workspace, tmp_path, name="take 7.wav"))


def test_a_job_is_renamed_by_keyboard(
    signed_in: Page, job: Job, check_page: Callable[[Page], None]
):
    page = signed_in
    page.goto(f"/app/jobs/{job.uuid}")
    pencil, name = page.locator("[data-rename] summary"), page.get_by_label("Name of the job")
    pencil.focus()
    page.keyboard.press("Enter")
    expect(name).to_be_focused()
    check_page(page)
    page.keyboard.type("Nothing")
    page.keyboard.press("Escape")
    expect(name).to_be_hidden()
    expect(pencil).to_be_focused()
    page.keyboard.press("Enter")
    expect(name).to_have_value("take 7.wav")
    # What stood there is chosen, and written over.
    page.wait_for_function("() => String(getSelection()) === 'take 7.wav'")
    page.keyboard.type("Encore")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Encore")
    expect(page).to_have_title("Encore · Stemwright")


def test_days_and_times_are_those_of_the_browser(signed_in: Page, job: Job):
    page = signed_in
    Job.objects.filter(pk=job.pk).update(created_at=datetime(2026, 3, 1, 10, 30, tzinfo=UTC))
    page.goto("/app/jobs")
    row = page.locator(f'[data-job="{job.uuid}"]')
    expect(row.locator("time").last).to_have_text("Mar 2, 2026, 12:30 AM")
    # It has told by now where it is.
    page.goto("/app/jobs?from=2026-03-02&to=2026-03-02")
    expect(row).to_be_visible()
    expect(page.get_by_text("Days are those of the time zone Pacific/Kiritimati.")).to_be_visible()
    page.goto("/account/")
    page.get_by_role("combobox", name="Time zone").select_option("America/New_York")
    page.get_by_role("region", name="Time zone").get_by_role("button").click()
    page.goto("/app/jobs?from=2026-03-01&to=2026-03-01")
    expect(row.locator("time").last).to_have_text("Mar 1, 2026, 5:30 AM")
