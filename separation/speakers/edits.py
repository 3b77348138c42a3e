"""What happens to turns after they were found: other names, and their recording's limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from separation.errors import InvalidRequest
from separation.speakers.timeline import TIME_DECIMALS, Timeline, Turn

MAX_NAME_CHARACTERS = 80


def renamed(timeline: Timeline, names: Mapping[str, str]) -> Timeline:
    """Return a timeline in which speakers have other names.

    Raises
    ------
    InvalidRequest
        If a speaker is unknown, a name is empty, too long or holds control characters, or two
        speakers would have the same one.
    """
    unknown = sorted(set(names) - set(timeline.speakers))
    if unknown:
        raise InvalidRequest(f"There is no speaker named '{unknown[0]}'.")
    for name in names.values():
        check_name(name)
    after = [names.get(speaker, speaker) for speaker in timeline.speakers]
    if len(set(after)) < len(after):
        raise InvalidRequest("Two speakers would have the same name; merge them instead.")
    turns = tuple(replace(t, speaker=names.get(t.speaker, t.speaker)) for t in timeline.turns)
    return Timeline(turns, timeline.duration_s)


def check_name(name: str) -> None:
    """Raise InvalidRequest unless a speaker can be called so."""
    if not name.strip() or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(
            f"A speaker's name has 1 to {MAX_NAME_CHARACTERS} printable characters."
        )


def fitted(timeline: Timeline, duration_s: float) -> Timeline:
    """Return the turns within a recording of that length (s); what lies beyond its end is cut off.

    Raises
    ------
    InvalidRequest
        If a turn is none, or none of them lies within the recording.
    """
    for turn in timeline.turns:
        _check_turn(turn)
    end_s = round(duration_s, TIME_DECIMALS)
    turns = [
        replace(
            turn,
            start_s=round(float(turn.start_s), TIME_DECIMALS),
            end_s=min(round(float(turn.end_s), TIME_DECIMALS), end_s),
        )
        for turn in timeline.turns
    ]
    inside = tuple(turn for turn in turns if turn.start_s < turn.end_s)
    if not inside:
        raise InvalidRequest("The timeline has no turn within the recording.")
    return Timeline(inside, end_s)


def _check_turn(turn: Turn) -> None:
    values = (turn.start_s, turn.end_s, turn.confidence)
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        raise InvalidRequest("A turn's times and confidence must be numbers.")
    if not 0 <= turn.start_s < turn.end_s:
        raise InvalidRequest("A turn must start at 0 or later and end after its start.")
    if not isinstance(turn.speaker, str):
        raise InvalidRequest("A turn must name its speaker.")
    check_name(turn.speaker)
