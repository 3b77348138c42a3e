"""How many speakers there are, as far as that is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

MAX_SPEAKERS = 20


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """How many speakers there are, as far as the caller knows; at most MAX_SPEAKERS."""

    exact: int | None = None
    minimum: int | None = None
    maximum: int | None = None

    @property
    def lowest(self) -> int:
        return self.exact or self.minimum or 1

    @property
    def highest(self) -> int:
        return self.exact or self.maximum or MAX_SPEAKERS

    @property
    def is_free(self) -> bool:
        """Whether nothing is known."""
        return (self.exact, self.minimum, self.maximum) == (None, None, None)
