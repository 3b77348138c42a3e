"""Where each speaker's track has sound, and how it is cut out of the recording."""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from separation.speakers.spans import Span, joined, without
from separation.speakers.statistics import others_of, spans_ms
from separation.speakers.timeline import Timeline

FloatArray = npt.NDArray[np.float32]

# What a track is made of, in order: (channels, n) samples, or how many silent ones.
Item = FloatArray | int

FADE_S = 0.02
# Turns end where speech does, within a frame; breath and last consonants are behind that.
PAD_S = 0.06


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples that are taken out, from `start` to before `end`; the fades lie within."""

    start: int
    end: int
    fade_in: int
    fade_out: int


@dataclass(frozen=True, slots=True)
class Cutting:
    """Pieces of one file; silence between them is at most `gap` samples, if that is not None."""

    speaker: str
    pieces: tuple[Piece, ...]
    gap: int | None = None


def pieces_by_speaker(
    timeline: Timeline, sample_rate: int, n_samples: int, *, mutes_overlaps: bool
) -> dict[str, tuple[Piece, ...]]:
    """Return the pieces of a recording that go into each speaker's track.

    Each turn is a little longer than it was found to be where nobody else speaks; between two
    speakers that is half of the pause at most.

    Parameters
    ----------
    timeline : Timeline
    sample_rate : int, Hz
    n_samples : int
        Length of the recording.
    mutes_overlaps : bool
        Whether what several say at once is in nobody's track, instead of in that of each.
    """
    spans = {
        name: joined((_sample(start, sample_rate), _sample(end, sample_rate)) for start, end in own)
        for name, own in spans_ms(timeline).items()
    }
    pad = round(PAD_S * sample_rate)
    pieces = {}
    for name, mine in spans.items():
        others = others_of(name, spans)
        sounding = without(mine, others) if mutes_overlaps else mine
        padded = joined(_padded(sounding, others, pad))
        pieces[name] = tuple(piece_of(span, sample_rate, n_samples) for span in padded)
    return pieces


def piece_of(span: Span, sample_rate: int, n_samples: int) -> Piece:
    """Return a stretch of samples with its fades; none where the recording itself ends."""
    start, end = max(span[0], 0), min(span[1], n_samples)
    fade = min(round(FADE_S * sample_rate), (end - start) // 2)
    return Piece(start, end, fade if start > 0 else 0, fade if end < n_samples else 0)


def _sample(milliseconds: int, sample_rate: int) -> int:
    return round(milliseconds * sample_rate / 1000)


def _padded(spans: Sequence[Span], others: Sequence[Span], pad: int) -> list[Span]:
    starts, ends = [start for start, _ in others], [end for _, end in others]
    padded = []
    for start, end in spans:
        before = bisect_left(starts, start)
        room_before = start - ends[before - 1] if before else 2 * pad
        after = bisect_right(ends, end)
        room_after = starts[after] - end if after < len(starts) else 2 * pad
        padded.append((start - _half(room_before, pad), end + _half(room_after, pad)))
    return padded


def _half(room: int, pad: int) -> int:
    return max(0, min(pad, room // 2))


class Cutter:
    """Cuts one file's pieces out of a recording that comes in blocks, in order."""

    def __init__(self, cutting: Cutting) -> None:
        self._pieces = cutting.pieces
        self._gap = cutting.gap
        self._next = 0
        self._silent = 0
        self._has_begun = False

    def cut(self, block: FloatArray, start: int) -> list[Item]:
        """Return what a block, (channels, n) from sample `start` on, adds to the file."""
        items: list[Item] = []
        at, end = start, start + block.shape[1]
        while self._next < len(self._pieces) and self._pieces[self._next].start < end:
            piece = self._pieces[self._next]
            first, last = max(piece.start, start), min(piece.end, end)
            self._pause(items, first - at)
            self._begin(items)
            items.append(_faded(block[:, first - start : last - start], piece, first))
            at = last
            if piece.end > end:
                break
            self._next += 1
        self._pause(items, end - at)
        return items

    def _pause(self, items: list[Item], n: int) -> None:
        if self._gap is None and n:
            items.append(n)
        self._silent += n

    def _begin(self, items: list[Item]) -> None:
        if self._gap is not None and self._has_begun and self._silent:
            items.append(min(self._silent, self._gap))
        self._has_begun = True
        self._silent = 0


def _faded(samples: FloatArray, piece: Piece, first: int) -> FloatArray:
    """Return the samples from `first` on, a part of the piece, with what it has there of fades."""
    n = samples.shape[1]
    done, left = first - piece.start, piece.end - first
    if done >= piece.fade_in and left - n >= piece.fade_out:
        return samples
    faded = samples.copy()
    if done < piece.fade_in:
        rise = _rise(piece.fade_in)[done : done + n]
        faded[:, : len(rise)] *= rise
    into = left - piece.fade_out
    if into < n:
        fall = _rise(piece.fade_out)[::-1][max(-into, 0) : n - into]
        faded[:, max(into, 0) :] *= fall
    return faded


@functools.cache
def _rise(n: int) -> FloatArray:
    """Return the first half of a raised cosine: what falls by the same adds up to 1 with it."""
    phase = (np.arange(n) + 0.5) / max(n, 1)
    return (0.5 - 0.5 * np.cos(np.pi * phase)).astype(np.float32)


def lengths_of(items: Sequence[Item]) -> int:
    """Return how many samples items have."""
    return sum(item if isinstance(item, int) else item.shape[1] for item in items)
