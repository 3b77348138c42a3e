"""The pages for everybody, in a real browser: heard, searched, read."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.makers import make_prices, make_shop

pytestmark = pytest.mark.django_db(transaction=True)

# Every sound of the page goes through here on its way to the loudspeakers. It runs before the
# page's own scripts; nothing that it does counts as a gesture of a person.
_LISTEN = """
const connect = AudioNode.prototype.connect;
window.heard = [];
AudioNode.prototype.connect = function (target, ...rest) {
  if (target === this.context.destination && this.context instanceof AudioContext) {
    const analyser = new AnalyserNode(this.context, { fftSize: 32768 });
    connect.call(this, analyser);
    window.heard.push(analyser);
  }
  return connect.call(this, target, ...rest);
};
window.loudness = () => window.heard.map((analyser) => {
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  return Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
}).reduce((most, one) => Math.max(most, one), 0);
"""


@pytest.fixture
def prices(transactional_db: None) -> None:
    make_prices()
    make_shop()


def wait_for_loudness(page: Page, is_right: Callable[[float], bool]) -> None:
    """Not wait_for_function, which the page's policy refuses."""
    loudness = -1.0
    for _ in range(75):
        loudness = page.evaluate("window.loudness()")
        if is_right(loudness):
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"it is at {loudness}")


def test_the_demo_is_heard_after_one_click(page: Page, prices: None):
    page.add_init_script(_LISTEN)
    page.goto("/")
    player = page.locator("stem-player")
    expect(player.get_by_text("Vocals", exact=True)).to_be_visible()
    assert page.evaluate("window.heard.length && window.loudness()") == 0
    player.locator("[data-do=play]").click()
    wait_for_loudness(page, lambda loudness: loudness > 0.02)
    for name in ("Vocals", "Drums", "Bass", "Other"):
        player.get_by_role("button", name=f"Mute {name}").click()
    wait_for_loudness(page, lambda loudness: loudness < 0.001)
    player.get_by_role("button", name="Solo Bass").click()
    wait_for_loudness(page, lambda loudness: loudness > 0.005)


def test_the_price_is_computed_while_one_types(page: Page, prices: None):
    page.goto("/")
    expect(page.locator("#calculator-result")).to_contain_text("600 credits")
    page.get_by_label("Minutes of audio").fill("10")
    expect(page.locator("#calculator-result")).to_contain_text("1,500 credits")


def test_the_documentation_is_searched_by_keyboard(page: Page, db: Any):
    page.goto("/docs/")
    field = page.get_by_role("searchbox", name="Search the documentation")
    field.fill("webhook signature")
    results = page.locator("[data-results] a")
    expect(results.first).to_contain_text("Webhooks")
    field.press("ArrowDown")
    expect(results.first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("[data-results]")).to_be_hidden()
    expect(field).to_be_focused()
    field.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("webhook signature")
    page.locator(".docs-found a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Webhooks")


def test_the_language_of_code_is_kept(page: Page, db: Any):
    page.goto("/docs/quickstart")
    expect(page.get_by_role("tabpanel", name="curl")).to_be_visible()
    page.get_by_role("tab", name="curl").press("ArrowRight")
    expect(page.get_by_role("tab", name="Python")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="curl")).to_be_hidden()
    page.goto("/")
    expect(page.get_by_role("tabpanel", name="Python")).to_be_visible()
    expect(page.get_by_role("tabpanel", name="curl")).to_be_hidden()


def test_without_scripts_everything_can_be_read(chromium: Any, live_server: Any, prices: None):
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/docs/quickstart")
    expect(page.locator("figure.code")).to_have_count(3)
    for figure in page.locator("figure.code").all():
        expect(figure).to_be_visible()
    page.goto("/")
    expect(page.locator("stem-player audio")).to_be_visible()
    page.get_by_label("Minutes of audio").fill("10")
    page.get_by_role("button", name="Calculate").click()
    expect(page.locator("#calculator-result")).to_contain_text("1,500 credits")
    context.close()


def test_the_menu_of_the_documentation_opens_where_it_is_narrow(page: Page, db: Any):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/docs/jobs")
    pages = page.get_by_role("navigation", name="Documentation")
    expect(pages).to_be_hidden()
    page.get_by_role("button", name="All pages and search").click()
    pages.get_by_role("link", name="Uploads").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Uploads")
