"""Stretches in whole milliseconds or samples: joined, cut out of each other, counted."""

from __future__ import annotations

from collections.abc import Iterable

# From the first number to before the second.
Span = tuple[int, int]


def joined(spans: Iterable[Span], gap: int = 0) -> list[Span]:
    """Return what is in any of the spans, in order; those at most `gap` apart are one."""
    result: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if result and start <= result[-1][1] + gap:
            result[-1] = result[-1][0], max(end, result[-1][1])
        else:
            result.append((start, end))
    return result


def without(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Return what is in any of the spans and in none of the others, in order."""
    result = []
    cuts = joined(others)
    first = 0
    for start, end in joined(spans):
        while first < len(cuts) and cuts[first][1] <= start:
            first += 1
        index = first
        while index < len(cuts) and cuts[index][0] < end:
            if start < cuts[index][0]:
                result.append((start, cuts[index][0]))
            start = cuts[index][1]
            index += 1
        if start < end:
            result.append((start, end))
    return result


def length(spans: Iterable[Span]) -> int:
    """Return how long disjoint spans are together."""
    return sum(end - start for start, end in spans)
