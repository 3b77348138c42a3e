"""Rooms to learn from: impulse responses drawn at random.

A direct sound, a few early reflections that grow denser, and noise that decays exponentially, high
frequencies faster than low ones (Polack's model). No measured room is among them.

References
----------
Polack, La transmission de l'énergie sonore dans les salles, 1988.
Jot, Cerveau, Warusfel, Analysis and Synthesis of Room Reverberation Based on a Statistical
Time-Frequency Model, 1997.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import signal

FloatArray = npt.NDArray[np.float32]

# What comes within this time of the direct sound is kept: it makes speech clearer, and is no echo.
EARLY_S = 0.05

_BANDS_HZ = (0.0, 250.0, 1000.0, 3000.0, 8000.0)
_LN_60_DB = np.log(1000.0)


def drawn(
    rng: np.random.Generator, sample_rate: int, n_places: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Return impulse responses, and the part of them that is wanted, each (n_places, n).

    Reverberation times are 0.2 to 1.6 s in the middle, the direct sound 8 dB below to 12 dB above
    all the rest. At each place the same room sounds otherwise.
    """
    rt60_s = float(np.exp(rng.uniform(np.log(0.2), np.log(1.6))))
    n = int(min(1.1 * rt60_s, 1.5) * sample_rate)
    late_db = rng.uniform(-12, 8)
    responses = np.empty((n_places, n), np.float32)
    for response in responses:
        response[:] = _tail(rng, n, rt60_s, sample_rate)
        response += _reflections(rng, n, rt60_s, sample_rate)
        response *= np.sqrt(10 ** (late_db / 10) / np.sum(response**2))
        response[0] = 1.0
    wanted = responses.copy()
    wanted[:, int(EARLY_S * sample_rate) :] = 0
    return responses, wanted


def _tail(rng: np.random.Generator, n: int, rt60_s: float, sample_rate: int) -> FloatArray:
    """Return decaying noise that sets in after a few milliseconds."""
    times = np.arange(n) / sample_rate
    noise = rng.standard_normal(n)
    sums = np.zeros(n)
    slope = rng.uniform(0.5, 1.0)  # of the reverberation time, from band to band
    low = rng.uniform(0.9, 1.4)
    for number, edge in enumerate(_BANDS_HZ):
        top = _BANDS_HZ[number + 1] if number + 1 < len(_BANDS_HZ) else None
        own_s = rt60_s * (
            low if number == 0 else slope ** max(0, number - 1) * rng.uniform(0.9, 1.1)
        )
        sums += _band(noise, edge, top, sample_rate) * np.exp(-_LN_60_DB * times / own_s)
    sums *= 1 - np.exp(-times / rng.uniform(0.002, 0.03))
    return sums.astype(np.float32)


def _band(noise: npt.NDArray[np.float64], low: float, high: float | None, rate: int) -> FloatArray:
    spectrum = np.fft.rfft(noise)
    frequencies = np.fft.rfftfreq(len(noise), 1 / rate)
    spectrum[frequencies < low] = 0
    if high is not None:
        spectrum[frequencies >= high] = 0
    return np.fft.irfft(spectrum, len(noise)).astype(np.float32)


def _reflections(rng: np.random.Generator, n: int, rt60_s: float, sample_rate: int) -> FloatArray:
    """Return single reflections within 80 ms, each a little duller than the direct sound."""
    response = np.zeros(n, np.float32)
    for _ in range(rng.integers(4, 24)):
        time_s = rng.uniform(0.001, 0.28) ** 2 * 1.0
        place = int(time_s * sample_rate)
        if place < n:
            gain = rng.uniform(0.2, 0.9) * np.exp(-_LN_60_DB * time_s / rt60_s)
            response[place] += rng.choice([-1, 1]) * gain
    response *= np.sqrt(rng.uniform(0.1, 2.0) / max(1e-9, float(np.sum(response**2))))
    dull = rng.uniform(0.0, 0.6)
    dulled: FloatArray = signal.lfilter([1 - dull], [1, -dull], response).astype(np.float32)
    return dulled
