"""From how much each note sounds and begins to the notes, as a stream.

The way is that of Basic Pitch: where a note begins, it lasts until it was too faint for an eighth
of a second; what is loud and still left over makes notes without a beginning. A recording goes
through in stretches: each is cut where the least sounds, and notes that sound there go on in the
next one.

References
----------
Bittner et al., ICASSP 2022, https://arxiv.org/abs/2203.09893, section 2.3, and the package
`basic-pitch` 0.4.0 (Spotify, Apache-2.0), whose thresholds these are. The step after the beginnings
comes from Salamon, Gómez: Melody extraction from polyphonic music signals using pitch contour
characteristics, 2012, https://doi.org/10.1109/TASL.2012.2188515.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from separation.music.pitches import LOWEST_PITCH, N_PITCHES, time_s
from separation.music.sound import FloatArray

BEGINNING, SOUNDING = 0.5, 0.3
# In frames, 86 to a second. A note ends when it was faint for so long; shorter ones are none.
_FAINT = 11
_SHORTEST = 11
# A note also begins where its level rises, compared with this many frames before.
_RISE = 2

# About 50 s; a cut is looked for in the second half.
_STRETCH = 4400


@dataclass(frozen=True, slots=True)
class Note:
    """`pitch` is MIDI's number of the key (69 is 440 Hz), `velocity` 1..127."""

    pitch: int
    start_s: float
    end_s: float
    velocity: int


@dataclass(slots=True)
class _Found:
    """A note in frames, `end` excluded; `is_open` if it may go on after the stretch."""

    key: int
    start: int
    end: int
    level: float
    is_open: bool = False


class NoteFinder:
    """Takes what `Pitches` gives; gives notes, in the order of stretches.

    Parameters
    ----------
    stretch : int
        Frames that are looked at together.
    """

    def __init__(self, stretch: int = _STRETCH) -> None:
        self._stretch = stretch
        self._sounding = np.zeros((0, N_PITCHES), np.float32)
        self._beginning = np.zeros((0, N_PITCHES), np.float32)
        self._start = 0  # the frame of the first row of both
        self._past = _Past()
        self._open: dict[int, _Found] = {}  # by key, in frames of the recording

    def push(self, sounding: FloatArray, beginning: FloatArray) -> Iterator[Note]:
        """Take (n, 88) levels, 0..1; yield notes that are complete."""
        self._sounding = np.concatenate([self._sounding, sounding])
        self._beginning = np.concatenate([self._beginning, beginning])
        # One row more, to see whether the last one is a peak.
        while len(self._sounding) > self._stretch:
            yield from self._take(self._quietest(), is_last=False)

    def finish(self) -> Iterator[Note]:
        """Yield the rest of the notes."""
        if len(self._sounding):
            yield from self._take(len(self._sounding), is_last=True)
        yield from self._closed(self._open.values())

    def _quietest(self) -> int:
        """Return where the least sounds, in the second half of a stretch."""
        half = self._stretch // 2
        levels = self._sounding[half : self._stretch]
        return half + int(np.where(levels >= SOUNDING, levels, 0).sum(axis=1).argmin())

    def _take(self, n: int, *, is_last: bool) -> Iterator[Note]:
        peaks = self._past.peaks(self._sounding, self._beginning, n)
        stretch = _Stretch(self._sounding[:n], peaks, is_first=self._start == 0, is_last=is_last)
        going_on = dict(self._open)
        self._open = {}
        complete: list[_Found] = []
        faint = {key: self._start - found.end for key, found in going_on.items()}
        for found in stretch.notes(faint):
            whole = self._joined(found, going_on)
            if found.is_open and found.key not in self._open:
                self._open[found.key] = whole
            else:
                complete.append(whole)
        self._sounding, self._beginning = self._sounding[n:], self._beginning[n:]
        self._start += n
        yield from self._closed(complete)

    def _joined(self, found: _Found, going_on: dict[int, _Found]) -> _Found:
        """Return a note in frames of the recording, with its part before the stretch."""
        start, end = found.start + self._start, found.end + self._start
        if found.start != _GOES_ON:
            return _Found(found.key, start, end, found.level, found.is_open)
        before = going_on.pop(found.key)
        if found.end == 0:
            return before
        n_before, n_new = before.end - before.start, found.end
        level = (before.level * n_before + found.level * n_new) / (n_before + n_new)
        return _Found(found.key, before.start, end, level, found.is_open)

    def _closed(self, found: Iterable[_Found]) -> Iterator[Note]:
        for note in sorted(found, key=lambda each: (each.start, each.key)):
            if note.end - note.start > _SHORTEST:
                velocity = min(127, max(1, round(127 * note.level)))
                yield Note(
                    note.key + LOWEST_PITCH,
                    round(time_s(note.start), 4),
                    round(time_s(note.end), 4),
                    velocity,
                )


# The start of a note that began before the stretch: so to say, the frame before it.
_GOES_ON = -1


@dataclass(slots=True)
class _Past:
    """What was before a stretch, to see where notes begin in it."""

    sounding: FloatArray = field(default_factory=lambda: np.zeros((0, N_PITCHES), np.float32))
    last: FloatArray | None = None
    loudest: float = 0.0
    steepest: float = 0.0

    def peaks(self, sounding: FloatArray, beginning: FloatArray, n: int) -> list[tuple[int, int]]:
        """Return (frame, key) of each beginning within `n` frames, the last one first."""
        strengths = self._strengths(sounding[: n + 1], beginning[: n + 1])
        # What has nothing on one side is no peak.
        first = strengths[:1] if self.last is None else self.last
        padded = np.concatenate([first, strengths, strengths[-1:]])[: n + 2]
        middle = padded[1:-1]
        is_peak = (middle > padded[:-2]) & (middle > padded[2:]) & (middle >= BEGINNING)
        self.last = strengths[n - 1 : n]
        self.sounding = np.concatenate([self.sounding, sounding[:n]])[-_RISE:]
        return [(int(frame), int(key)) for frame, key in np.argwhere(is_peak)[::-1]]

    def _strengths(self, sounding: FloatArray, beginning: FloatArray) -> FloatArray:
        """Return how much each note begins: as it was heard, or by how its level rises."""
        n_past = len(self.sounding)
        levels = np.concatenate([self.sounding, sounding])
        rises = np.zeros_like(levels)
        if len(levels) > _RISE:
            steps = [levels[_RISE:] - levels[_RISE - n : -n] for n in range(1, _RISE + 1)]
            rises[_RISE:] = np.maximum(0, np.min(steps, axis=0))
        # Both on one scale: that of the strongest so far.
        self.loudest = max(self.loudest, float(beginning.max()))
        self.steepest = max(self.steepest, float(rises.max()))
        if self.steepest > 0:
            rises *= self.loudest / self.steepest
        strengths: FloatArray = np.maximum(beginning, rises[n_past:])
        return strengths


class _Stretch:
    """Finds the notes of one stretch; what a note has taken is no longer there for others."""

    def __init__(
        self,
        sounding: FloatArray,
        peaks: list[tuple[int, int]],
        *,
        is_first: bool,
        is_last: bool,
    ) -> None:
        self._sounding = sounding
        self._left = sounding.copy()
        self._peaks = peaks
        self._is_last = is_last
        # At both ends of a recording a frame is left out.
        self._begin = int(is_first)
        self._end = len(sounding) - int(is_last)

    def notes(self, going_on: Mapping[int, int]) -> Iterator[_Found]:
        """Yield those that begin here, those that go on, then those left over.

        `going_on` says of keys that sounded before for how many frames they were faint.
        """
        yield from self._begun()
        for key, n_faint in going_on.items():
            end = _reach(self._left[: self._end, key] >= SOUNDING, n_faint)
            yield self._taken(key, _GOES_ON, end)
        yield from self._left_over()

    def _begun(self) -> Iterator[_Found]:
        for start, key in self._peaks:
            if start >= self._end:
                continue
            found = self._taken(key, start, self._last_sound(start + 1, key))
            if found.end - found.start > _SHORTEST or found.is_open:
                self._clear(start, found.end, key)
                yield found

    def _left_over(self) -> Iterator[_Found]:
        frames, keys = np.nonzero(self._left > SOUNDING)
        order = np.argsort(-self._left[frames, keys], kind="stable")
        for frame, key in zip(frames[order].tolist(), keys[order].tolist(), strict=True):
            if self._left[frame, key] <= SOUNDING:
                continue
            self._left[frame, key] = 0
            end = self._last_sound(frame + 1, key)
            start = self._first_sound(frame - 1, key)
            self._clear(frame + 1, min(end + _FAINT, self._end), key)
            self._clear(max(start - _FAINT, self._begin), frame, key)
            # A frame less than it sounds, as its authors have it.
            found = self._taken(key, start, max(end - 1, start))
            if found.end - found.start > _SHORTEST or found.is_open:
                yield found

    def _taken(self, key: int, start: int, end: int) -> _Found:
        heard = self._sounding[max(0, start) : end, key]
        is_open = not self._is_last and self._end - end < _FAINT
        found = _Found(key, start, end, float(heard.mean()) if len(heard) else 0.0, is_open)
        if start == _GOES_ON:
            self._clear(0, end, key)
        return found

    def _last_sound(self, frame: int, key: int) -> int:
        """Return the end of what sounds from a frame on, pauses shorter than _FAINT within."""
        return frame + _reach(self._left[frame : self._end, key] >= SOUNDING)

    def _first_sound(self, frame: int, key: int) -> int:
        """Return the start of what sounds up to a frame."""
        before = self._left[self._begin : max(frame + 1, self._begin), key][::-1]
        return frame + 1 - _reach(before >= SOUNDING)

    def _clear(self, start: int, end: int, key: int) -> None:
        """Take a note away, and what its neighbours have of it."""
        self._left[start:end, max(0, key - 1) : key + 2] = 0


def _reach(is_sounding: npt.NDArray[np.bool_], n_faint: int = 0) -> int:
    """Return how far something goes on that was faint before; it must not be so for too long."""
    at = np.flatnonzero(is_sounding)
    gaps = np.diff(at, prepend=-1 - n_faint) > _FAINT
    ended = int(gaps.argmax()) if gaps.any() else len(at)
    return int(at[ended - 1]) + 1 if ended else 0
