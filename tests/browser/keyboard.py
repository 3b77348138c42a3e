"""A person without a mouse: keys only, and at each stop a look at where the focus is."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

_STOPS_AT_MOST = 90

# Where the focus is, whether one sees it there, and whether that is at the control that is wanted.
_LOOK = """(wanted) => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const box = one.getBoundingClientRect();
  const style = getComputedStyle(one);
  const isMarked = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0)
    || style.boxShadow !== "none";
  const x = Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1);
  const y = Math.min(Math.max(box.top + Math.min(box.height / 2, 20), 0), innerHeight - 1);
  const top = document.elementFromPoint(x, y);
  const isInView = box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0
    && box.left < innerWidth;
  const isSeen = isInView && top && (one.contains(top) || top.contains(one)
    || [...(one.labels ?? [])].some((label) => label.contains(top)));
  if (!one.dataset.stop) one.dataset.stop = String(document.querySelectorAll("[data-stop]").length);
  const before = window.lastStop;
  window.lastStop = one;
  const isAfter = !before?.isConnected
    || Boolean(before.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING);
  return {
    isWanted: one === wanted, isMarked, isSeen, isAfter, isOrdered: one.tabIndex <= 0,
    stop: one.dataset.stop, text: one.outerHTML.slice(0, 160),
  };
}"""


class Keyboard:
    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def tab_to(self, control: Locator, *, back: bool = False) -> None:
        """By Tab, or by Shift+Tab; each stop on the way is one that can be seen."""
        expect(control).to_be_visible()
        if is_focused(control):
            return
        for _ in range(_STOPS_AT_MOST):
            self.press("Shift+Tab" if back else "Tab")
            found = self._checked(control.evaluate(_LOOK))
            if found and found["isWanted"]:
                return
        raise AssertionError(f"not reached by {_STOPS_AT_MOST} tabs: {control}")

    def enter(self, control: Locator) -> None:
        self.tab_to(control)
        self.press("Enter")

    def write(self, control: Locator, text: str) -> None:
        self.tab_to(control)
        self.type(text)

    def look(self) -> dict[str, Any] | None:
        return self._checked(self.page.evaluate(_LOOK))

    def _checked(self, found: dict[str, Any] | None) -> dict[str, Any] | None:
        if found:
            wrong = [name for name in ("isMarked", "isSeen", "isOrdered") if not found[name]]
            assert wrong == [], found["text"]
        return found

    def tab_around(self) -> list[str]:
        """From the top of the page to its end, and out of it: all that was stopped at."""
        stops: list[str] = []
        for _ in range(_STOPS_AT_MOST * 2):
            self.press("Tab")
            found = self.look()
            if found is None or found["stop"] in stops[:1]:
                return stops
            assert found["stop"] not in stops, f"came to it twice: {found['text']}"
            assert not stops or found["isAfter"], f"out of order: {found['text']}"
            stops.append(found["stop"])
        raise AssertionError("there is no way out")


def is_focused(control: Locator) -> bool:
    return bool(control.evaluate("(one) => one === document.activeElement"))
