"""How fast a recording is, from its beats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from separation.music.beat_network import BeatNetwork
from separation.music.beat_spectra import BeatSpectra
from separation.music.beat_tracking import FRAMES_PER_S, Beat, BeatTracker
from separation.music.sound import FloatArray

DoubleArray = npt.NDArray[np.float64]

# Beats stand out by so much, on average over this time around them, or they are none: the tracker
# gives beats for silence and noise as well.
_LEAST_SUPPORT = 0.2
_AROUND_S = 4
# Fewer beats in a row say nothing of the tempo.
_LEAST_BEATS = 4
# The tempo is told for windows of so many seconds; with fewer beats, a beat that is a little off
# would say too much.
_WINDOW_S, _STEP_S = 10.0, 5.0
_LEAST_IN_WINDOW = 8
# If every other beat is this much weaker, they are half-beats; but not where the music is slow.
_WEAK = 0.6
_SLOWEST_HALVED_BPM = 110


@dataclass(frozen=True, slots=True)
class Tempo:
    """Beats a minute: on average, and the least and the most over windows of ten seconds.

    `beats_s` says when the beats are; `confidence` is 0..1: how much they stand out. The tempo is
    None, and there are no beats, where there is no beat to be heard.
    """

    bpm: float | None = None
    min_bpm: float | None = None
    max_bpm: float | None = None
    beats_s: tuple[float, ...] = ()
    confidence: float = 0.0


class TempoFinder:
    """A stream of one channel into its beats and their tempo."""

    def __init__(self, network: BeatNetwork) -> None:
        self._network = network
        self._spectra = BeatSpectra()
        self._tracker = BeatTracker()
        self._last: float | None = None
        self._heard = _SecondSums()
        self._beats: list[Beat] = []

    def push(self, samples: FloatArray) -> None:
        """Take (n,) samples at 22,050 Hz."""
        self._hear(self._spectra.push(samples))

    def finish(self) -> Tempo:
        """Return the tempo of all that was heard."""
        self._hear(self._spectra.finish())
        self._beats += self._tracker.finish()
        return tempo_of(self._beats, self._heard.sums())

    def _hear(self, spectra: FloatArray) -> None:
        if not len(spectra):
            return
        activations = self._network.push(spectra).sum(axis=1)  # of beats, downbeats among them
        doubled = self._doubled(activations)
        self._heard.push(doubled)
        self._beats += self._tracker.push(doubled)

    def _doubled(self, activations: FloatArray) -> FloatArray:
        """Put a value between each two: a hundred a second, so that tempi lie closer."""
        before = activations[:1] if self._last is None else [self._last]
        known = np.concatenate([before, activations])
        doubled = np.empty(2 * len(activations), np.float32)
        doubled[0::2] = (known[:-1] + known[1:]) / 2
        doubled[1::2] = activations
        is_first = self._last is None
        self._last = float(activations[-1])
        # There is nothing before the first one.
        return doubled[1:] if is_first else doubled


class _SecondSums:
    """What was heard in each second."""

    def __init__(self) -> None:
        self._sums: list[float] = []
        self._rest = np.zeros(0, np.float32)

    def push(self, values: FloatArray) -> None:
        held = np.concatenate([self._rest, values])
        n = len(held) // FRAMES_PER_S
        seconds = held[: n * FRAMES_PER_S].reshape(n, FRAMES_PER_S)
        self._sums += seconds.sum(axis=1).tolist()
        self._rest = held[n * FRAMES_PER_S :]

    def sums(self) -> DoubleArray:
        """Return the sum of each second; a last one that is not full is filled with its mean."""
        rest = [float(self._rest.mean()) * FRAMES_PER_S] if len(self._rest) else []
        return np.array([*self._sums, *rest])


def tempo_of(beats: list[Beat], second_sums: DoubleArray) -> Tempo:
    """Return the tempo of beats.

    Parameters
    ----------
    beats : list of Beat
        In order.
    second_sums : (seconds,)
        The sum of what was heard in each second.
    """
    times = np.array([beat.frame / FRAMES_PER_S for beat in beats])
    strengths = np.array([beat.strength for beat in beats])
    support = _support(times, strengths, second_sums)
    runs = list(_runs(times, support >= _LEAST_SUPPORT))
    runs = _without_half_beats(runs, strengths, times)
    rows = [run for run in runs if len(run) >= _LEAST_BEATS]
    if not rows:
        return Tempo()
    local = [bpm for run in rows for bpm in _local_tempi(times[run])]
    n_steps = sum(len(run) - 1 for run in rows)
    lasts_s = sum(float(times[run[-1]] - times[run[0]]) for run in rows)
    average = 60 * n_steps / lasts_s
    return Tempo(
        bpm=round(average, 2),
        min_bpm=round(min(*local, average), 2),
        max_bpm=round(max(*local, average), 2),
        beats_s=tuple(round(float(time_s), 2) for run in rows for time_s in times[run]),
        confidence=round(float(np.clip(np.mean(support[np.concatenate(rows)]), 0, 1)), 3),
    )


def _support(times: DoubleArray, strengths: DoubleArray, second_sums: DoubleArray) -> DoubleArray:
    """Return how much louder beats are than all that is heard around each beat."""
    n_before = np.searchsorted(times, times - _AROUND_S)
    n_after = np.searchsorted(times, times + _AROUND_S, side="right")
    beats = np.concatenate([[0], np.cumsum(strengths)])
    at_beats = (beats[n_after] - beats[n_before]) / np.maximum(1, n_after - n_before)
    heard = np.concatenate([[0], np.cumsum(second_sums)])
    first = np.clip(times.astype(int) - _AROUND_S, 0, len(second_sums))
    last = np.clip(times.astype(int) + _AROUND_S + 1, 0, len(second_sums))
    everywhere = (heard[last] - heard[first]) / np.maximum(1, (last - first) * FRAMES_PER_S)
    return np.asarray(at_beats - everywhere)


def _runs(times: DoubleArray, is_beat: npt.NDArray[np.bool_]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the numbers of beats that follow each other without a gap."""
    numbers = np.flatnonzero(is_beat)
    if len(numbers):
        yield from np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)


def _without_half_beats(
    runs: list[npt.NDArray[np.intp]], strengths: DoubleArray, times: DoubleArray
) -> list[npt.NDArray[np.intp]]:
    """Return every other beat, the stronger ones, if the others are much weaker."""
    halves = [(run[::2], run[1::2]) for run in runs if len(run) >= 2]
    pairs = [sorted(half, key=lambda each: float(strengths[each].mean())) for half in halves]
    if not pairs:
        return runs
    weak, strong = (np.concatenate([pair[n] for pair in pairs]) for n in (0, 1))
    n_steps = sum(len(run) - 1 for run in runs)
    bpm = 60 * n_steps / sum(float(times[run[-1]] - times[run[0]]) for run in runs)
    is_uneven = strengths[weak].mean() < _WEAK * strengths[strong].mean()
    return [pair[1] for pair in pairs] if is_uneven and bpm > _SLOWEST_HALVED_BPM else runs


def _local_tempi(times: DoubleArray) -> Iterator[float]:
    """Yield the tempo of windows of some beats, by a straight line through these."""
    starts = np.arange(times[0], max(times[0], times[-1] - _WINDOW_S) + 1e-6, _STEP_S)
    for start in starts:
        within = times[(times >= start) & (times <= start + _WINDOW_S)]
        if len(within) >= _LEAST_IN_WINDOW:
            yield 60 / float(np.polyfit(np.arange(len(within)), within, 1)[0])
