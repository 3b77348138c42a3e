"""Recordings come in, are priced and ordered, with scripts."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from accounts.models import User
from billing.selectors import wallet_get
from jobs.ingesting import run_next_ingest
from jobs.models import Ingest, Job
from tests.browser.workers import working
from tests.fakes.http import Server
from tests.makers import make_asset, make_wav

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def imports() -> Iterator[None]:
    """A worker that sees to what comes in, as long as the test runs."""
    with working(run_next_ingest):
        yield


@pytest.fixture
def songs(tmp_path: Path) -> dict[str, Path]:
    contents = {
        "lecture.wav": make_wav(seconds=20, channels=1, sample_rate=8000),
        "song.wav": make_wav(seconds=4),
        "talk.wav": make_wav(seconds=2, channels=1),
        "broken.wav": b"RIFF" + bytes(5000),
    }
    folder = tmp_path / "songs"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("list", name="Recordings").get_by_role("listitem").filter(has_text=name)


def choose(page: Page, *paths: Path) -> None:
    page.locator("#id_file").set_input_files(list(paths))


def test_recordings_are_sent_priced_and_ordered(
    signed_in: Page,
    person: User,
    songs: dict[str, Path],
    imports: None,
    settings: Any,
    check_page: Callable[[Page], None],
):
    # Three pieces of a song; the second one is held back until the page is loaded anew.
    settings.UPLOAD_SLICE_BYTES = 300_000
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "PATCH" and route.request.headers["upload-offset"] != "0":
            held.append(route)
        else:
            route.continue_()

    page = signed_in
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/app/new")
    start = page.locator("#start")
    expect(start).to_be_disabled()
    expect(page.locator("#reason")).to_have_text("Add a recording first.")

    page.route("**/v1/uploads/*", hold)
    choose(page, songs["song.wav"])
    song = row(page, "song.wav")
    expect(song).to_contain_text("Uploading: 42")
    expect(song).to_contain_text("0:04")
    expect(page.locator("#cost")).to_have_text("About 10 credits")
    song.get_by_role("button", name="Pause song.wav").click()
    expect(song).to_contain_text("Paused at 42")
    page.reload()
    song = row(page, "song.wav")
    expect(song).to_contain_text("Choose the file again")
    expect(song).to_contain_text("42")
    page.unroute("**/v1/uploads/*")
    choose(page, songs["song.wav"])
    expect(song).to_contain_text("Ready")
    assert Ingest.objects.count() == 1

    # Twice the same is once; what is broken is refused in words.
    choose(page, songs["song.wav"], songs["talk.wav"], songs["broken.wav"])
    expect(page.get_by_text("song.wav is in the list already.")).to_be_visible()
    expect(row(page, "talk.wav")).to_contain_text("Ready")
    broken = row(page, "broken.wav")
    expect(broken).to_have_attribute("data-state", "failed")
    expect(broken.locator(".state")).not_to_be_empty()
    expect(page.locator("#cost")).to_have_text("15 credits")
    expect(page.locator("#more")).to_contain_text("500 credits left")
    check_page(page)

    # Options change the price, and are refused in words.
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("From", exact=True).fill("soon")
    expect(page.locator("#reason")).to_contain_text("such as 1:30")
    expect(start).to_be_disabled()
    page.get_by_label("From", exact=True).fill("0:01")
    expect(page.locator("#cost")).to_have_text("10 credits")
    page.get_by_role("checkbox", name="Bass", exact=True).uncheck()
    page.get_by_role("checkbox", name="FLAC", exact=True).check()
    expect(start).to_have_text("Start 2 jobs")
    start.click()
    expect(row(page, "song.wav")).to_contain_text("Ordered")
    expect(row(page, "talk.wav")).to_contain_text("Ordered")
    expect(page.locator("#more")).to_contain_text("490 credits left")
    expect(page.get_by_role("link", name="490 credits")).to_be_visible()
    expect(page.locator("#reason")).to_contain_text("Everything here is ordered.")
    jobs = {job.asset.filename: job for job in Job.objects.select_related("asset") if job.asset}
    assert sorted(jobs) == ["song.wav", "talk.wav"]
    for job in jobs.values():
        assert job.stems == ["vocals", "drums", "other"]
        assert [job.output_format, *job.more_formats] == ["wav", "flac"]
        assert job.range_start == 44_100
    assert wallet_get(workspace=jobs["song.wav"].workspace).held_mcr == 10_000
    link = row(page, "song.wav").get_by_role("link")
    expect(link).to_have_attribute("href", f"/app/jobs/{jobs['song.wav'].uuid}")
    # Loaded anew, nothing is ordered again.
    page.reload()
    expect(row(page, "talk.wav")).to_contain_text("Ordered")
    assert Job.objects.count() == 2


def drop(page: Page, path: Path) -> None:
    page.evaluate(
        """([name, bytes]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([new Uint8Array(bytes)], name, { type: "audio/wav" }));
          for (const kind of ["dragenter", "dragover", "drop"]) {
            const event = new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
            document.body.dispatchEvent(event);
            const veil = document.getElementById("drop-veil");
            if (veil.hidden !== (kind === "drop")) throw new Error(`veil at ${kind}`);
          }
        }""",
        [path.name, list(path.read_bytes())],
    )


def paste(page: Page, text: str) -> None:
    page.evaluate(
        """(text) => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text", text);
          const event = new ClipboardEvent("paste", { clipboardData, bubbles: true });
          document.body.dispatchEvent(event);
        }""",
        text,
    )


def is_guarded(page: Page) -> bool:
    """Whether the browser would ask before it leaves the page."""
    return bool(
        page.evaluate(
            """() => {
              const event = new Event("beforeunload", { cancelable: true });
              dispatchEvent(event);
              return event.defaultPrevented;
            }"""
        )
    )


def test_nothing_is_lost_by_a_break_or_too_few_credits(
    signed_in: Page,
    person: User,
    songs: dict[str, Path],
    imports: None,
    media_server: Server,
    settings: Any,
    tmp_path: Path,
    check_page: Callable[[Page], None],
):
    settings.UPLOAD_SLICE_BYTES = 200_000
    page = signed_in
    workspace = person.memberships.get().workspace
    asset = make_asset(workspace, tmp_path, name="take 2.wav")
    # A recording that is here already, and a card that the address names.
    page.goto(f"/app/new?asset={asset.uuid}&preset=speakers")
    expect(row(page, "take 2.wav")).to_contain_text("Ready")
    expect(page.locator("#cost")).to_have_text("27.5 credits")

    drop(page, songs["lecture.wav"])
    expect(row(page, "lecture.wav")).to_contain_text("Ready")
    reason, start = page.locator("#reason"), page.locator("#start")
    expect(reason).to_contain_text("You need 577.5 credits and have 500.")
    expect(start).to_be_disabled()
    check_page(page)
    page.get_by_role("button", name="Remove lecture.wav").click()
    expect(row(page, "lecture.wav")).to_have_count(0)
    expect(start).to_be_enabled()

    # The answer to an order is lost: sent again, it is the same order.
    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/v1/jobs", lose, times=1)
    start.click()
    expect(row(page, "take 2.wav")).to_contain_text("The connection broke.")
    page.get_by_role("button", name="Try take 2.wav again").click()
    expect(row(page, "take 2.wav")).to_contain_text("Ordered")
    assert Job.objects.get().service == "speaker_extraction"
    expect(page.locator("#more")).to_contain_text("472.5 credits left")

    # What is started while it comes is ordered once it is there.
    held: list[Route] = []
    page.route("**/v1/uploads/*", lambda route: held.append(route), times=1)
    with page.expect_request("**/v1/uploads/*"):
        choose(page, songs["talk.wav"])
    expect(row(page, "talk.wav")).to_contain_text("Uploading")
    page.get_by_role("radio", name="Tempo and key").check(force=True)
    start.click()
    expect(row(page, "talk.wav")).to_contain_text("starts by itself")
    expect(start).to_be_disabled()
    assert is_guarded(page)
    held[0].continue_()
    expect(row(page, "talk.wav")).to_contain_text("Ordered")
    assert not is_guarded(page)

    # Addresses: by the tab and its keys, and by pasting.
    page.get_by_role("tab", name="File").press("ArrowRight")
    expect(page.get_by_role("tab", name="Address")).to_be_focused()
    field = page.get_by_label("Address of the recording")
    field.fill("song.wav")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("")
    page.get_by_role("heading", level=1).click()
    paste(page, f"{media_server.url}/radio%20play.wav")
    expect(row(page, "radio play.wav")).to_contain_text("Fetched when you start")
    expect(page.locator("#cost")).to_have_text("Known once the length is known")
    start.click()
    expect(row(page, "radio play.wav")).to_contain_text("Ordered")
    assert sorted(Job.objects.values_list("service", flat=True)) == [
        "analysis",
        "analysis",
        "speaker_extraction",
    ]
    # A later visit begins anew.
    page.goto("/app/new")
    expect(page.locator("#reason")).to_have_text("Add a recording first.")


def test_an_upload_waits_for_the_service_and_goes_on(
    signed_in: Page, songs: dict[str, Path], imports: None
):
    page = signed_in
    page.goto("/app/new")
    is_away = True

    def answer(route: Route) -> None:
        route.abort() if is_away else route.continue_()

    # The network is there, the service is not.
    page.route(re.compile("/livez|/v1/uploads"), answer)
    choose(page, songs["song.wav"])
    page.context.set_offline(True)
    expect(row(page, "song.wav")).to_contain_text("No connection. It goes on by itself")
    page.context.set_offline(False)
    expect(page.locator("#offline")).to_be_visible()
    is_away = False
    expect(row(page, "song.wav")).to_contain_text("Ready")
