"""Jobs as people see them: how they go on by themselves, how they are found, named and deleted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from accounts.models import Membership, User, Workspace
from jobs.leases import job_beat, job_fail
from jobs.models import Job
from jobs.scheduling import job_claim
from tests.makers import make_asset, make_job, make_spoken_job, run_jobs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def studio(person: User) -> Workspace:
    return Membership.objects.get(user=person).workspace


def beat(progress: float, step: str = "separate") -> None:
    job_beat(Job.objects.get(state="running"), progress=progress, step=step)


def test_a_job_goes_on_before_ones_eyes(
    signed_in: Page,
    studio: Workspace,
    tmp_path: Path,
    fake_separation: Any,
):
    """The list by the stream, and the page of the job until its files are there."""
    page = signed_in
    page.goto("/app/jobs")
    expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
    job = make_job(studio, make_asset(studio, tmp_path, name="song.wav"))
    page.goto("/app/jobs")
    page.evaluate("window.stays = true")
    row = page.get_by_role("row", name="song.wav")
    expect(row).to_contain_text("In the queue")
    with page.expect_request(lambda request: "/app/events" in request.url):
        page.reload()
    page.evaluate("window.stays = true")
    job_claim()
    beat(0.31)
    expect(row).to_contain_text("Separating 31 %")
    expect(page.locator("#live-said")).to_have_text("song.wav: Separating")
    # What somebody has opened or chosen stays as it is.
    page.get_by_role("button", name="Actions for song.wav").click()
    row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Actions for song.wav").click()
    beat(0.62)
    expect(row).to_contain_text("Separating 62 %")
    expect(page.get_by_role("link", name="Open", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(row.get_by_role("checkbox")).to_be_checked()

    page.goto(f"/app/jobs/{job.uuid}")
    page.evaluate("window.stays = true")
    expect(page.get_by_role("heading", name="Separating 62 %")).to_be_visible()
    beat(0.9)
    expect(page.get_by_role("heading", name="Separating 90 %")).to_be_visible()
    Job.objects.filter(pk=job.pk).update(state="queued", lease_until=None, attempt=0)
    run_jobs()
    expect(page.get_by_role("link", name="Download Vocals: WAV 16")).to_be_visible()
    expect(page.locator("#live-said")).to_have_text("song.wav: Done")
    assert page.evaluate("window.stays") is True
    page.get_by_role("tab", name="Python").click()
    expect(page.get_by_text("client.jobs.create")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    assert download.value.suggested_filename == "song.zip"
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("1 job deleted.")).to_be_visible()
    expect(page).to_have_url(page.url.partition("/app")[0] + "/app/jobs")


def test_where_no_stream_comes_through_it_looks_again_and_again(
    signed_in: Page, studio: Workspace, tmp_path: Path
):
    page = signed_in

    def answer(route: Route) -> None:
        is_stream = "text/event-stream" in route.request.headers.get("accept", "")
        route.fulfill(status=429) if is_stream else route.continue_()

    page.route("**/app/events*", answer)
    make_job(studio, make_asset(studio, tmp_path, name="song.wav"))
    page.goto("/app/")
    page.evaluate("window.stays = true")
    row = page.get_by_role("row", name="song.wav")
    expect(row).to_contain_text("In the queue")
    job_claim()
    beat(0.5)
    expect(row).to_contain_text("Separating 50 %")
    page.context.set_offline(True)
    expect(page.locator("#offline")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#offline")).to_be_hidden()
    job_fail(Job.objects.get(), code="broken_media", message="The recording cannot be read.")
    expect(row).to_contain_text("The recording cannot be read. Not charged.")
    assert page.evaluate("window.stays") is True


def test_several_are_deleted_and_it_can_be_undone(
    signed_in: Page, studio: Workspace, tmp_path: Path, fake_separation: Any
):
    page = signed_in
    for name in ("one.wav", "two.wav", "three.wav"):
        make_job(studio, make_asset(studio, tmp_path, name=name))
    run_jobs()
    kept = Job.objects.filter(deleted_at=None)
    page.goto("/app/jobs")
    page.get_by_label("Choose one.wav").check()
    page.get_by_label("Choose two.wav").check()
    bar = page.get_by_role("form", name="Chosen jobs")
    expect(bar).to_contain_text("Chosen: 2")
    bar.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("row", name="one.wav")).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("row", name="one.wav")).to_be_visible()
    expect(bar).to_be_hidden()
    assert kept.count() == 3
    # The next deletion sends the one before; leaving the page sends what is left.
    for name in ("one.wav", "two.wav"):
        page.get_by_role("button", name=f"Actions for {name}").click()
        page.get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_role("row", name=name)).to_be_hidden()
    expect(page.get_by_role("link", name="Done 2")).to_be_visible()
    assert kept.count() == 2
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("row", name="three.wav")).to_be_visible()
    page.goto("/app/jobs")
    expect(page.get_by_role("link", name="All 1")).to_be_visible()
    assert kept.get().recording.filename == "three.wav"


def test_jobs_are_found_by_keyboard(signed_in: Page, studio: Workspace, tmp_path: Path):
    page = signed_in
    make_job(studio, make_asset(studio, tmp_path, name="song.wav"))
    make_spoken_job(studio, make_asset(studio, tmp_path, name="talk.wav"))
    page.goto("/app/jobs")
    page.get_by_role("searchbox").focus()
    page.keyboard.type("TALK")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="song.wav")).to_be_hidden()
    expect(page.get_by_role("row", name="talk.wav")).to_be_visible()
    page.get_by_role("link", name="Failed 0").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No job matches")).to_be_visible()
    assert "q=TALK" in page.url
    page.get_by_role("link", name="Clear all").last.press("Enter")
    page.get_by_text("Filters and order").press("Enter")
    page.get_by_label("Service").press("N")
    page.get_by_label("Service").select_option("speaker_extraction")
    page.get_by_role("button", name="Apply").press("Enter")
    expect(page.get_by_role("row", name="song.wav")).to_be_hidden()
    expect(page.get_by_label("Service")).to_have_value("speaker_extraction")
    page.get_by_label("Choose talk.wav").press("Space")
    expect(page.get_by_role("form", name="Chosen jobs")).to_be_visible()
    page.get_by_role("button", name="Actions for talk.wav").press("Enter")
    expect(page.get_by_role("link", name="Open", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("talk.wav")


def test_speakers_are_named(
    signed_in: Page, studio: Workspace, tmp_path: Path, check_page: Callable[[Page], None]
):
    page = signed_in
    job = make_spoken_job(studio, make_asset(studio, tmp_path, name="talk.wav"))
    page.goto(f"/app/jobs/{job.uuid}")
    page.get_by_label("Name of SPEAKER_0").fill("Ada")
    page.get_by_label("Name of SPEAKER_1").fill("ada")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name of SPEAKER_1")).to_have_attribute("aria-invalid", "true")
    page.get_by_text("2 turns, as a list").click()
    check_page(page)
    page.get_by_label("Name of SPEAKER_1").fill("Grace")
    page.get_by_role("button", name="Save the names").click()
    expect(page.get_by_text("The names are saved.")).to_be_visible()
    page.get_by_text("2 turns, as a list").click()
    expect(page.locator(".turns li").first).to_contain_text("Ada")
    with page.expect_download() as download:
        page.get_by_role("link", name="WebVTT").click()
    assert "Grace" in Path(download.value.path()).read_text()
    for label in ("Ada", "Grace"):
        page.get_by_label(f"{label} is the same").check()
    page.get_by_role("button", name="Make them one, for free").click()
    expect(page.get_by_text("A new job makes these speakers one.")).to_be_visible()
