"""How a separation tells its caller how far it is, and how the caller stops it."""

from __future__ import annotations

from typing import Protocol


class OnProgress(Protocol):
    """Called in the caller's thread, several times a second; may raise SeparationCancelled."""

    def __call__(self, *, step: str, completed: int, total: int | None) -> None: ...


def ignore_progress(*, step: str, completed: int, total: int | None) -> None:
    """Do nothing."""
