"""What computed drums are made of: sums of modes, membranes whose pitch falls, shaped noise."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal, special

from separation.training.drums.recorded import RATE, FloatArray

_BLOCK = 256


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def modal(
    rng: np.random.Generator,
    hertz: NDArray[np.float64],
    gains: NDArray[np.float64],
    taus_s: NDArray[np.float64],
    seconds: float,
) -> FloatArray:
    """Sum decaying sines, each with phases of its own left and right; (channels, n).

    `gains` are (channels, modes). A block's start times the way from there to each of its samples
    is a product of two matrices, so hundreds of modes cost little.
    """
    n_blocks = int(np.ceil(seconds * RATE / _BLOCK))
    steps = (2j * np.pi * hertz - 1 / taus_s) / RATE
    phases = np.exp(2j * np.pi * rng.random(gains.shape))
    starts = np.exp(steps * (_BLOCK * np.arange(n_blocks))[:, np.newaxis])
    inner = np.exp(steps[:, np.newaxis] * np.arange(_BLOCK)).astype(np.complex64)
    outer = ((gains * phases)[:, np.newaxis] * starts).astype(np.complex64)
    return np.asarray((outer @ inner).real.reshape(gains.shape[0], -1), np.float32)


@cache
def membrane_ratios() -> NDArray[np.float64]:
    """Return the modes of an ideal circular membrane, relative to the lowest.

    Zeros of the Bessel functions (Fletcher & Rossing, The Physics of Musical Instruments, 18.1).
    """
    zeros = np.concatenate([special.jn_zeros(order, 4) for order in range(7)])
    return np.asarray(np.sort(zeros)[:16] / np.sort(zeros)[0])


def membrane(
    rng: np.random.Generator,
    hertz: float,
    tau_s: float,
    *,
    drop: float,
    drop_s: float,
    n_modes: int,
    seconds: float,
    tilt: float = 1.0,
) -> FloatArray:
    """Return a struck membrane, (1, n): its tension, and so its pitch, falls after the stroke.

    Parameters
    ----------
    drop : float
        By how much the pitch is higher at first, as a share of it.
    tilt : float
        How much weaker and shorter higher modes are.
    """
    times = np.arange(int(seconds * RATE), dtype=np.float32) / RATE
    swept = times + np.float32(drop * drop_s) * (1 - np.exp(-times / np.float32(drop_s)))
    ratios = membrane_ratios()[:n_modes] ** rng.uniform(0.85, 1.05)
    ratios = ratios * np.exp(rng.normal(0, 0.01, ratios.size))
    out = np.zeros_like(times)
    for ratio in ratios:
        gain = rng.uniform(0.3, 1.0) * ratio**-tilt if ratio > 1.001 else 1.0
        tau = tau_s * ratio ** (-0.7 * tilt) * np.exp(rng.normal(0, 0.3))
        phase = np.float32(2 * np.pi * hertz * ratio) * swept + np.float32(rng.uniform(0, 0.5))
        out += np.float32(gain) * np.sin(phase) * np.exp(-times / np.float32(tau))
    return np.asarray(out[np.newaxis], np.float32)


def noise(
    rng: np.random.Generator,
    seconds: float,
    band_hz: tuple[float, float],
    tau_s: float,
    *,
    attack_s: float = 0.0,
    slope: float = 12.0,
    channels: int = 1,
) -> FloatArray:
    """Return noise of a band that dies away, (channels, n); `slope` is in dB per octave."""
    n = int(seconds * RATE)
    white = rng.standard_normal((channels, n), dtype=np.float32)
    size = fft.next_fast_len(n, real=True)
    bins = np.maximum(fft.rfftfreq(size, 1 / RATE), 1.0)
    low, high = band_hz
    order = slope / 6.02
    response = 1 / np.sqrt((1 + (low / bins) ** (2 * order)) * (1 + (bins / high) ** (2 * order)))
    shaped = fft.irfft(fft.rfft(white, size) * response.astype(np.float32), size)[:, :n]
    shaped /= np.sqrt(np.square(shaped).mean()) + 1e-9
    return np.asarray(shaped * envelope(n, tau_s, attack_s), np.float32)


def envelope(n: int, tau_s: float, attack_s: float = 0.0) -> FloatArray:
    """Return an exponential decay, after a rise where `attack_s` says so; (n,)."""
    times = np.arange(n, dtype=np.float32) / RATE
    fall = np.exp(-times / np.float32(tau_s))
    if attack_s <= 0:
        return fall
    return np.asarray(fall * (1 - np.exp(-times / np.float32(attack_s))), np.float32)


def click(rng: np.random.Generator, n: int, hertz: float) -> FloatArray:
    """Return the short knock of a stick or beater, (1, n)."""
    burst = noise(rng, 0.03, (hertz / 2, hertz * 2), log_uniform(rng, 0.0008, 0.005))
    out = np.zeros((1, n), np.float32)
    out[:, : burst.shape[1]] = burst[:, :n]
    return out


def together(*parts: tuple[FloatArray, float]) -> FloatArray:
    """Sum sounds, each with the level (peak) that it is to have; the longest counts."""
    n = max(part.shape[1] for part, _ in parts)
    channels = max(part.shape[0] for part, _ in parts)
    out = np.zeros((channels, n), np.float32)
    for part, peak in parts:
        loudest = float(np.abs(part).max(initial=0.0))
        if loudest > 0:
            out[:, : part.shape[1]] += part * np.float32(peak / loudest)
    return out


def band_pass(sound: FloatArray, low: float, high: float) -> FloatArray:
    """Keep a band (Butterworth, second order on each side)."""
    sections = signal.butter(2, (low, min(high, 20_000)), "bandpass", fs=RATE, output="sos")
    return np.asarray(signal.sosfilt(sections.astype(np.float32), sound), np.float32)


def high_pass(sound: FloatArray, hertz: float) -> FloatArray:
    """Take away what lies below `hertz` (Butterworth, fourth order)."""
    sections = signal.butter(4, hertz, "highpass", fs=RATE, output="sos")
    return np.asarray(signal.sosfilt(sections.astype(np.float32), sound), np.float32)
