"""Where somebody speaks in a clean recording of one person, by its energy.

The rule was fixed before anything was scored with it: a frame of 25 ms, every 10 ms, is speech if
its level is within 30 dB of the recording's loud frames (95th percentile) and 8 dB above its quiet
ones (10th percentile; where hardly anything is quiet that bound stays 15 dB below the loud ones).
Pauses shorter than 0.3 s belong to the speech around them; what then is shorter than 0.1 s is a
click.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from benchmarks.songs import FloatArray

Span = tuple[float, float]

PAUSE_S = 0.3
_CLICK_S = 0.1
_STEP_S = 0.01
_WINDOW_S = 0.025
_RANGE_DB = 30.0
_ABOVE_QUIET_DB = 8.0
_BELOW_LOUD_DB = 15.0
_SILENCE_DB = -80.0
_FLOOR = 1e-10


def speech_spans(samples: FloatArray, rate: int) -> list[Span]:
    """Return where there is speech.

    Parameters
    ----------
    samples : (samples,) float32
    rate : int
        Hz.

    Returns
    -------
    list of (start, end) in seconds
    """
    levels_db = _levels_db(samples, rate)
    if not len(levels_db):
        return []
    loud, quiet = (float(np.percentile(levels_db, share)) for share in (95, 10))
    above_quiet = min(quiet + _ABOVE_QUIET_DB, loud - _BELOW_LOUD_DB)
    is_speech = levels_db > max(loud - _RANGE_DB, above_quiet, _SILENCE_DB)
    spans = joined(_runs(is_speech), PAUSE_S)
    return [(start, end) for start, end in spans if end - start >= _CLICK_S]


def joined(spans: list[Span], pause_s: float) -> list[Span]:
    """Join spans of one speaker that lie closer than a pause."""
    together: list[Span] = []
    for start, end in sorted(spans):
        if together and start - together[-1][1] < pause_s:
            start, end = together[-1][0], max(together[-1][1], end)
            together.pop()
        together.append((start, end))
    return together


def overlap_share(turns: list[tuple[float, float, str]]) -> float:
    """Return in how much of the time in which anybody speaks more than one does."""
    changes = sorted([(t[0], 1) for t in turns] + [(t[1], -1) for t in turns])
    speech_s = overlap_s = 0.0
    speaking = 0
    for (at, change), (following, _) in pairwise(changes):
        speaking += change
        speech_s += (following - at) * (speaking > 0)
        overlap_s += (following - at) * (speaking > 1)
    return overlap_s / speech_s if speech_s else 0.0


def _levels_db(samples: FloatArray, rate: int) -> FloatArray:
    step, window = round(_STEP_S * rate), round(_WINDOW_S * rate)
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    centres = np.arange(step // 2, len(samples), step)
    starts = np.clip(centres - window // 2, 0, len(samples))
    ends = np.clip(centres + window // 2, 0, len(samples))
    means = (energy[ends] - energy[starts]) / np.maximum(ends - starts, 1)
    return np.asarray(10 * np.log10(np.maximum(means, _FLOOR)), np.float32)


def _runs(flags: np.ndarray) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [
        (float(start * _STEP_S), float(end * _STEP_S))
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]
