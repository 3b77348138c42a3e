"""Strings that are plucked or struck: guitars, clavinets, harpsichords, pianos, harps.

A string is the sum of its modes (Fletcher and Rossing, The Physics of Musical Instruments,
chapters 2 and 9): stiff, so a little sharp; quiet where it is plucked or heard at a node; each mode
dying away at its own time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from separation.training.instruments.programs import Kind
from separation.training.instruments.synthesis import tools
from separation.training.instruments.synthesis.tools import Instrument, between

if TYPE_CHECKING:
    from separation.training.instruments.synthesis.tools import Curve, Samples


class _String:
    """One kind of string: where it is plucked, how stiff and how lossy it is."""

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        pluck: tuple[float, float],
        decay_s: tuple[float, float],
        soft: tuple[float, float],
        stiff: tuple[float, float] = (1e-5, 3e-4),
        most: int = 60,
    ) -> None:
        self._pluck = float(rng.uniform(*pluck))
        self._decay_s = between(rng, *decay_s)
        self._loss = between(rng, 0.002, 0.03)
        self._soft = float(rng.uniform(*soft))
        self._stiff = between(rng, *stiff)
        self._bright = float(rng.uniform(0.2, 1.0))
        self._beat = between(rng, 0.05, 1.0)
        self._pickup = float(rng.uniform(0.08, 0.3))
        self._most = most

    def sound(
        self, rng: np.random.Generator, key: float, velocity: float, *, pickup: bool = False
    ) -> Curve:
        """Return the string's motion, or what a magnetic pickup hears of it."""
        count = np.arange(1, tools.count_below(key, self._most) + 1)
        base = tools.hertz(key)
        modes = base * count * np.sqrt(1 + self._stiff * count**2)
        place = self._pluck * rng.uniform(0.85, 1.15)
        steep = self._soft + self._bright * (1 - velocity)
        gains = np.sin(np.pi * count * place) / count**steep
        if pickup:
            gains = gains * np.sin(np.pi * count * self._pickup)
        long = self._decay_s * 2 ** (-(key - 52) / 24)
        decays = np.asarray(long / (1 + self._loss * (count - 1) ** 1.5), np.float64)
        gains = gains / np.abs(gains).max()
        first = tools.ringing(rng, modes, gains, decays, sine=True)
        # The second plane of motion is a little out of tune and lives longer: the note beats.
        few = count <= 12
        second = modes[few] + self._beat
        return first + 0.4 * tools.ringing(rng, second, gains[few], 1.6 * decays[few])


def _pick(rng: np.random.Generator, loud: float, low: float, high: float) -> Curve:
    """Return the noise of a pick or a key, some milliseconds long."""
    burst = tools.noise(rng) * np.exp(-tools.TIMES / rng.uniform(0.001, 0.008))
    return loud * tools.band(burst, low, high)


def acoustic_guitar(rng: np.random.Generator) -> Instrument:
    """Draw a guitar with steel or nylon strings, a banjo, a ukulele, a mandolin."""
    nylon, small = rng.random() < 0.35, rng.random() < 0.2
    string = _String(
        rng,
        pluck=(0.08, 0.32),
        decay_s=(1.2, 3.5) if nylon else (2.0, 7.0),
        soft=(0.7, 1.3) if nylon else (0.2, 0.9),
    )
    body = tools.draw_body(rng, 90, 6000, int(rng.integers(6, 14)), 8, rng.uniform(-3, 10))
    noisy = between(rng, 0.02, 0.4)
    double = rng.random() < 0.15
    kind = Kind("acoustic_guitar", "small" if small else "acoustic", 52 if small else 40, 84)

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        sound = string.sound(rng, key, velocity) + _pick(rng, noisy, 800, 7000)
        if double:
            late = np.roll(string.sound(rng, key + rng.uniform(0.03, 0.1), velocity), 300)
            sound = sound + late
        return body.colour(sound)

    return Instrument(kind, render)


def electric_guitar(rng: np.random.Generator) -> Instrument:
    """Draw an electric guitar before its amplifier: string, pickup, tone."""
    string = _String(rng, pluck=(0.05, 0.3), decay_s=(3.0, 10.0), soft=(0.5, 1.2))
    tone = between(rng, 1800, 8000)
    peak = rng.uniform(0, 8)
    body = tools.Body((60.0, tone / 2, tone, 1.6 * tone, 4 * tone), (0.0, 0.0, peak, -6, -36))
    noisy = between(rng, 0.01, 0.2)

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        sound = string.sound(rng, key, velocity, pickup=True)
        return body.colour(sound + _pick(rng, noisy, 1000, 6000))

    return Instrument(Kind("electric_guitar", "clean", 40, 86), render)


def clavinet(rng: np.random.Generator) -> Instrument:
    """Draw a clavinet: a string struck at its end, two pickups, the damper's thud at the end."""
    string = _String(
        rng, pluck=(0.02, 0.08), decay_s=(0.8, 3.5), soft=(0.2, 0.8), stiff=(3e-5, 5e-4)
    )
    body = tools.draw_body(rng, 200, 5000, 4, 8, rng.uniform(-4, 8))
    noisy = between(rng, 0.02, 0.3)

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        sound = string.sound(rng, key, velocity, pickup=True)
        return body.colour(sound + _pick(rng, noisy, 300, 4000))

    return Instrument(Kind("piano", "clavinet", 36, 84), render)


def harpsichord(rng: np.random.Generator) -> Instrument:
    """Draw a harpsichord, with the octave choir coupled now and then."""
    string = _String(rng, pluck=(0.06, 0.16), decay_s=(2.0, 6.0), soft=(0.2, 0.7), most=80)
    body = tools.draw_body(rng, 150, 7000, 8, 8, rng.uniform(0, 6))
    coupled = rng.uniform(0.2, 0.8) if rng.random() < 0.5 else 0.0

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        sound = string.sound(rng, key, 0.8) + _pick(rng, 0.15, 1500, 9000)
        if coupled:
            sound = sound + coupled * string.sound(rng, key + 12, 0.8)
        return body.colour(sound)

    return Instrument(Kind("piano", "harpsichord", 36, 86), render)


def grand_piano(rng: np.random.Generator) -> Instrument:
    """Draw a piano: two or three strings a note, a hammer, a soundboard."""
    string = _String(
        rng, pluck=(0.1, 0.14), decay_s=(4.0, 16.0), soft=(0.7, 1.5), stiff=(1e-4, 8e-4)
    )
    body = tools.draw_body(rng, 60, 6000, 10, 5, rng.uniform(4, 20))
    spread = between(rng, 0.003, 0.12)
    noisy = between(rng, 0.02, 0.2)

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        sound = _pick(rng, noisy, 100, 1500)
        for _ in range(2):
            sound = sound + string.sound(rng, key + rng.uniform(-spread, spread), velocity)
        return body.colour(sound)

    return Instrument(Kind("piano", "grand", 28, 96), render)


def harp(rng: np.random.Generator) -> Instrument:
    """Draw a harp, or strings of an orchestra that are plucked."""
    pizzicato = rng.random() < 0.5
    decay = (0.25, 0.9) if pizzicato else (1.5, 5.0)
    string = _String(rng, pluck=(0.2, 0.45), decay_s=decay, soft=(1.2, 2.2))
    body = tools.draw_body(rng, 120, 4000, 8, 8, rng.uniform(4, 18))
    family = "pizzicato" if pizzicato else "harp"

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        return body.colour(string.sound(rng, key, velocity) + _pick(rng, 0.1, 200, 2500))

    return Instrument(Kind("strings", family, 36, 93), render)
