"""Time that passes as a test wants it."""

from collections.abc import Callable, Iterator
from typing import Any


class Clock:
    """Instead of the module `time`: sleeping takes no time and does what the test has planned."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.turns: Iterator[Callable[[], Any]] = iter(())

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        next(self.turns, lambda: None)()
