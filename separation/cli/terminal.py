"""What the command line says: results on standard output, all else on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import tqdm

from separation.progress import OnProgress

PREPARE = "preparing the model for this machine: once, about half a minute"


def echo(line: str, *, to_stderr: bool = False) -> None:
    stream = sys.stderr if to_stderr else sys.stdout
    stream.write(line + "\n")
    stream.flush()


@contextmanager
def shown_progress() -> Iterator[OnProgress]:
    """Give a progress bar on a terminal and plain lines elsewhere, both on standard error."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    with tqdm.tqdm(unit="sample", unit_scale=True, leave=False) as bar:

        def show(*, step: str, completed: int, total: int | None) -> None:
            bar.set_description(PREPARE if step == "prepare" else step, refresh=False)
            bar.total = total
            bar.n = completed
            bar.refresh()

        yield show


class _Lines:
    """One line for each step and each tenth of the way."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, *, step: str, completed: int, total: int | None) -> None:
        share = f" {10 * (10 * completed // total)} %" if total else ""
        line = PREPARE if step == "prepare" else step + share
        if line != self._last:
            self._last = line
            echo(line, to_stderr=True)
