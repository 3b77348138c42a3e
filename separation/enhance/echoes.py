"""Finds echoes in a stretch of a recording: how late they come, how loud, through which filter.

A sound y that holds an echo of delay D is told from one that merely repeats itself by its quiet
moments. Where y(t) is soft and y(t - D) was loud, an echo says what y(t) must be; where y(t) is
soft and y(t + D) is loud, it says nothing. The prediction of y from what lay D before, weighted by
how soft y is, is compared with that from what lies D ahead: for an echo they differ, for a beat,
which repeats itself both ways, they do not. The weights are those of weighted prediction errors.

References
----------
Nakatani et al., Speech Dereverberation Based on Variance-Normalized Delayed Linear Prediction,
2010. https://doi.org/10.1109/TASL.2010.2052251
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft
import soxr  # type: ignore[import-untyped]
from scipy import linalg, ndimage

from separation.enhance.steps import FloatArray

Samples = npt.NDArray[np.float64]

# Delays that are looked for.
SHORTEST_S, LONGEST_S = 0.06, 0.7

# They are looked for at this rate in Hz, or at the recording's if it is lower.
_RATE = 8000
# How well the past predicts at least, and by how much better than the future; less is enough for
# an echo that was there before.
_LEAST, _LEAST_DIFFERENCE = 0.08, 0.05
_STILL = 0.03
# A peak is so much higher than nine tenths of what lies about it. The sound of a room has none.
_PROMINENCE, _BESIDE_S = 2.5, (0.003, 0.025)

# An echo comes again, each time so much softer than the time before as the first is than the sound
# (1), or not at all (0), or something between.
_RETURNS = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOST_ECHOES = 3

_FILTER_S = 0.0015  # to each side of the delay
_LOW_ROUNDS, _ROUNDS = 4, 2
_ENERGY_S, _FLOOR = 0.02, 0.03
_RIDGE = 1e-3

# Spectra are made even over so many Hz: echoes come back every 1.5 to 17 Hz, voices do not.
_EVEN_HZ, _LOWEST_HZ, _TONE = 60.0, 80.0, 2.0
_SOFTEST = 1e-7  # of the mean power: what is below is nothing but rounding


@dataclass(frozen=True, slots=True)
class Low:
    """An echo as it is found in one channel at the low rate: `taps` are (2 * reach + 1,)."""

    delay: int
    returns: float
    taps: Samples


@dataclass(frozen=True, slots=True)
class Echo:
    """One echo: a filter around a delay, and what is fed into it.

    What is predicted of y(t) is `taps`, (channels, 2 * reach + 1), the oldest last, applied to
    `returns` * y(t - delay) + (1 - `returns`) * x(t - delay), where x is what is left without it.
    """

    delay: int  # samples
    returns: float
    taps: FloatArray
    low: Low

    @property
    def reach(self) -> int:
        return int(self.taps.shape[1]) // 2


def find(samples: FloatArray, sample_rate: int, known: tuple[Echo, ...] = ()) -> tuple[Echo, ...]:
    """Return the echoes in (channels, n) samples, in the order in which they are taken out.

    `known` are those of the stretch before: while they explain what is heard, they are kept.
    """
    rate = min(_RATE, sample_rate)
    mono = samples.mean(axis=0, dtype=np.float64)
    if len(mono) < 3 * LONGEST_S * sample_rate or not mono.any():
        return ()
    low = np.asarray(soxr.resample(mono, sample_rate, rate), np.float64)
    heard = _even(low, rate, most=_TONE)
    if known and _explain([echo.low for echo in known], heard, rate):
        return known
    found: list[Low] = []
    while len(found) < _MOST_ECHOES and (delay := _strongest(heard, rate)):
        echo, heard = _fitted_low(heard, delay, rate)
        found.append(echo)
    return _refined(samples, sample_rate, rate, found)


def _explain(known: Sequence[Low], heard: Samples, rate: int) -> bool:
    """Say whether the first of the echoes is there still, and none is heard without them."""
    past, _ = prediction(heard, rate)
    if past[known[0].delay] < _STILL:
        return False
    for echo in known:
        heard = cancelled(heard, echo.delay, echo.returns, echo.taps)
    past, _ = prediction(heard, rate)
    return abs(past[known[0].delay]) < _LEAST and not _strongest(heard, rate)


def _strongest(heard: Samples, rate: int) -> int:
    """Return the delay of the clearest echo; 0 if there is none."""
    past, future = prediction(heard, rate)
    first, last = round(SHORTEST_S * rate), round(LONGEST_S * rate)
    delay = first + int(np.argmax(past[first:last]))
    least = max(_LEAST, _PROMINENCE * _beside(past, delay, rate))
    is_echo = past[delay] > least and past[delay] - abs(future[delay]) > _LEAST_DIFFERENCE
    return delay if bool(is_echo) else 0


def _beside(past: Samples, delay: int, rate: int) -> float:
    """Return what nine tenths of the predictions around a delay are below."""
    near, far = (round(s * rate) for s in _BESIDE_S)
    around = [past[max(0, delay - far) : delay - near], past[delay + near : delay + far]]
    return float(np.quantile(np.abs(np.concatenate(around)), 0.9))


def prediction(heard: Samples, rate: int) -> tuple[Samples, Samples]:
    """Return how well each delay predicts: from the past and from the future, by the delay.

    It is the weighted regression of y(t) on y(t - delay), and on y(t + delay).
    """
    energy = _energy(heard, rate)
    weights = 1 / (energy + _FLOOR * energy.mean() + 1e-30)
    n = len(heard)
    size = scipy.fft.next_fast_len(2 * n, real=True)

    def transformed(values: Samples) -> npt.NDArray[np.complex128]:
        return np.asarray(scipy.fft.rfft(values, size))

    products = scipy.fft.irfft(transformed(weights * heard) * transformed(heard).conj(), size)
    powers = scipy.fft.irfft(transformed(weights) * transformed(heard**2).conj(), size)
    slopes = products / np.maximum(powers, 1e-6 * powers.max() + 1e-30)
    reach = min(n, round(2.2 * LONGEST_S * rate))
    return slopes[:reach], np.concatenate([slopes[:1], slopes[:-reach:-1]])


def _fitted_low(heard: Samples, delay: int, rate: int) -> tuple[Low, Samples]:
    """Return the echo of a delay, and what is left without it.

    The best is that of which least is left at the delay and at twice and three times it.
    """
    reach = round(_FILTER_S * rate)
    trials = []
    for returns in _RETURNS:
        taps = fitted(heard, rate, delay, returns, reach, rounds=_LOW_ROUNDS)
        left = cancelled(heard, delay, returns, taps)
        past, _ = prediction(left, rate)
        places = [n * delay for n in (1, 2, 3) if n * delay + 3 < len(past)]
        rest = sum(float(np.abs(past[place - 2 : place + 3]).max()) for place in places)
        trials.append((rest, Low(delay, returns, taps), left))
    _, echo, left = min(trials, key=lambda trial: trial[0])
    return echo, left


def _refined(
    samples: FloatArray, sample_rate: int, rate: int, found: Sequence[Low]
) -> tuple[Echo, ...]:
    """Fit each channel's filters at the recording's own rate, one echo after the other."""
    if not found:
        return ()
    left = [_even(channel.astype(np.float64), sample_rate) for channel in samples]
    reach = max(1, round(_FILTER_S * sample_rate))
    echoes = []
    for low in found:
        delay, gain = round(low.delay * sample_rate / rate), float(low.taps.sum())
        rows = []
        for number, channel in enumerate(left):
            taps = fitted(
                channel, sample_rate, delay, low.returns, reach, rounds=_ROUNDS, gain=gain
            )
            left[number] = cancelled(channel, delay, low.returns, taps)
            rows.append(taps)
        echoes.append(Echo(delay, low.returns, np.stack(rows).astype(np.float32), low))
    return tuple(echoes)


def fitted(
    heard: Samples,
    rate: int,
    delay: int,
    returns: float,
    reach: int,
    *,
    rounds: int,
    gain: float = 0.0,
) -> Samples:
    """Return the filter (2 * reach + 1,) around a delay that leaves least of an echo.

    Each round weights the errors by how soft the sound without its echo was after the last one.
    `gain` is where the first one starts.
    """
    taps = np.zeros(2 * reach + 1)
    taps[reach] = gain
    if not heard.any():
        return taps * 0
    for _ in range(rounds):
        left = cancelled(heard, delay, returns, taps) if taps.any() else heard
        energy = _energy(left, rate)
        weights = 1 / np.sqrt(energy + _FLOOR * energy.mean())
        fed = np.zeros_like(heard)
        fed[delay:] = (returns * heard + (1 - returns) * left)[:-delay]
        across, own = _correlations(weights * heard, weights * fed, reach)
        own[0] *= 1 + _RIDGE
        taps = linalg.solve_toeplitz(own, across)
    return taps


def cancelled(heard: Samples, delay: int, returns: float, taps: Samples) -> Samples:
    """Return what is left of (n,) samples without an echo; nothing came before the first one."""
    reach = len(taps) // 2
    before = delay + reach
    padded = np.concatenate([np.zeros(before), heard])
    left = np.zeros_like(padded)
    for first in range(before, len(padded), delay - reach):
        last = min(first + delay - reach, len(padded))
        span = slice(first - delay - reach, last - delay + reach)
        fed = returns * padded[span] + (1 - returns) * left[span]
        left[first:last] = padded[first:last] - np.convolve(fed, taps, "valid")
    return left[before:]


def _correlations(target: Samples, fed: Samples, reach: int) -> tuple[Samples, Samples]:
    """Return those of both, from -reach to reach, and of `fed` with itself, from 0 to 2 * reach."""
    size = scipy.fft.next_fast_len(len(fed) + 2 * reach + 1, real=True)
    spectrum = scipy.fft.rfft(fed, size)
    across = scipy.fft.irfft(scipy.fft.rfft(target, size) * spectrum.conj(), size)
    own = scipy.fft.irfft(np.abs(spectrum) ** 2, size)
    return np.concatenate([across[-reach:], across[: reach + 1]]), own[: 2 * reach + 1]


def _energy(samples: Samples, rate: int) -> Samples:
    """Return the mean power around each sample."""
    mean: Samples = ndimage.uniform_filter1d(samples**2, max(1, round(_ENERGY_S * rate)))
    return np.maximum(mean, 0)


def _even(samples: Samples, rate: int, most: float | None = None) -> Samples:
    """Return samples with an even spectrum; tones stand out of it `most` times at most."""
    n = len(samples)
    size = scipy.fft.next_fast_len(n, real=True)
    spectrum = scipy.fft.rfft(samples, size)
    power = np.abs(spectrum) ** 2
    smooth = ndimage.uniform_filter1d(power, max(3, round(_EVEN_HZ * size / rate)))
    spectrum /= np.sqrt(smooth + _SOFTEST * power.mean() + 1e-30)
    if most is not None:
        spectrum *= np.minimum(1, most / np.maximum(np.abs(spectrum), 1e-9))
        spectrum[: round(_LOWEST_HZ * size / rate)] = 0
    even: Samples = scipy.fft.irfft(spectrum, size)[:n]
    return even
