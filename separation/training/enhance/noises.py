"""Noise to learn from, made up: hiss, hum, rumble, fans, rain, crackle, and mixtures of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import signal

FloatArray = npt.NDArray[np.float32]


def drawn(rng: np.random.Generator, n: int, sample_rate: int) -> FloatArray:
    """Return (n,) samples of noise with a mean power of one."""
    noise = _normal(_coloured(rng, n, sample_rate))
    if rng.random() < 0.35:
        noise += rng.uniform(0.2, 1.5) * _normal(_hum(rng, n, sample_rate))
    if rng.random() < 0.2:
        noise += rng.uniform(0.1, 0.7) * _normal(_crackle(rng, n, sample_rate))
    if rng.random() < 0.3:
        noise *= _slow(rng, n, sample_rate)
    return _normal(noise)


def _normal(samples: FloatArray) -> FloatArray:
    normal: FloatArray = (samples / np.sqrt(np.mean(samples**2) + 1e-12)).astype(np.float32)
    return normal


def _coloured(rng: np.random.Generator, n: int, sample_rate: int) -> FloatArray:
    """Return noise whose spectrum falls or rises, with broad humps and sometimes edges."""
    frequencies = np.fft.rfftfreq(n, 1 / sample_rate)[1:]
    octaves = np.log2(frequencies / 1000)
    level_db = rng.choice([0.0, -3.0, -6.0, 3.0]) * octaves + rng.uniform(-1.5, 1.5) * octaves
    for _ in range(rng.integers(0, 5)):
        place, width = rng.uniform(-4, 4), rng.uniform(0.15, 1.5)
        level_db += rng.uniform(-12, 12) * np.exp(-(((octaves - place) / width) ** 2))
    level_db = np.clip(level_db, -80, 30)
    if rng.random() < 0.4:
        level_db[frequencies < np.exp(rng.uniform(np.log(30), np.log(800)))] -= 40
    if rng.random() < 0.3:
        level_db[frequencies > np.exp(rng.uniform(np.log(1500), np.log(16000)))] -= 40
    spectrum = rng.standard_normal(len(frequencies)) + 1j * rng.standard_normal(len(frequencies))
    spectrum *= 10 ** (level_db / 20)
    return np.fft.irfft(np.append(0, spectrum), n).astype(np.float32)


def _hum(rng: np.random.Generator, n: int, sample_rate: int) -> FloatArray:
    """Return a mains hum, or a motor's, with its harmonics."""
    base_hz = rng.choice([50.0, 60.0, rng.uniform(25, 300)]) * rng.uniform(0.998, 1.002)
    times = np.arange(n) / sample_rate
    hum = np.zeros(n)
    for harmonic in range(1, rng.integers(3, 25)):
        if harmonic * base_hz < sample_rate / 2:
            level = harmonic ** -rng.uniform(0.3, 2.0) * rng.uniform(0, 1)
            hum += level * np.sin(2 * np.pi * (harmonic * base_hz * times + rng.random()))
    return hum.astype(np.float32)


def _crackle(rng: np.random.Generator, n: int, sample_rate: int) -> FloatArray:
    """Return clicks, as of a worn record or of rain."""
    clicks = np.zeros(n, np.float32)
    count = rng.poisson(np.exp(rng.uniform(np.log(5), np.log(2000))) * n / sample_rate) + 1
    clicks[rng.integers(0, n, count)] = rng.standard_normal(count) * rng.pareto(2.5, count)
    decay = rng.uniform(0.3, 0.98)
    ringing: FloatArray = signal.lfilter([1.0], [1, -decay], clicks).astype(np.float32)
    return ringing


def _slow(rng: np.random.Generator, n: int, sample_rate: int) -> FloatArray:
    """Return a gain that wanders by some dB within seconds."""
    points = max(2, int(n / sample_rate * rng.uniform(0.3, 2)) + 2)
    level_db = np.interp(np.arange(n), np.linspace(0, n, points), rng.normal(0, 4, points))
    return (10 ** (level_db / 20)).astype(np.float32)
