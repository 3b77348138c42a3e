"""A short clip of each speaker to recognise them by."""

from __future__ import annotations

from separation.speakers.spans import Span, joined, without
from separation.speakers.statistics import others_of, spans_ms
from separation.speakers.timeline import Timeline, Turn

MAX_CLIP_MS = 10_000
# Turns of one speaker with such a pause between them, and nobody else in it, sound like one.
_PAUSE_MS = 500


def clip_spans(timeline: Timeline) -> dict[str, Span]:
    """Return for each speaker a stretch in milliseconds, of at most MAX_CLIP_MS.

    The longest in which nobody else speaks; among those that are long enough, the one that is
    most certain. Somebody who never speaks alone gets the longest turn.
    """
    spans = spans_ms(timeline)
    chosen = {}
    for name, mine in spans.items():
        others = others_of(name, spans)
        # Where the pause between two turns has somebody else's turn in it, they stay apart.
        alone = without(joined(mine, _PAUSE_MS), others) or joined(mine)
        most = max(_usable(span) for span in alone)
        best = [span for span in alone if _usable(span) == most]
        turns = timeline.of(name)
        start, end = _surest(best, turns)
        chosen[name] = start, min(end, start + MAX_CLIP_MS)
    return chosen


def _usable(span: Span) -> int:
    return min(span[1] - span[0], MAX_CLIP_MS)


def _surest(spans: list[Span], turns: tuple[Turn, ...]) -> Span:
    return max(spans, key=lambda span: _confidence(span, turns))


def _confidence(span: Span, turns: tuple[Turn, ...]) -> float:
    """Return the mean confidence of the turns within a stretch, by their length in it."""
    weighted = total = 0.0
    for turn in turns:
        inside_ms = min(1000 * turn.end_s, span[1]) - max(1000 * turn.start_s, span[0])
        if inside_ms > 0:
            weighted += inside_ms * turn.confidence
            total += inside_ms
    return weighted / total if total else 0.0
