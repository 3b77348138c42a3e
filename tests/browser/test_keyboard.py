"""The whole way by keyboard alone: nothing is clicked, and nothing gets the focus but by Tab."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from playwright.sync_api import Page, expect

from jobs.delivering import messages_deliver
from jobs.derived_work import run_next_derived
from jobs.ingesting import run_next_ingest
from jobs.runner import run_next_job
from tests.browser.keyboard import Keyboard, is_focused
from tests.browser.workers import working
from tests.fakes.receiver import Receiver, receiver
from tests.makers import PASSWORD, make_prices, make_wav

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("fake_separation"),
]

# All that Tab should stop at: of a group of radios one, and nothing that is not to be seen.
_TABBABLE = """() => {
  const all = document.querySelectorAll(
    "a[href], button, input, select, textarea, summary, audio, [tabindex]"
  );
  const isShown = (one) => one.checkVisibility({ visibilityProperty: true });
  return [...all].filter((one) => one.tabIndex >= 0 && !one.disabled && isShown(one)).length;
}"""


@pytest.fixture(autouse=True)
def _service(transactional_db: None, settings: Any, live_server: Any) -> None:
    cache.clear()
    make_prices()
    settings.SITE_URL = live_server.url
    settings.WELCOME_CREDITS = 100


@pytest.fixture
def keys(page: Page) -> Keyboard:
    return Keyboard(page)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    path.write_bytes(make_wav(seconds=12))
    return path


@pytest.fixture
def server(settings: Any) -> Iterator[Receiver]:
    with receiver(settings) as server:
        yield server


def test_the_whole_way_by_keyboard(keys: Keyboard, song: Path, server: Receiver):
    sign_up(keys)
    order(keys, song)
    wait_with_the_focus_on_the_page(keys)
    play(keys)
    mix_down(keys)
    download(keys)
    share(keys)
    open_and_close_menus(keys)
    make_and_revoke_a_key(keys)
    follow_a_delivery(keys, server)


def sign_up(keys: Keyboard) -> None:
    page = keys.page
    page.goto("/")
    # Past what is on every page.
    keys.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    assert is_focused(skip)
    expect(skip).to_be_in_viewport()
    keys.press("Enter", "Tab")
    assert is_focused(page.get_by_role("link", name="Start with 100 free credits"))
    keys.press("Enter")
    keys.write(page.get_by_label("Email"), "alice@example.org")
    keys.write(page.get_by_label("Password", exact=True), PASSWORD)
    keys.write(page.get_by_label("Password (again)"), PASSWORD)
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm your e-mail address")
    found = re.search(r"http://\S+", str(mail.outbox[-1].body))
    assert found
    page.goto(found[0])
    keys.enter(page.get_by_role("button", name="Confirm"))


def order(keys: Keyboard, song: Path) -> None:
    page = keys.page
    # So that Chromium knows in time that its own dialog is not wanted: keys are quick.
    page.on("filechooser", lambda _: None)
    keys.enter(page.get_by_role("link", name="Take the first recording apart"))
    # From one way in to the other and back, and the focus goes along.
    keys.tab_to(page.get_by_role("tab", name="File"))
    keys.press("ArrowRight")
    assert is_focused(page.get_by_role("tab", name="Address"))
    keys.press("ArrowLeft")
    keys.tab_to(page.get_by_role("button", name="Choose files"))
    with page.expect_file_chooser() as chooser:
        keys.press("Enter")
    with working(run_next_ingest):
        chooser.value.set_files(song)
        expect(page.locator("#cost")).to_have_text("30 credits")
    # Presets are one stop; arrows choose.
    keys.tab_to(page.get_by_role("radio", name="4 stems"))
    keys.press("ArrowDown")
    expect(page.get_by_role("radio", name="Vocals and instrumental")).to_be_checked()
    keys.press("ArrowUp")
    keys.tab_to(page.locator("#options > summary"))
    keys.press("Enter")
    keys.write(page.get_by_label("To", exact=True), "0:10")
    expect(page.locator("#cost")).to_have_text("25 credits")
    keys.tab_to(page.locator("#start"))
    keys.press("Space")
    row = page.get_by_role("list", name="Recordings").get_by_role("listitem")
    expect(row).to_contain_text("Ordered")
    keys.tab_to(row.get_by_role("link", name="Open"), back=True)
    keys.press("Enter")


def wait_with_the_focus_on_the_page(keys: Keyboard) -> None:
    """What is in the place of the progress at the end gets the focus that was in it."""
    page = keys.page
    keys.tab_to(page.get_by_role("button", name="Cancel"))
    with working(run_next_job, run_next_derived):
        expect(page.get_by_role("link", name="Download Vocals: WAV 16")).to_be_visible()
        expect(page.get_by_role("button", name="Mute Vocals")).to_be_visible()
    assert is_focused(page.locator("main"))


def play(keys: Keyboard) -> None:
    page = keys.page
    keys.enter(page.get_by_role("button", name="Play"))
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    keys.press("Space")
    keys.tab_to(page.get_by_role("button", name="Mute Vocals"))
    keys.press("Space")
    expect(page.get_by_role("button", name="Mute Vocals")).to_have_attribute("aria-pressed", "true")
    keys.press("Tab", "Enter")
    expect(page.get_by_role("button", name="Solo Vocals")).to_have_attribute("aria-pressed", "true")
    keys.tab_to(page.get_by_role("slider", name="Volume of Vocals"))
    keys.press("Home")
    expect(page.get_by_role("slider", name="Volume of Vocals")).to_have_value("0")
    # The rest without looking for it.
    keys.press("Shift+Tab", "Shift+Digit1", "1")
    expect(page.get_by_role("button", name="Solo Vocals")).to_have_attribute(
        "aria-pressed", "false"
    )
    keys.tab_to(page.get_by_role("slider", name="Position"), back=True)
    keys.press("Home", "Shift+ArrowRight", "i", "ArrowRight", "o")
    expect(page.get_by_label("Loop start")).to_have_value("0:01.00")
    expect(page.get_by_label("Loop end")).to_have_value("0:06.00")
    assert page.evaluate("document.querySelector('stem-player').position") == 1
    keys.press("?")
    expect(page.get_by_role("dialog", name="Keys of the player")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("slider", name="Position")).to_be_focused()


def mix_down(keys: Keyboard) -> None:
    """A dialog keeps the focus while it is open, and gives it back."""
    page = keys.page
    opener = page.get_by_role("button", name="Export mix")
    keys.tab_to(opener, back=True)
    keys.press("Enter")
    dialog = page.get_by_role("dialog", name="Export mix")
    expect(dialog).to_be_visible()
    for _ in range(8):
        keys.press("Tab")
        found = keys.look()
        assert found is None or page.evaluate(
            "Boolean(document.activeElement.closest('dialog[open]'))"
        )
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    assert is_focused(opener)


def download(keys: Keyboard) -> None:
    page = keys.page
    keys.tab_to(page.get_by_role("link", name="Download Vocals: WAV 16"))
    with page.expect_download() as waiting:
        keys.press("Enter")
    assert waiting.value.suggested_filename == "song (vocals).wav"


def share(keys: Keyboard) -> None:
    page = keys.page
    keys.enter(page.get_by_role("button", name="Make a link"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Your link")
    keys.enter(page.get_by_role("link", name="Done"))
    expect(page.get_by_role("button", name="Mute Vocals")).to_be_visible()
    # All of the page, its end, and out of it.
    n_stops = len(keys.tab_around())
    assert n_stops == page.evaluate(_TABBABLE)


def open_and_close_menus(keys: Keyboard) -> None:
    page = keys.page
    keys.enter(page.get_by_role("link", name="Jobs", exact=True).first)
    for opener, first in (
        (
            page.get_by_role("button", name="Account and workspaces"),
            page.locator("#account-menu button").first,
        ),
        (
            page.get_by_role("button", name="Actions for song.wav"),
            page.get_by_role("link", name="Open", exact=True),
        ),
    ):
        keys.enter(opener)
        expect(first).to_be_focused()
        keys.press("Escape")
        expect(first).to_be_hidden()
        expect(opener).to_be_focused()


def make_and_revoke_a_key(keys: Keyboard) -> None:
    page = keys.page
    keys.tab_to(page.get_by_role("link", name="API keys"), back=True)
    keys.press("Enter")
    keys.enter(page.get_by_role("link", name="Make the first key"))
    keys.write(page.get_by_label("Name", exact=True), "CI")
    keys.press("Enter")
    keys.enter(page.get_by_role("link", name="I have stored it"))
    revoke = page.get_by_role("link", name="Revoke")
    keys.enter(revoke)
    expect(page.get_by_role("dialog")).to_be_visible()
    keys.press("Escape")
    expect(revoke).to_be_focused()
    keys.press("Enter")
    keys.enter(page.get_by_role("dialog").get_by_role("button", name="Revoke the key"))
    expect(page.get_by_text("“CI” was revoked.")).to_be_visible()


def follow_a_delivery(keys: Keyboard, server: Receiver) -> None:
    """What changes by itself leaves the focus where it is."""
    page = keys.page
    keys.enter(page.get_by_role("link", name="Webhooks"))
    keys.enter(page.get_by_role("link", name="Add the first webhook"))
    keys.write(page.get_by_role("textbox", name="Address"), f"{server.url}/in")
    keys.press("Enter")
    keys.enter(page.get_by_role("link", name="I have stored it"))
    keys.enter(page.get_by_role("button", name="Send a test event"))
    keys.enter(page.get_by_role("link", name="127.0.0.1"))
    delivery = page.get_by_role("link", name="webhook.test")
    keys.tab_to(delivery)
    messages_deliver()
    expect(page.get_by_role("row").filter(has_text="webhook.test")).to_contain_text("Delivered")
    assert is_focused(delivery)
