"""What is shown while something goes on: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from tqdm import tqdm


class Screen:
    """Writes to standard error. Used as a context, it leaves no half-drawn bar behind."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._is_terminal = sys.stderr.isatty()
        self._bar: tqdm[Any] | None = None
        self._title = ""
        self._said = -1
        # How to go on if this ends now.
        self.hint = ""

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end_bar()

    def say(self, text: str) -> None:
        if not self._is_quiet:
            self._end_bar()
            self._line(text)

    def error(self, text: str) -> None:
        self._end_bar()
        self._line(f"stemwright: {text}")

    def progress(self, title: str, done: float, total: float, *, is_bytes: bool = False) -> None:
        """How far `title` has come. Another title ends the bar of the former."""
        if self._is_quiet:
            return
        if self._is_terminal:
            self._draw(title, done, total, is_bytes)
            return
        # A line each ten percent: logs are read later.
        tenth = int(10 * done / total) if total else 10
        if title != self._title or tenth > self._said:
            self._title, self._said = title, tenth
            self._line(f"{title}: {tenth * 10} %")

    def _draw(self, title: str, done: float, total: float, is_bytes: bool) -> None:
        if self._bar is None or title != self._title:
            self._end_bar()
            self._title = title
            form = "{desc}: {percentage:3.0f} % |{bar}| {n_fmt}/{total_fmt} {rate_fmt}"
            self._bar = tqdm(
                total=total,
                desc=title,
                unit="B" if is_bytes else "%",
                unit_scale=is_bytes,
                bar_format=form if is_bytes else "{desc}: {percentage:3.0f} % |{bar}| {elapsed}",
                file=sys.stderr,
                dynamic_ncols=True,
            )
        self._bar.update(done - self._bar.n)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _line(self, text: str) -> None:
        print(plain(text), file=sys.stderr, flush=True)


def plain(text: str) -> str:
    """Without what would move the cursor of a terminal: some of it comes from elsewhere."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
