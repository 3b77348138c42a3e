"""How many speakers there are, as far as that is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from separation.errors import InvalidRequest

MAX_SPEAKERS = 20


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """How many speakers there are, as far as the caller knows; at most MAX_SPEAKERS."""

    exact: int | None = None
    minimum: int | None = None
    maximum: int | None = None

    def check(self) -> None:
        """Raise InvalidRequest unless there can be that many speakers."""
        for number in (self.exact, self.minimum, self.maximum):
            if number is not None and not 1 <= number <= MAX_SPEAKERS:
                raise InvalidRequest(f"There may be 1 to {MAX_SPEAKERS} speakers.")
        lowest, highest = self.minimum or 1, self.maximum or MAX_SPEAKERS
        if lowest > highest:
            raise InvalidRequest("The least number of speakers is greater than the greatest.")
        if self.exact is not None and not lowest <= self.exact <= highest:
            raise InvalidRequest("The number of speakers is outside of its own limits.")

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
