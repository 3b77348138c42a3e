"""Who speaks when: the turns of a recording, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from separation.errors import InvalidRequest

# Finer than the 17 ms of a frame; the same in every format, so that what is made anew from stored
# turns is what was made at first.
TIME_DECIMALS = 3


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """One stretch in which one speaker speaks.

    Times in seconds from the start of the recording, rounded to milliseconds; `confidence` is
    the mean probability, 0..1, that it is this speaker who speaks.
    """

    start_s: float
    end_s: float
    speaker: str
    confidence: float = 1.0

    @property
    def duration_s(self) -> float:
        return round(self.end_s - self.start_s, TIME_DECIMALS)


@dataclass(frozen=True, slots=True)
class Timeline:
    """All turns of one recording, by their start.

    `duration_s` is the recording's; `speakers` are the names in the order in which they first
    speak, those given by the user among them.
    """

    turns: tuple[Turn, ...]
    duration_s: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "turns", tuple(sorted(self.turns)))

    @property
    def speakers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(turn.speaker for turn in self.turns))

    def of(self, speaker: str) -> tuple[Turn, ...]:
        """Return one speaker's turns."""
        return tuple(turn for turn in self.turns if turn.speaker == speaker)

    def merged(self, groups: Sequence[Sequence[str]]) -> Timeline:
        """Return a timeline in which each group of speakers is one, the group's first.

        Raises
        ------
        InvalidRequest
            If a group has less than two speakers, or one that is unknown or in two groups.
        """
        names = [name for group in groups for name in group]
        unknown = sorted(set(names) - set(self.speakers))
        if unknown:
            raise InvalidRequest(f"There is no speaker named '{unknown[0]}'.")
        if any(len(group) < 2 for group in groups) or len(set(names)) < len(names):
            raise InvalidRequest("Each group names two or more speakers, none of them twice.")
        first = {name: group[0] for group in groups for name in group}
        renamed = (replace(t, speaker=first.get(t.speaker, t.speaker)) for t in self.turns)
        return Timeline(_joined(renamed), self.duration_s)

    def to_json(self) -> dict[str, Any]:
        turns = [
            {
                "start_s": turn.start_s,
                "end_s": turn.end_s,
                "speaker": turn.speaker,
                "confidence": turn.confidence,
            }
            for turn in self.turns
        ]
        return {"duration_s": self.duration_s, "turns": turns}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        InvalidRequest
            If it is anything else.
        """
        try:
            turns = tuple(_turn(**turn) for turn in values["turns"])
            return cls(turns, _number(values["duration_s"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InvalidRequest("This is not a timeline.") from error


def _turn(start_s: Any, end_s: Any, speaker: Any, confidence: Any = 1.0) -> Turn:
    if not isinstance(speaker, str):
        raise TypeError("A name is text.")
    return Turn(_number(start_s), _number(end_s), speaker, _number(confidence))


def _number(value: Any) -> float:
    """Return a number of JSON; OverflowError where it is an integer of hundreds of digits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("This is no number.")
    return float(value)


def _joined(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Join turns of the same speaker that touch or overlap; confidence by length."""
    by_speaker: dict[str, list[Turn]] = {}
    for turn in sorted(turns):
        mine = by_speaker.setdefault(turn.speaker, [])
        if mine and turn.start_s <= mine[-1].end_s:
            last = mine.pop()
            total = last.duration_s + turn.duration_s
            mean = (last.confidence * last.duration_s + turn.confidence * turn.duration_s) / (
                total or 1
            )
            end_s = max(last.end_s, turn.end_s)
            mine.append(Turn(last.start_s, end_s, last.speaker, round(mean, TIME_DECIMALS)))
        else:
            mine.append(turn)
    return tuple(turn for mine in by_speaker.values() for turn in mine)
