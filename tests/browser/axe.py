"""What axe finds on a page: by all its rules, wide and narrow, and in the dark, by those whose
answer depends on colours. Nothing is to stick out at the side."""

from typing import Any, Final, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

Scheme = Literal["light", "dark"]
WIDE: Final[ViewportSize] = {"width": 1280, "height": 900}
NARROW: Final[ViewportSize] = {"width": 360, "height": 740}
# What WCAG 2.2 AA asks for, and what axe's authors advise besides.
_ALL: Final = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
_OF_COLOURS: Final = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
# Where it is narrow, there are other parts, and less room; in the dark, only other colours.
_LOOKS: Final[tuple[tuple[Scheme, ViewportSize, dict[str, Any]], ...]] = (
    ("light", WIDE, _ALL),
    ("dark", WIDE, _OF_COLOURS),
    ("dark", NARROW, _OF_COLOURS),
    ("light", NARROW, _ALL),
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
_RUN: Final = """async (runOnly) => {
  const found = await axe.run({ runOnly, resultTypes: ["violations"], preload: false });
  return found.violations.map(({ id, help, nodes }) => {
    const three = nodes.slice(0, 3).map((node) => `${node.target}: ${node.html.slice(0, 200)}`);
    return `${id}: ${help}: ${nodes.length}: ${three.join(" | ")}`;
  });
}"""


def problems_of(page: Page) -> list[str]:
    """Light and dark, wide and narrow."""
    found = []
    for scheme, size, rules in _LOOKS:
        look(page, scheme, size)
        found += _run(page, rules) + sideways(page)
    look(page, "light", WIDE)
    return found


def colour_problems_of(page: Page) -> list[str]:
    """As it looks now."""
    return _run(page, _OF_COLOURS)


def look(page: Page, scheme: Scheme, size: ViewportSize) -> None:
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


def _run(page: Page, only: dict[str, Any]) -> list[str]:
    # Half a megabyte: once for each page that is loaded.
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found: list[str] = page.evaluate(_RUN, only)
    assert page.viewport_size is not None
    return [f"{page.url} {page.viewport_size['width']}: {one}" for one in found]
