"""A small network that hears how loud each band is, was and will be, and says what to keep of it.

What it hears are figures about decay: how loud a band was of late over six spans of time, how fast
it ever falls, how loud the bands beside it are. The same few thousand weights serve all bands. A
gain applies to the frame LOOKAHEAD frames before the newest one.

References
----------
Lebart, Boucher, Denbigh, A New Method Based on Spectral Subtraction for Speech Dereverberation,
2001: late reverberation is as loud as what was heard before it, times its decay. Here how loud it
is, and how much of it goes, is learned.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import signal

from separation.enhance.bands import HOP_S, N_BANDS
from separation.enhance.steps import FloatArray

LOOKAHEAD = 6
# Frames that go through at once: about a second.
N_FRAMES = 64

# Levels are heard in these units, from this far below the loudest frame of late up.
_UNIT_DB, _LEAST = 20.0, -4.0
_FADING_DB = 0.016  # by which the loudest frame is forgotten with each
_FLOOR = 1e-14  # of a power; what is softer is silence

_AHEAD, _BEHIND, _BESIDE = (1, 2, 4, 6), (1, 2, 4), (-2, -1, 1, 2)
_SPANS_S = (0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
# The newest frames are no reverberation of the one that is judged: they are part of its sound.
_GAP = 3
_FALL = 6  # frames over which a fall is measured
_SLOW_S, _FORGET_S = 2.0, 4.0
_SLOW = (1, 3, 5)  # of which spans the mean over seconds is heard
_FARTHEST = 3.0
_PAST = max(_GAP, _FALL, max(_BEHIND))

N_FEATURES = 1 + len(_AHEAD) + len(_BEHIND) + len(_BESIDE) + len(_SPANS_S) + 2 * len(_SLOW) + 4 + 2

Values = npt.NDArray[np.float64]


class Features:
    """Band powers in order to what the network hears of one recording."""

    def __init__(self) -> None:
        self._loudest: float | None = None
        self._levels = np.zeros((0, N_BANDS))  # of the frames that are still needed
        self._references = np.zeros(0)
        self._spans = np.zeros((0, len(_SPANS_S), N_BANDS))
        self._span_states = [np.zeros((1, N_BANDS)) for _ in _SPANS_S]
        self._slow_state = np.zeros((1, len(_SLOW) + 1, N_BANDS))
        self._weight_state = np.zeros(1)
        self._falls = np.zeros(N_BANDS)

    def push(self, powers: FloatArray) -> FloatArray:
        """Return (n, N_BANDS, N_FEATURES), of LOOKAHEAD frames before each of (n, N_BANDS)."""
        n = len(powers)
        self._append(np.maximum(powers.astype(np.float64), _FLOOR))
        start = _PAST  # of the frame that the first row is about
        judged = slice(start, start + n)
        levels = self._levels / _UNIT_DB
        now = levels[judged]
        columns = [np.maximum(now - self._references[judged, None] / _UNIT_DB, _LEAST)]
        columns += [_near(levels[start + k : start + k + n] - now) for k in _AHEAD]
        columns += [_near(levels[start - k : start - k + n] - now) for k in _BEHIND]
        wide = np.pad(now, ((0, 0), (2, 2)), mode="edge")
        columns += [_near(wide[:, 2 + k : 2 + k + N_BANDS] - now) for k in _BESIDE]
        spans = self._spans[start - _GAP : start - _GAP + n]
        above = _near(spans / _UNIT_DB - now[:, None])
        columns += list(above.transpose(1, 0, 2))
        fall = np.maximum(_near(levels[start - _FALL : start - _FALL + n] - now), 0)
        columns += self._slowly(above[:, _SLOW], fall)
        places = np.broadcast_to(np.arange(N_BANDS) / N_BANDS, now.shape)
        columns += [places, places**2]
        self._forget()
        return np.stack(columns, axis=-1).astype(np.float32)

    def _append(self, powers: Values) -> None:
        levels = 10 * np.log10(powers)
        totals = 10 * np.log10(powers.mean(axis=1))
        references = np.empty(len(powers))
        loudest = float(totals[0]) if self._loudest is None else self._loudest
        for number, total in enumerate(totals):
            loudest = max(float(total), loudest - _FADING_DB)
            references[number] = loudest
        spans = []
        for number, span_s in enumerate(_SPANS_S):
            keep = np.exp(-HOP_S / span_s)
            state = self._span_states[number]
            means, state = signal.lfilter([1 - keep], [1, -keep], powers, axis=0, zi=state)
            self._span_states[number] = state
            spans.append(10 * np.log10(np.maximum(means, _FLOOR)))
        if self._loudest is None:  # before the start it was as loud as at its first frame
            n = _PAST + LOOKAHEAD
            self._levels = np.repeat(levels[:1], n, axis=0)
            self._references = np.repeat(references[:1], n)
            self._spans = np.full((n, len(_SPANS_S), N_BANDS), 10 * np.log10(_FLOOR))
        self._loudest = loudest
        self._levels = np.concatenate([self._levels, levels])
        self._references = np.concatenate([self._references, references])
        self._spans = np.concatenate([self._spans, np.stack(spans, axis=1)])

    def _slowly(self, above: Values, fall: Values) -> list[Values]:
        """Return means over seconds of (n, spans, bands) and (n, bands), and the deepest falls."""
        keep = np.exp(-HOP_S / _SLOW_S)
        values = np.concatenate([above, fall[:, None]], axis=1)
        b, a = [1 - keep], [1, -keep]
        sums, self._slow_state = signal.lfilter(b, a, values, axis=0, zi=self._slow_state)
        weights, self._weight_state = signal.lfilter(
            b, a, np.ones(len(values)), zi=self._weight_state
        )
        means = sums / weights[:, None, None]
        deepest = np.empty_like(fall)
        forget = np.exp(-HOP_S / _FORGET_S)
        for number, each in enumerate(fall):
            self._falls = np.maximum(each, forget * self._falls)
            deepest[number] = self._falls
        own = [*means[:, : len(_SLOW)].transpose(1, 0, 2), means[:, -1], deepest]
        shared = [np.broadcast_to(each.mean(axis=1, keepdims=True), each.shape) for each in own]
        return [*own, *shared]

    def _forget(self) -> None:
        kept = _PAST + LOOKAHEAD
        self._levels, self._references = self._levels[-kept:], self._references[-kept:]
        self._spans = self._spans[-kept:]


def _near(differences: Values) -> Values:
    """Return differences of levels, in units, as far as they are heard."""
    return np.clip(differences, -_FARTHEST, _FARTHEST)


class BandNet:
    """The network with what it remembers of one recording.

    `weights` are `hidden.N.weight` (out, in) and `hidden.N.bias` of three layers.
    """

    def __init__(self, weights: Mapping[str, FloatArray]) -> None:
        arrays = {name: np.asarray(values, np.float32) for name, values in weights.items()}
        names = [f"layers.{number}" for number in (0, 2, 4)]
        self._layers = [(arrays[f"{n}.weight"].T.copy(), arrays[f"{n}.bias"]) for n in names]
        self._features = Features()

    def push(self, powers: FloatArray) -> FloatArray:
        """Return gains (n, N_BANDS), of LOOKAHEAD frames before each of (n, N_BANDS) powers."""
        values = self._features.push(powers)
        (first, first_bias), (second, second_bias), (last, last_bias) = self._layers
        values = np.tanh(values @ first + first_bias)
        values = np.tanh(values @ second + second_bias)
        gains: FloatArray = 1 / (1 + np.exp(-(values @ last + last_bias)))
        return gains[..., 0]
