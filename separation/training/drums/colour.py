"""How a one-shot is made to sound like one of a recorded kit: all that is linear in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from separation.training.drums.recorded import RATE, FloatArray

ComplexArray = NDArray[np.complex64]

_GRID_HZ = np.concatenate([[0.0], np.geomspace(8, RATE / 2, 300)]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Curve:
    """An equalizer of second-order filters: each (kind, Hz, dB, sharpness), as analogue ones.

    Kinds: `low` and `high` shelves, `bell`, and `cut`, a low-pass.
    """

    filters: tuple[tuple[str, float, float, float], ...]

    @classmethod
    def drawn(cls, rng: np.random.Generator, amount_db: float) -> Curve:
        """Draw shelves at the ends and two bells, about `amount_db` up or down."""
        gains = np.clip(rng.normal(0, amount_db, 4), -3 * amount_db, 3 * amount_db)
        return cls(
            (
                ("low", float(rng.uniform(60, 300)), float(gains[0]), 0.7),
                ("bell", float(np.exp(rng.uniform(*np.log((100, 1000))))), float(gains[1]), 1.0),
                ("bell", float(np.exp(rng.uniform(*np.log((800, 8000))))), float(gains[2]), 1.2),
                ("high", float(rng.uniform(3000, 12_000)), float(gains[3]), 0.7),
            )
        )

    def response(self, hertz: FloatArray) -> ComplexArray:
        """Return the gain at each frequency (Zoelzer, Digital Audio Signal Processing, 5.2)."""
        total = np.ones(hertz.size, np.complex64)
        for kind, centre, gain_db, sharpness in self.filters:
            s = (1j * hertz / np.float32(centre)).astype(np.complex64)
            root = np.float32(10 ** (gain_db / 40))
            square, width = s * s, np.float32(1 / sharpness)
            if kind == "bell":
                total *= (square + root * width * s + 1) / (square + width / root * s + 1)
                continue
            if kind == "cut":
                total /= square + width * s + 1
                continue
            damped = np.float32(np.sqrt(root)) * width * s
            if kind == "low":
                total *= root * (square + damped + root) / (root * square + damped + 1)
            else:
                total *= root * (root * square + damped + 1) / (square + damped + root)
        return total

    def smooth_response(self, hertz: FloatArray) -> ComplexArray:
        """Return `response`, computed where it matters and interpolated between."""
        exact = self.response(_GRID_HZ)
        real, imaginary = (np.interp(hertz, _GRID_HZ, part) for part in (exact.real, exact.imag))
        return np.asarray(real + 1j * imaginary, np.complex64)


class Room:
    """What the room and the overheads add to each stroke: a short stereo response, (2, n)."""

    def __init__(self, response: FloatArray) -> None:
        self.response = response
        self._spectra: dict[int, ComplexArray] = {}

    def spectrum(self, size: int) -> ComplexArray:
        """Return the response's Fourier transform of that size."""
        if size not in self._spectra:
            self._spectra[size] = fft.rfft(self.response, size)
        return self._spectra[size]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Room:
        """Draw early reflections and a tail that dies away and gets darker."""
        decay_s = float(np.exp(rng.uniform(*np.log((0.06, 0.6)))))
        n = int(min(decay_s, 0.5) * RATE)
        times = np.arange(n, dtype=np.float32) / RATE
        tail = rng.standard_normal((2, n), dtype=np.float32)
        dark = signal.lfilter([0.25], np.array([1, -0.75], np.float32), tail, axis=1)
        tail *= np.exp(-times * np.float32(14 / decay_s))
        tail += 1.5 * dark.astype(np.float32) * np.exp(-times * np.float32(6.9 / decay_s))
        tail[:, : int(rng.uniform(0.0005, 0.012) * RATE)] = 0
        for at in rng.integers(20, n, int(rng.integers(2, 8))):
            tail[:, at] += rng.uniform(-8, 8, 2) * np.exp(-at / (0.015 * RATE))
        tail /= np.float32(np.sqrt(np.square(tail).sum(axis=1).mean()))
        return cls(tail)


def shaped(
    take: FloatArray,
    *,
    semitones: float,
    curve: Curve,
    room: Room | None,
    wet: float,
) -> FloatArray:
    """Return a one-shot, (2, m): coloured, with its room, at another pitch.

    Filter, room and resampling are one pair of Fourier transforms: the inverse one is longer or
    shorter than the first, which moves the pitch without aliasing.
    """
    n_tail = room.response.shape[1] if room else 1024
    # Few sizes, so that a room's spectrum of that size is often there already.
    steps = np.ceil(4 * np.log2(take.shape[1] + n_tail)) / 4
    size = fft.next_fast_len(int(2**steps), real=True)
    spectrum = fft.rfft(take, size)
    hertz = np.arange(spectrum.shape[1], dtype=np.float32) * np.float32(RATE / size)
    spectrum *= curve.smooth_response(hertz)
    if room:
        spectrum += room.spectrum(size) * ((spectrum[0] + spectrum[1]) * np.float32(0.5 * wet))
    moved = fft.next_fast_len(round(size * 2 ** (-semitones / 12)), real=True)
    n_bins = moved // 2 + 1
    if n_bins < spectrum.shape[1]:
        spectrum = spectrum[:, :n_bins]
    return np.asarray(fft.irfft(spectrum, moved) * np.float32(moved / size), np.float32)


def faded(rng: np.random.Generator, take: FloatArray, tau_s: float) -> FloatArray:
    """Let a sound die away sooner, as a damped drum or a gate does."""
    n = take.shape[1]
    hold = int(rng.uniform(0.005, 0.05) * RATE)
    times = np.maximum(np.arange(n, dtype=np.float32) - hold, 0) / RATE
    return take * np.exp(-times / np.float32(tau_s))


def struck(take: FloatArray, amount: float, seconds: float) -> FloatArray:
    """Strengthen (or weaken, below 0) the attack, as a transient shaper does."""
    n = take.shape[1]
    times = np.arange(n, dtype=np.float32) / RATE
    return take * (1 + np.float32(amount) * np.exp(-times / np.float32(seconds)))


def driven(take: FloatArray, drive: float) -> FloatArray:
    """Bend a sound with tanh, its peak kept."""
    peak = float(np.abs(take).max(initial=1e-9))
    return np.asarray(
        np.tanh(take * np.float32(drive / peak)) * np.float32(peak / np.tanh(drive)), np.float32
    )


def softened(take: FloatArray, pole: float) -> FloatArray:
    """Take treble away as a softer stroke does (one pole)."""
    return np.asarray(
        signal.lfilter(np.array([1 - pole], np.float32), np.array([1, -pole], np.float32), take),
        np.float32,
    )
