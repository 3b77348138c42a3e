"""What axe finds on a page: all its rules where everything is visible, and after that, as colours
and width change, only those whose answer depends on how things look."""

from typing import Any, Final, Literal

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, ViewportSize

WIDE: Final[ViewportSize] = {"width": 1280, "height": 900}
NARROW: Final[ViewportSize] = {"width": 360, "height": 740}
# What WCAG 2.2 AA asks for, and what axe's authors advise besides.
_ALL: Final = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
_OF_COLOURS: Final = ["color-contrast", "link-in-text-block"]
_OF_WIDTH: Final = ["target-size", "scrollable-region-focusable"]
# The page is loaded once: what is hidden where it is wide and shown where it is narrow is the menu
# of each frame, of which one page has all there is (`is_thorough`).
_LOOKS: Final[tuple[tuple[Literal["light", "dark"], ViewportSize, list[str]], ...]] = (
    ("dark", WIDE, _OF_COLOURS),
    ("dark", NARROW, _OF_COLOURS),
    ("light", NARROW, [*_OF_COLOURS, *_OF_WIDTH]),
)
# The innermost elements that end beyond the window, unless they can be scrolled to inside of it.
_BEYOND: Final = """() => {
  const isInside = (one) => {
    for (let box = one.parentElement; box; box = box.parentElement) {
      if (box !== document.body && getComputedStyle(box).overflowX !== "visible") return true;
    }
    return false;
  };
  const isOut = (one) => one.getBoundingClientRect().right > innerWidth + 0.5;
  const out = [...document.querySelectorAll("body *")].filter((one) =>
    one.checkVisibility() && isOut(one) && !isInside(one));
  return out.filter((one) => !out.some((other) => one !== other && one.contains(other)))
    .slice(0, 3).map((one) => one.outerHTML.slice(0, 120));
}"""
_RUN: Final = """async ([context, runOnly]) => {
  const found = await axe.run(context, {
    runOnly, resultTypes: ["violations"], preload: false, rules: {},
  });
  return found.violations.map(({ id, help, nodes }) => {
    const three = nodes.slice(0, 3).map((node) => `${node.target}: ${node.html.slice(0, 200)}`);
    return `${id}: ${help}: ${nodes.length}: ${three.join(" | ")}`;
  });
}"""


def problems_of(page: Page, *, without: list[str] | None = None) -> list[str]:
    """Light and dark, wide and narrow. What `without` selects is left out."""
    look(page, "light", WIDE)
    found = _run(page, _ALL, without)
    for scheme, size, rules in _LOOKS:
        look(page, scheme, size)
        found += _run(page, {"type": "rule", "values": rules}, without)
        found += sideways(page)
    look(page, "light", WIDE)
    return found


def look(page: Page, scheme: Literal["light", "dark"], size: ViewportSize) -> None:
    if page.viewport_size != size:
        page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    # What listens for it has heard of it.
    page.evaluate("new Promise((done) => { requestAnimationFrame(done); })")


def sideways(page: Page) -> list[str]:
    """Whether something sticks out at the side, so that one would have to scroll there."""
    assert page.viewport_size is not None
    room, width = page.viewport_size["width"], page.evaluate("document.documentElement.scrollWidth")
    if width <= room:
        return []
    return [f"{page.url}: {width} px wide at {room}: {page.evaluate(_BEYOND)}"]


def _run(page: Page, only: dict[str, Any], without: list[str] | None) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    context = {"exclude": [[selector] for selector in without or []]}
    found: list[str] = page.evaluate(_RUN, [context, only])
    size = page.viewport_size
    assert size is not None
    where = f"{page.url} {size['width']}"
    return [f"{where}: {one}" for one in found]
