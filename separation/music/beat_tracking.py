"""From how much each moment is like a beat to the beats, as a stream.

A hidden Markov model: a state says how long the beat is (in hundredths of a second) and how far
into it the music is. Beats keep their length nearly; only at their start may it change.

References
----------
Krebs, Böck, Widmer: An efficient state-space model for joint tempo and meter tracking, ISMIR 2015,
https://doi.org/10.5281/zenodo.1414966; the model of what is heard is that of Böck, Krebs, Widmer:
A multi-model approach to beat tracking considering heterogeneous music styles, ISMIR 2014,
https://doi.org/10.5281/zenodo.1415240. Constants are those of both papers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from separation.music.sound import FloatArray

FRAMES_PER_S = 100
LEAST_BPM, MOST_BPM = 55, 215

# How loath a beat is to be longer or shorter than the one before.
_STEADINESS = 100
# This part of a beat, its first, is the beat that is heard.
_PART = 16
_LEAST = 1e-6
# The way that led here is looked at so often; further back than this, all ways are one.
_LOOK_EVERY = 30 * FRAMES_PER_S
_SETTLED_AFTER = 20 * FRAMES_PER_S


class Beat(NamedTuple):
    """When a beat is, in hundredths of a second, and how much it sounds like one, 0..1."""

    frame: int
    strength: float


class BeatTracker:
    """Takes activations, 0..1, a hundred a second; gives beats."""

    def __init__(self) -> None:
        lengths = np.arange(
            round(60 * FRAMES_PER_S / MOST_BPM), round(60 * FRAMES_PER_S / LEAST_BPM) + 1
        )
        self._lengths = lengths  # (tempi,)
        self._last = np.cumsum(lengths) - 1  # the last state of each length
        self._first = self._last - lengths + 1
        position = np.arange(lengths.sum()) - np.repeat(self._first, lengths)
        self._is_beat = (position * _PART < np.repeat(lengths, lengths)).astype(np.float32)
        self._changes = _log_changes(lengths)  # (from, to)
        self._scores = np.zeros(len(position), np.float32)
        self._ways: list[npt.NDArray[np.uint8]] = []  # from which length each began, by frame
        self._heard: list[float] = []
        self._start = 0  # the first frame of `_ways`
        self._settled = 0  # beats before this frame have been given

    def push(self, activations: FloatArray) -> list[Beat]:
        """Take (n,) activations; return beats that are certain now."""
        beats: list[Beat] = []
        for activation in activations:
            self._step(float(activation))
            if self._n_frames % _LOOK_EVERY == 0:
                beats += self._settle(self._n_frames - _SETTLED_AFTER)
        return beats

    def finish(self) -> list[Beat]:
        """Return the rest of the beats."""
        return self._settle(self._n_frames) if self._ways else []

    @property
    def _n_frames(self) -> int:
        return self._start + len(self._ways)

    def _step(self, activation: float) -> None:
        likely = min(max(activation, _LEAST), 1 - _LEAST)
        before = self._scores[self._last]
        candidates = before[:, None] + self._changes  # (from, to)
        best = candidates.argmax(axis=0)
        moved = np.empty_like(self._scores)
        moved[1:] = self._scores[:-1]
        moved[self._first] = candidates[best, np.arange(len(best))]
        unheard = np.log((1 - likely) / (_PART - 1))
        moved += np.float32(unheard) + self._is_beat * np.float32(np.log(likely) - unheard)
        # Only differences matter; without this they would be lost after hours.
        self._scores = moved - moved.max()
        self._ways.append(best.astype(np.uint8))
        self._heard.append(activation)

    def _settle(self, until: int) -> list[Beat]:
        """Give the beats before a frame, and forget what is no longer needed."""
        beats = [beat for beat in self._beats_of_best_way() if self._settled <= beat.frame < until]
        self._settled = max(self._settled, until)
        n_old = max(0, until - _SETTLED_AFTER - self._start)
        del self._ways[:n_old], self._heard[:n_old]
        self._start += n_old
        return beats

    def _beats_of_best_way(self) -> list[Beat]:
        """Follow the best way back, from beat to beat."""
        state = int(self._scores.argmax())
        tempo = int(np.searchsorted(self._last, state))
        begin = self._n_frames - 1 - (state - int(self._first[tempo]))
        beats: list[Beat] = []
        while begin >= self._start:
            beats.append(self._loudest(begin, int(self._lengths[tempo])))
            tempo = int(self._ways[begin - self._start][tempo])
            begin -= int(self._lengths[tempo])
        return beats[::-1]

    def _loudest(self, begin: int, length: int) -> Beat:
        """Return where in the first part of a beat it is heard best."""
        at = begin - self._start
        heard = self._heard[at : at + -(-length // _PART)]
        best = int(np.argmax(heard))
        return Beat(begin + best, heard[best])


def _log_changes(lengths: npt.NDArray[np.int64]) -> FloatArray:
    """Return the logarithm of how probable each length is after each, (from, to)."""
    ratios = lengths[None, :] / lengths[:, None]
    changes: npt.NDArray[np.float64] = np.exp(-_STEADINESS * np.abs(ratios - 1))
    changes /= changes.sum(axis=1, keepdims=True)
    logarithms: FloatArray = np.log(np.maximum(changes, 1e-30)).astype(np.float32)
    return logarithms
