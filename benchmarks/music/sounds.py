"""Instruments: sums of partials, and drums."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

SAMPLE_RATE = 22_050


@dataclass(frozen=True)
class Instrument:
    """Strengths of the partials, and how they come and go.

    `decay_s` is after how long the first partial is down to a third, None if it holds; higher
    partials decay faster by `brightness_decay`. `vibrato_cents` swings five times a second;
    `stretch` is how much sharper than a multiple the partials are.
    """

    partials: tuple[float, ...]
    attack_s: float
    decay_s: float | None
    brightness_decay: float = 0.0
    vibrato_cents: float = 0.0
    stretch: float = 0.0


INSTRUMENTS: Mapping[str, Instrument] = {
    "piano": Instrument((1, 0.6, 0.35, 0.25, 0.15, 0.1, 0.06, 0.04), 0.004, 1.2, 0.5, 0, 3e-4),
    "organ": Instrument((1, 0.8, 0.1, 0.6, 0.05, 0.1, 0.02, 0.3), 0.02, None),
    "strings": Instrument(tuple(1 / n for n in range(1, 13)), 0.09, None, 0, 18),
    "guitar": Instrument((1, 0.9, 0.7, 0.5, 0.3, 0.25, 0.2, 0.1, 0.1), 0.002, 0.6, 0.9),
    "reed": Instrument((1, 0.05, 0.7, 0.05, 0.45, 0.05, 0.25, 0.03, 0.1), 0.04, None, 0, 8),
    "bell": Instrument((1, 0.15, 0.5, 0.05, 0.3, 0.0, 0.12), 0.001, 0.8, 0.2, 0, 4e-3),
}


def hertz(pitch: float) -> float:
    """The frequency of a MIDI pitch."""
    return float(440 * 2 ** ((pitch - 69) / 12))


def tone(
    instrument: Instrument, pitch: float, seconds: float, random: np.random.Generator
) -> FloatArray:
    """One note, with a fifth of a second in which it dies away."""
    n = int((seconds + 0.2) * SAMPLE_RATE)
    time_s = np.arange(n) / SAMPLE_RATE
    swing = instrument.vibrato_cents / 1200 * np.log(2) / (2 * np.pi * 5)
    phase_s = time_s + swing * (1 - np.cos(2 * np.pi * 5 * time_s))
    sound = np.zeros(n)
    for number, strength in enumerate(instrument.partials, 1):
        frequency = hertz(pitch) * number * (1 + instrument.stretch * (number**2 - 1))
        if frequency > 0.45 * SAMPLE_RATE:
            break
        fading = np.ones(n)
        if instrument.decay_s is not None:
            rate = (1 + instrument.brightness_decay * (number - 1)) / instrument.decay_s
            fading = np.exp(-rate * time_s)
        phase = random.uniform(0, 2 * np.pi)
        sound += strength * fading * np.sin(2 * np.pi * frequency * phase_s + phase)
    rise = np.minimum(1, time_s / instrument.attack_s)
    fall = np.exp(-np.maximum(0, time_s - seconds) / 0.04)
    return (sound * rise * fall / sum(instrument.partials)).astype(np.float32)


def kick(random: np.random.Generator) -> FloatArray:
    time_s = np.arange(int(0.25 * SAMPLE_RATE)) / SAMPLE_RATE
    frequency = 50 + 90 * np.exp(-time_s / 0.03)
    body = np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE)
    return (body * np.exp(-time_s / 0.08)).astype(np.float32)


def snare(random: np.random.Generator) -> FloatArray:
    time_s = np.arange(int(0.2 * SAMPLE_RATE)) / SAMPLE_RATE
    rattle = random.normal(0, 0.4, len(time_s)) * np.exp(-time_s / 0.06)
    body = np.sin(2 * np.pi * 190 * time_s) * np.exp(-time_s / 0.04)
    return np.asarray(0.7 * (rattle + body), np.float32)


def hat(random: np.random.Generator) -> FloatArray:
    time_s = np.arange(int(0.06 * SAMPLE_RATE)) / SAMPLE_RATE
    hiss = np.diff(random.normal(0, 0.3, len(time_s) + 1))
    return (hiss * np.exp(-time_s / 0.015)).astype(np.float32)


def click(random: np.random.Generator) -> FloatArray:
    time_s = np.arange(int(0.03 * SAMPLE_RATE)) / SAMPLE_RATE
    return (np.sin(2 * np.pi * 1000 * time_s) * np.exp(-time_s / 0.006)).astype(np.float32)


DRUMS = {"kick": kick, "snare": snare, "hat": hat, "click": click}


class Canvas:
    """A recording on which sounds are put."""

    def __init__(self, seconds: float) -> None:
        self.samples = np.zeros(int(seconds * SAMPLE_RATE), np.float32)

    def put(self, sound: FloatArray, at_s: float, level: float) -> None:
        start = round(at_s * SAMPLE_RATE)
        n = min(len(sound), len(self.samples) - start)
        if n > 0:
            self.samples[start : start + n] += level * sound[:n]

    def finished(self, random: np.random.Generator) -> FloatArray:
        """Normalised, above a little noise."""
        noise = random.normal(0, 1e-3, len(self.samples)).astype(np.float32)
        peak = max(1e-6, float(np.abs(self.samples).max()))
        finished: FloatArray = 0.7 * self.samples / peak + noise
        return finished
