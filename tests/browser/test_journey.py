"""A person's whole way: from the start page to stems, shared and called by a program, and on to the
operator who gives credits and gives them back. With the real engine, real files and real networks.
"""

import io
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile
from allauth.mfa.totp.internal.auth import TOTP
from django.core import mail
from django.core.cache import cache
from playwright.sync_api import Browser, Download, Page, expect

from accounts.operators import operator_set
from billing.selectors import ledger_discrepancies
from jobs.delivering import messages_deliver
from jobs.derived_work import run_next_derived
from jobs.heartbeat import Heartbeat
from jobs.ingesting import run_next_ingest
from jobs.runner import run_next_job
from tests.api.real import music, real_engine
from tests.browser.audio import hear, loudness, record
from tests.browser.axe import WIDE
from tests.browser.test_console import SECRET
from tests.browser.workers import working
from tests.fakes.receiver import Receiver, receiver
from tests.makers import PASSWORD, make_code, make_prices, make_user

pytestmark = pytest.mark.django_db(transaction=True)

ALICE = "alice@example.org"
SONG = "Low Tide.wav"
SECONDS = 6
STEMS = ["Vocals", "Drums", "Bass", "Other"]
# Each state that the page has shown.
_NOTE_STAGES = """() => {
  const stage = () => document.querySelector("[data-job] h2")?.innerText;
  window.stages = [stage()];
  new MutationObserver(() => {
    if (stage() && stage() !== window.stages.at(-1)) window.stages.push(stage());
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""
WORK = (run_next_ingest, run_next_job, run_next_derived, messages_deliver)


@pytest.fixture(autouse=True)
def _service(
    transactional_db: None, settings: Any, live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """As an operator has set it up."""
    cache.clear()
    make_prices()
    settings.SITE_URL = live_server.url
    settings.WELCOME_CREDITS = 100
    # The recorder of tests/browser/audio.py is there.
    settings.ROOT_URLCONF = "tests.fakes.player_urls"
    with real_engine(monkeypatch):
        yield


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / SONG
    path.write_bytes(music(seconds=SECONDS))
    return path


@pytest.fixture
def server(settings: Any) -> Iterator[Receiver]:
    """Of Alice's own, which is told of her jobs."""
    with receiver(settings) as server:
        yield server


@pytest.fixture
def second_browser(chromium: Browser, live_server: Any) -> Iterator[Page]:
    """Of somebody else, who is not signed in."""
    context = chromium.new_context(base_url=live_server.url, viewport=WIDE, locale="en-GB")
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def test_the_way_of_a_person_and_a_song(
    page: Page,
    second_browser: Page,
    song: Path,
    server: Receiver,
    live_server: Any,
    monkeypatch: pytest.MonkeyPatch,
):
    sign_up(page)
    send_the_song(page, song)
    with held_at("separate", monkeypatch) as let_go:
        see_it_being_worked_on(page, let_go)
    with working(*WORK):
        play_it(page)
        download_it(page)
        link = share_it(page)
    listen_without_an_account(second_browser, link)

    key = make_a_key(page)
    secret = make_a_webhook(page, server)
    with working(*WORK):
        order_by_program(key, live_server.url)
        see_what_was_delivered(page, server, secret)

    enter_the_console(second_browser)
    grant_credits(second_browser)
    refund_the_song(second_browser)
    see_it_in_the_ledger(page)
    assert ledger_discrepancies() == []


def sign_up(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Start with 100 free credits").click()
    page.get_by_label("Email").fill(ALICE)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_role("button", name="Sign Up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm your e-mail address")
    [message] = mail.outbox
    assert message.to == [ALICE]
    found = re.search(r"http://\S+", str(message.body))
    assert found
    page.goto(found[0])
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", level=2, name="First steps")).to_be_visible()
    expect(page.get_by_role("link", name="100 credits")).to_be_visible()


def send_the_song(page: Page, song: Path) -> None:
    page.get_by_role("link", name="Take the first recording apart").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    with working(run_next_ingest):
        chooser.value.set_files(song)
        row = page.get_by_role("list", name="Recordings").get_by_role("listitem")
        expect(row).to_contain_text("Ready")
    expect(row).to_contain_text("0:06")
    expect(page.locator("#cost")).to_have_text("15 credits")
    expect(page.locator("#more")).to_contain_text("100 credits left")
    page.get_by_role("button", name="Start").click()
    expect(row).to_contain_text("Ordered")
    expect(page.get_by_role("link", name="85 credits")).to_be_visible()
    row.get_by_role("link", name="Open").click()


@contextmanager
def held_at(held_step: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A job stays in a step until what this gives is called, so that it can be looked at."""
    is_seen = threading.Event()
    report = Heartbeat.report

    def held(self: Heartbeat, progress: float, *, step: str = "") -> None:
        report(self, progress, step=step)
        if step == held_step:
            is_seen.wait(60)

    with monkeypatch.context() as patched:
        patched.setattr(Heartbeat, "report", held)
        try:
            yield is_seen.set
        finally:
            is_seen.set()


def see_it_being_worked_on(page: Page, let_go: Callable[[], None]) -> None:
    """By the stream of events: the page is not loaded anew."""
    expect(page.get_by_role("heading", level=1)).to_have_text(SONG)
    expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
    page.evaluate(_NOTE_STAGES)
    with working(run_next_job):
        expect(page.get_by_role("heading", name=re.compile("^Separating"))).to_be_visible()
        let_go()
        expect(page.get_by_role("link", name="Download Vocals: WAV 16")).to_be_visible()
    expect(page.locator("#live-said")).to_have_text(f"{SONG}: Done")
    stages = page.evaluate("window.stages")
    assert (stages[0], stages[-1]) == ("In the queue", "Done")


def play_it(page: Page) -> None:
    page.get_by_role("button", name="Play").click()
    wait_for(page, "player.engine.playing && !player.engine.waiting && player.position > 0.3")
    record(page, [*lanes(page), None])

    # Each of the lanes sounds, and together they are the song.
    everything = listen(page)
    assert min(everything) > 0.0005

    page.get_by_role("button", name="Mute Vocals").click()
    muted = listen(page)
    assert muted[0] == 0
    assert min(muted[1:]) > 0
    page.get_by_role("button", name="Solo Bass").click()
    alone = listen(page)
    assert [lane > 0 for lane in alone] == [False, False, True, False, True]
    page.get_by_role("button", name="Solo Bass").click()
    page.get_by_role("button", name="Mute Vocals").click()

    # A loop is played again and again.
    page.get_by_label("Loop start").fill("0:02")
    page.get_by_label("Loop end").fill("0:03")
    page.get_by_label("Loop end").press("Enter")
    expect(page.get_by_role("button", name="Loop", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    for _ in range(2):
        wait_for(page, "player.position > 2.7 && player.position < 3")
        wait_for(page, "player.position >= 2 && player.position < 2.4")
    page.get_by_role("button", name="Clear the loop").click()

    page.get_by_role("button", name="Pause").click()
    page.get_by_role("slider", name="Position").press("Home")
    page.get_by_role("slider", name="Position").press("ArrowRight")
    assert position(page) == 5
    page.get_by_role("button", name="Play").click()
    wait_for(page, "player.position > 5.2")
    page.get_by_role("button", name="Pause").click()


def download_it(page: Page) -> None:
    with page.expect_download() as download:
        page.get_by_role("link", name="Download Vocals: WAV 16").click()
    assert download.value.suggested_filename == "Low Tide (vocals).wav"
    assert frames(contents(download.value)) == SECONDS * 44_100
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    assert download.value.suggested_filename == "Low Tide.zip"
    with zipfile.ZipFile(io.BytesIO(contents(download.value))) as archive:
        assert archive.testzip() is None
        audio = [name for name in archive.namelist() if name.endswith(".wav")]
        assert audio == [f"Low Tide ({stem.lower()}).wav" for stem in STEMS]
        assert {frames(archive.read(name)) for name in audio} == {SECONDS * 44_100}


def share_it(page: Page) -> str:
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your link")
    link = page.locator("#share-link").inner_text()
    page.get_by_role("link", name="Done").click()
    return link


def listen_without_an_account(page: Page, link: str) -> None:
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Low Tide")
    expect(page.get_by_role("button", name="Mute Other")).to_be_visible()
    page.get_by_role("button", name="Play").click()
    wait_for(page, "player.position > 0.2")
    page.get_by_role("button", name="Pause").click()
    # Nothing else is open.
    assert page.request.get("/app/jobs", max_redirects=0).status == 302


def make_a_key(page: Page) -> str:
    page.get_by_role("link", name="API keys").click()
    page.get_by_role("link", name="Make the first key").click()
    page.get_by_label("Name", exact=True).fill("Archive")
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("#secret").inner_text()
    page.get_by_role("link", name="I have stored it").click()
    return key


def make_a_webhook(page: Page, server: Receiver) -> str:
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_role("link", name="Add the first webhook").click()
    page.get_by_role("textbox", name="Address").fill(f"{server.url}/in")
    page.get_by_role("button", name="Make the webhook").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_role("link", name="I have stored it").click()
    return secret


def order_by_program(key: str, url: str) -> None:
    with httpx.Client(base_url=url, headers={"X-API-Key": key}, trust_env=False) as http:
        [song] = http.get("/v1/jobs").json()["results"]
        order = {"asset": song["asset"], "service": "analysis"}
        answer = http.post("/v1/jobs", json=order)
        assert answer.status_code == 201, answer.text


def see_what_was_delivered(page: Page, server: Receiver, secret: str) -> None:
    """The page of the webhook follows by itself."""
    page.reload()
    expect(page.get_by_role("row").filter(has_text="job.succeeded")).to_contain_text("Delivered")
    [told] = [one.verify(secret) for one in server.received]
    assert (told["type"], told["data"]["service"]) == ("job.succeeded", "analysis")
    page.get_by_role("link", name="job.succeeded").click()
    expect(page.get_by_text("Try 1")).to_be_visible()
    expect(page.get_by_text("200", exact=True)).to_be_visible()


def enter_the_console(page: Page) -> None:
    user = make_user("olga@example.org")
    TOTP.activate(user, SECRET)
    operator_set(email=user.email, is_operator=True)
    page.goto("/console/")
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign In", exact=True).click()
    page.get_by_label("Code").fill(make_code(SECRET))
    page.locator("main").get_by_role("button", name="Sign In", exact=True).click()
    page.get_by_label("Find anything").fill(ALICE)
    page.get_by_role("main").get_by_role("button", name="Search").click()
    page.get_by_role("link", name="alice's workspace").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("alice's workspace")


def grant_credits(page: Page) -> None:
    page.get_by_role("link", name="Adjust credits").click()
    page.get_by_label("Credits", exact=True).fill("25")
    page.get_by_label("Reason", exact=True).fill("The outage on Monday")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Book it").click()
    expect(page.get_by_role("row").filter(has_text="The outage on Monday").first).to_be_visible()


def refund_the_song(page: Page) -> None:
    page.get_by_role("row").filter(has_text="0:06").last.get_by_role("link").first.click()
    page.get_by_role("link", name="Refund").click()
    page.get_by_label("Reason", exact=True).fill("Bleed in the vocals")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Book it").click()
    expect(page.get_by_role("row").filter(has_text="Bleed in the vocals").first).to_be_visible()


def see_it_in_the_ledger(page: Page) -> None:
    page.get_by_role("link", name="Credits", exact=True).click()
    lines = page.get_by_role("table", name="Ledger").get_by_role("row")
    expect(lines).to_have_count(6)
    for line, words in enumerate(
        (
            ("Bleed in the vocals", "+15", "124.4"),
            ("The outage on Monday", "+25", "109.4"),
            ("Low Tide.wav", "-0.6", "84.4"),
            ("Low Tide.wav", "-15", "85"),
            ("100", "100"),
        ),
        start=1,
    ):
        for word in words:
            expect(lines.nth(line)).to_contain_text(word)


def lanes(page: Page) -> list[str | None]:
    ids: list[str | None] = page.evaluate(
        "document.querySelector('stem-player').manifest.lanes.map((lane) => lane.id)"
    )
    return ids


def listen(page: Page) -> list[float]:
    """How loud each lane is, and all of them together, once what was pressed is heard."""
    page.get_by_role("slider", name="Position").press("Home")
    wait_for(page, "player.engine.playing && !player.engine.waiting && player.position > 0.1")
    page.wait_for_timeout(200)
    return loudness(hear(page, len(STEMS) + 1, 0.5))


def position(page: Page) -> float:
    return float(page.evaluate("document.querySelector('stem-player').position"))


def wait_for(page: Page, what: str) -> None:
    page.wait_for_function(
        f"() => {{ const player = document.querySelector('stem-player'); return {what}; }}"
    )


def contents(download: Download) -> bytes:
    return Path(download.path()).read_bytes()


def frames(audio: bytes) -> int:
    return len(soundfile.read(io.BytesIO(audio))[0])
