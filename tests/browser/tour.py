"""A way through many pages, that finds on each what would keep somebody from using it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings as configured
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.browser.axe import WIDE, problems_of, sideways

# 1280 px at 400 %: all of a page is to be had without scrolling sideways.
_REFLOWED: Final[ViewportSize] = {"width": 320, "height": 256}
# What WCAG 1.4.12 lets a reader set; as a sheet of the document, since the policy lets no style in.
_SPACED: Final = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important;
    word-spacing: .16em !important; } p { margin-block-end: 2em !important; }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}"""
# Text whose box is too small for it. What is cut on purpose ends in an ellipsis, or is for ears.
# What gives a box its size by a script (the tables of Unfold) does so some frames later.
_CUT: Final = """async () => {
  const isCut = (element) => {
    const style = getComputedStyle(element);
    const isClipped = ["hidden", "clip"].includes(style.overflowY) && style.clipPath === "none";
    return isClipped && style.textOverflow !== "ellipsis" && element.innerText?.trim()
      && element.checkVisibility() && element.scrollHeight > element.clientHeight + 2;
  };
  let cut = [...document.querySelectorAll("body *")].filter(isCut);
  for (let frame = 0; cut.length && frame < 60; frame++) {
    await new Promise((done) => { requestAnimationFrame(done); });
    cut = cut.filter(isCut);
  }
  return cut.map((element) => element.outerHTML.slice(0, 160));
}"""
_MOVING: Final = """() => document.getAnimations().filter((one) =>
  one.effect?.getComputedTiming().activeDuration > 0).map((one) => one.effect.target?.outerHTML)"""
# Below each of these is one thing in several states, by the same title.
_ONE_THING: Final = (
    "/account/confirm-email/",
    "/account/password/reset/key/",
    "/app/invoices",
    "/invitations/",
)
_OPEN_ALL: Final = "document.querySelectorAll('details').forEach((one) => { one.open = true })"


class Tour:
    """Each page is seen twice: as it is, and in German by somebody who needs it large."""

    def __init__(self, plain: Page, large: Page) -> None:
        self.plain, self.large = plain, large
        self.found: list[str] = []
        self._titles: dict[str, str] = {}

    def visit(self, path: str, *, status: int = 200) -> None:
        self.open(path, status=status)
        self.look_at()
        self.open(path, status=status, page=self.large)
        self.look_large()

    def open(self, path: str, *, status: int = 200, page: Page | None = None) -> None:
        page = page or self.plain
        response = page.goto(path)
        assert response is not None
        assert response.status == status, path
        players = page.locator("stem-player")
        if players.count():
            expect(page.locator("stem-player[data-ready]").first).to_be_visible()
        page.evaluate(_OPEN_ALL)

    def look_at(self) -> None:
        page = self.plain
        self.found += problems_of(page)
        self._expect(page, page.locator("html").get_attribute("lang") == "en", "not in English")
        self._expect(page, page.evaluate(_MOVING) == [], "moves all the same")
        title, path = page.title(), urlsplit(page.url).path
        address = next((one for one in _ONE_THING if path.startswith(one)), path)
        other = self._titles.setdefault(title, address)
        self._expect(page, other == address, f"has the title of {other}: {title}")

    def look_large(self) -> None:
        page = self.large
        self._expect(page, page.locator("html").get_attribute("lang") == "de", "not in German")
        page.evaluate(_SPACED)
        self.found += sideways(page)
        cut = page.evaluate(_CUT)
        self._expect(page, cut == [], f"text is cut: {cut}")

    def _expect(self, page: Page, is_right: bool, problem: str) -> None:
        if not is_right:
            self.found.append(f"{page.url}: {problem}")


@contextmanager
def tour_of(browser: Browser, address: str, client: Client | None = None) -> Iterator[Tour]:
    """With the session of `client`."""
    contexts = [
        browser.new_context(base_url=address, viewport=WIDE, locale="en-GB"),
        browser.new_context(base_url=address, viewport=_REFLOWED, locale="de-DE"),
    ]
    for context in contexts:
        context.set_default_timeout(60_000)
        if client is not None:
            sign_in_as(context, client, address)
    tour = Tour(*(context.new_page() for context in contexts))
    yield tour
    for context in contexts:
        context.close()
    assert tour.found == [], "\n".join(tour.found)


def sign_in_as(context: BrowserContext, client: Client, address: str) -> None:
    name = configured.SESSION_COOKIE_NAME
    cookie: Any = {"name": name, "value": client.cookies[name].value, "url": address}
    context.add_cookies([cookie])
