"""How much each speaker speaks, with whom at once, and how loud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from separation.speakers.spans import Span, joined, length, without
from separation.speakers.timeline import TIME_DECIMALS, Timeline, Turn

_SHARE_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Levels:
    """How loud one speaker is where the track has sound, before any gain.

    `rms_db` (dBFS, over all channels) and `lufs` (gated, ITU-R BS.1770) are None where there is
    nothing to measure: no sound, or for `lufs` less than 0.4 s of it. `peak` is that of the
    samples, 1 at full scale; `gain_db` is what the track was made louder by.
    """

    rms_db: float | None
    peak: float
    lufs: float | None
    gain_db: float = 0.0


@dataclass(frozen=True, slots=True)
class SpeakerStatistics:
    """One speaker's part in a recording.

    `turns` counts them; `talk_s` is the time in which the speaker speaks, `overlap_s` that of it
    in which others do too; `share` is the part, 0..1, of all speakers' `talk_s` together;
    `mean_confidence` is weighted by length. For the others see `Levels`.
    """

    speaker: str
    turns: int
    talk_s: float
    share: float
    longest_turn_s: float
    overlap_s: float
    mean_confidence: float
    rms_db: float | None = None
    peak: float = 0.0
    lufs: float | None = None
    gain_db: float = 0.0


@dataclass(frozen=True, slots=True)
class Overlap:
    """A stretch in which the same two or more speak at once, by name."""

    start_s: float
    end_s: float
    speakers: tuple[str, ...]


def statistics(
    timeline: Timeline, levels: Mapping[str, Levels] | None = None
) -> tuple[SpeakerStatistics, ...]:
    """Return each speaker's part, in the order in which they first speak.

    Parameters
    ----------
    timeline : Timeline
    levels : mapping of str to Levels, optional
        As measured on the tracks; without it these fields say nothing.
    """
    talk_ms = {name: length(joined(spans)) for name, spans in spans_ms(timeline).items()}
    alone_ms = {name: length(spans) for name, spans in solo_ms(timeline).items()}
    total_ms = sum(talk_ms.values()) or 1
    rows = []
    for name in timeline.speakers:
        level = (levels or {}).get(name, Levels(None, 0.0, None))
        turns = timeline.of(name)
        rows.append(
            SpeakerStatistics(
                speaker=name,
                turns=len(turns),
                talk_s=_seconds(talk_ms[name]),
                share=round(talk_ms[name] / total_ms, _SHARE_DECIMALS),
                longest_turn_s=max(turn.duration_s for turn in turns),
                overlap_s=_seconds(talk_ms[name] - alone_ms[name]),
                mean_confidence=_mean_confidence(turns),
                rms_db=level.rms_db,
                peak=level.peak,
                lufs=level.lufs,
                gain_db=level.gain_db,
            )
        )
    return tuple(rows)


def overlaps(timeline: Timeline) -> tuple[Overlap, ...]:
    """Return where two or more speak at once, in order; a new stretch for each change of who."""
    changes: list[tuple[int, int, str]] = []
    for name, spans in spans_ms(timeline).items():
        for start, end in joined(spans):
            changes += [(start, 1, name), (end, -1, name)]
    found: list[Overlap] = []
    speaking: list[str] = []
    since = 0
    for at, change, name in sorted(changes):
        if len(speaking) > 1 and since < at:
            found.append(Overlap(_seconds(since), _seconds(at), tuple(sorted(speaking))))
        since = at
        if change > 0:
            speaking.append(name)
        else:
            speaking.remove(name)
    return tuple(found)


def spans_ms(timeline: Timeline) -> dict[str, list[Span]]:
    """Return each speaker's turns, in milliseconds."""
    spans: dict[str, list[Span]] = {}
    for turn in timeline.turns:
        span = round(1000 * turn.start_s), round(1000 * turn.end_s)
        spans.setdefault(turn.speaker, []).append(span)
    return spans


def solo_ms(timeline: Timeline) -> dict[str, list[Span]]:
    """Return where each speaker speaks and nobody else does, in milliseconds."""
    spans = spans_ms(timeline)
    return {name: without(mine, others_of(name, spans)) for name, mine in spans.items()}


def others_of(name: str, spans: Mapping[str, list[Span]]) -> list[Span]:
    """Return where anybody but one speaker speaks."""
    return joined(span for other, theirs in spans.items() if other != name for span in theirs)


def _seconds(milliseconds: int) -> float:
    return round(milliseconds / 1000, TIME_DECIMALS)


def _mean_confidence(turns: tuple[Turn, ...]) -> float:
    total_s = sum(turn.duration_s for turn in turns)
    weighted = sum(turn.duration_s * turn.confidence for turn in turns)
    return round(weighted / total_s, TIME_DECIMALS) if total_s else 0.0
