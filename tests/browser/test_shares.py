"""A link to a job, from the form that makes it to somebody without an account who listens."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from jobs.models import Share
from tests.makers import make_done_job, run_derived

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("fake_separation"),
]


def test_a_job_is_shared_and_heard(
    signed_in: Page, person: User, tmp_path: Path, check_page: Callable[[Page], None]
):
    workspace = person.memberships.get().workspace
    job = make_done_job(workspace, tmp_path, seconds=12, stems=("vocals", "drums"))
    run_derived()
    page = signed_in
    page.goto(f"/app/jobs/{job.uuid}/shares")
    page.get_by_label("Password").fill("spring")
    page.get_by_label("Files may be downloaded").check()
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your link")
    check_page(page)
    link = page.locator("#share-link").inner_text()
    page.get_by_role("link", name="Done").click()
    page.goto(f"/app/jobs/{job.uuid}/shares")
    expect(page.get_by_role("row")).to_have_count(2)

    browser = page.context.browser
    assert browser is not None
    host = page.url.split("/app/")[0]
    stranger = browser.new_context(base_url=host)
    try:
        visit = stranger.new_page()
        visit.goto(f"/s/{link.rsplit('/', 1)[1]}")
        visit.get_by_label("Password").fill("autumn")
        visit.get_by_role("button", name="Open").click()
        expect(visit.get_by_text("This is not the password.")).to_be_visible()
        check_page(visit)
        visit.get_by_label("Password").fill("spring")
        visit.keyboard.press("Enter")
        expect(visit.get_by_role("heading", level=1)).to_have_text("song")
        expect(visit.get_by_role("button", name="Mute Drums")).to_be_visible()
        with visit.expect_download() as download:
            visit.get_by_role("link", name="Download song (vocals)").click()
        assert download.value.suggested_filename == "song (vocals).wav"
        Share.objects.get().refresh_from_db()
        assert Share.objects.get().uses == 1
        page.get_by_role("button", name="Withdraw").click()
        expect(page.get_by_text("The link no longer opens anything.")).to_be_visible()
        visit.reload()
        expect(visit.get_by_role("heading", level=1)).to_have_text("This link was withdrawn")
        check_page(visit)
    finally:
        stranger.close()
