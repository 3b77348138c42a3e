"""Synthesizers: subtractive, frequency modulation, wavetables; leads, plucks, pads, brass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from separation.training import effects
from separation.training.effects import RATE
from separation.training.instruments.programs import Kind
from separation.training.instruments.synthesis import tools
from separation.training.instruments.synthesis.tools import FRAMES, TIMES, Instrument, between

if TYPE_CHECKING:
    from collections.abc import Callable

    from separation.training.instruments.synthesis.tools import Curve, Samples

    Source = Callable[[np.random.Generator, float, float], Curve]


def synthesizer(rng: np.random.Generator) -> Instrument:
    """Draw a synthesizer: sources, a filter that moves, an envelope for its use."""
    family = str(rng.choice(["lead", "pad", "brass", "lead"]))
    source = (_subtractive, _supersaw, _frequency, _wavetable)[
        int(rng.choice(4, p=[0.4, 0.2, 0.25, 0.15]))
    ](rng)
    shape = _envelope_for(rng, family)
    sweep = _sweep_for(rng, family)
    sustained = family != "lead" or float(shape[-1]) > 0.2
    low, high = (36, 88) if family == "pad" else (40, 92)

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        sound = (source(rng, key, velocity) * shape)[np.newaxis].astype(np.float32)
        cut, sharp = sweep(key, velocity)
        return np.asarray(effects.sweep_low_pass(sound, cut, sharp)[0], np.float32)

    return Instrument(Kind("synth", family, low, high, sustained), render)


def _envelope_for(rng: np.random.Generator, family: str) -> Curve:
    if family == "pad":
        return tools.envelope(between(rng, 0.05, 0.9), 1.0, rng.uniform(0.7, 1.0))
    if family == "brass":
        return tools.envelope(between(rng, 0.01, 0.1), 0.5, rng.uniform(0.5, 1.0))
    plucked = rng.random() < 0.5
    sustain = 0.0 if plucked else rng.uniform(0.3, 1.0)
    return tools.envelope(between(rng, 0.001, 0.03), between(rng, 0.08, 0.8), sustain)


def _sweep_for(
    rng: np.random.Generator, family: str
) -> Callable[[float, float], tuple[Curve, float]]:
    """Draw a filter's motion: cutoff in hertz at each block of the effects, and its sharpness."""
    base, amount = between(rng, 200, 6000), rng.uniform(0, 4.5)
    attack = between(rng, 0.005, 0.8) if family != "lead" else between(rng, 0.001, 0.05)
    shape = tools.envelope(attack, between(rng, 0.05, 1.5), rng.uniform(0, 0.8))
    sharp, track = between(rng, 0.6, 6.0), rng.uniform(0, 1)
    wobble, wobble_hz = rng.uniform(0, 1) * (rng.random() < 0.2), between(rng, 0.3, 8)

    def sweep(key: float, velocity: float) -> tuple[Curve, float]:
        octaves = amount * velocity * shape + track * (key - 60) / 12
        octaves = octaves + wobble * np.sin(2 * np.pi * wobble_hz * TIMES)
        return np.clip(base * 2**octaves, 80, 20_000), sharp

    return sweep


def _subtractive(rng: np.random.Generator) -> Source:
    """One to three oscillators of some waves, apart in tuning and octave, with noise."""
    count = int(rng.integers(1, 4))
    waves = [str(rng.choice(["saw", "pulse", "triangle"])) for _ in range(count)]
    steps = [float(rng.choice([-12, 0, 0, 0, 7, 12])) for _ in range(count)]
    steps[0] = 0.0
    apart = rng.normal(0, between(rng, 0.01, 0.15), count)
    width, moving = rng.uniform(0.08, 0.5), rng.uniform(0, 0.35) * (rng.random() < 0.5)
    hiss = between(rng, 0.002, 0.2) * (rng.random() < 0.3)
    deep = rng.uniform(0, 0.4) * (rng.random() < 0.4)

    def source(rng: np.random.Generator, key: float, velocity: float) -> Curve:
        sound = hiss * tools.noise(rng)
        sway = tools.vibrato(rng, deep)
        for wave, step, detune in zip(waves, steps, apart.tolist(), strict=True):
            pitch = tools.hertz(key + step + detune)
            phase = tools.phase_of(pitch * 2 ** (sway / 12), rng.random())
            if wave == "saw":
                sound = sound + tools.saw(phase, pitch / RATE)
            elif wave == "pulse":
                turn = width + moving * np.sin(2 * np.pi * 0.7 * TIMES)
                sound = sound + tools.pulse(phase, pitch / RATE, np.clip(turn, 0.03, 0.97))
            else:
                sound = sound + 4 * np.abs(phase % 1.0 - 0.5) - 1
        return sound

    return source


def _supersaw(rng: np.random.Generator) -> Source:
    """Five to nine sawtooths around one pitch."""
    apart = np.sort(rng.uniform(-1, 1, int(rng.integers(5, 10)))) * between(rng, 0.05, 0.4)
    octave = 0.5 * (rng.random() < 0.4)

    def source(rng: np.random.Generator, key: float, velocity: float) -> Curve:
        sound = np.zeros(FRAMES)
        for detune in apart.tolist():
            pitch = tools.hertz(key + detune)
            sound += tools.saw(tools.phase_of(pitch, rng.random()), pitch / RATE)
        if octave:
            pitch = tools.hertz(key + 12)
            sound += octave * tools.saw(tools.phase_of(pitch, rng.random()), pitch / RATE)
        return sound

    return source


def _frequency(rng: np.random.Generator) -> Source:
    """Two or three operators in a chain; the ratios are whole, halves or out of tune."""
    ratios = rng.choice([0.5, 1, 1, 2, 2, 3, 4, 5, 7, 1.41, 3.5], 2)
    indices = [between(rng, 0.2, 5.0), between(rng, 0.1, 2.0)]
    falls = [between(rng, 0.05, 3.0), between(rng, 0.05, 3.0)]
    holds = rng.uniform(0, 0.8, 2)
    apart = rng.uniform(0, 0.003)

    def source(rng: np.random.Generator, key: float, velocity: float) -> Curve:
        turn = 2 * np.pi * tools.phase_of(tools.hertz(key), rng.random())
        moved = [
            index * (0.3 + velocity) * tools.envelope(0.002, fall, hold)
            for index, fall, hold in zip(indices, falls, holds.tolist(), strict=True)
        ]
        top = moved[1] * np.sin(float(ratios[1]) * turn)
        middle = moved[0] * np.sin(float(ratios[0]) * turn * (1 + apart) + top)
        return np.asarray(np.sin(turn + middle), np.float64)

    return source


def _wavetable(rng: np.random.Generator) -> Source:
    """Morph between two drawn spectra of harmonics."""
    size = int(rng.integers(6, 40))
    steep = rng.uniform(0.5, 1.8)
    one, other = rng.normal(0, 1, (2, size)) / np.arange(1, size + 1) ** steep
    speed = between(rng, 0.2, 3.0)

    def source(rng: np.random.Generator, key: float, velocity: float) -> Curve:
        count = tools.count_below(key, size)
        phase = tools.phase_of(tools.hertz(key), rng.random())
        share = 0.5 - 0.5 * np.cos(2 * np.pi * TIMES / (speed * 2))
        first = tools.harmonics(phase, one[:count])
        return first * (1 - share) + tools.harmonics(phase, other[:count]) * share

    return source
