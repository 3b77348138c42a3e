"""Electric pianos and organs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from separation.training.instruments.programs import Kind
from separation.training.instruments.synthesis import tools
from separation.training.instruments.synthesis.tools import TIMES, Instrument, between

if TYPE_CHECKING:
    from separation.training.instruments.synthesis.tools import Samples

# The footages of a drawbar organ in proportion to the note: 16', 5 1/3', 8', 4' ... 1'.
_DRAWBARS = np.array([0.5, 1.5, 1, 2, 3, 4, 5, 6, 8])


def electric_piano(rng: np.random.Generator) -> Instrument:
    """Draw an electric piano: a tine or reed before a pickup that bends it, or FM."""
    return _fm_piano(rng) if rng.random() < 0.4 else _tine_piano(rng)


def _tine_piano(rng: np.random.Generator) -> Instrument:
    near, off = rng.uniform(0.3, 0.95), rng.uniform(0.0, 0.6)
    decay, bar = between(rng, 1.5, 6.0), between(rng, 5.5, 9.0)
    bell = between(rng, 0.02, 0.4)
    sway_hz, sway = rng.uniform(3, 7), rng.uniform(0, 0.5) * (rng.random() < 0.4)

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        base = tools.hertz(key)
        long = decay * 2 ** (-(key - 52) / 30)
        modes = np.array([base, base * bar * rng.uniform(0.97, 1.03), base * 17.5])
        gains = np.array([1.0, bell * velocity, 0.3 * bell * velocity])
        motion = tools.ringing(rng, modes, gains, np.array([long, 0.4, 0.1]))
        swing = motion * (0.3 + 0.7 * velocity) / max(float(np.abs(motion).max()), 1e-9)
        # The field of the pickup falls with distance: the closer, the more it bends the tone.
        heard = 1 / (1.05 - near * 0.6 * (swing + off)) ** 2
        heard = np.diff(heard, prepend=heard[0])
        thud = tools.band(tools.noise(rng), 100, 900) * np.exp(-TIMES / 0.006)
        shaken = 1 + sway * np.sin(2 * np.pi * sway_hz * TIMES)
        return np.asarray((heard / np.abs(heard).max() + 0.05 * thud) * shaken, np.float32)

    return Instrument(Kind("piano", "epiano", 36, 88), render)


def _fm_piano(rng: np.random.Generator) -> Instrument:
    ratio = float(rng.choice([1.0, 1.0, 2.0, 3.0, 14.0]))
    index, second = between(rng, 0.3, 3.0), rng.uniform(0, 0.5)
    decay, quick = between(rng, 1.0, 5.0), between(rng, 0.05, 0.8)
    apart = rng.uniform(0, 0.004)

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        phase = 2 * np.pi * tools.phase_of(tools.hertz(key))
        fade = np.exp(-TIMES / (decay * 2 ** (-(key - 52) / 30)))
        deep = index * velocity * np.exp(-TIMES / (4 * quick))
        tone = np.sin(phase + deep * np.sin(ratio * phase))
        tine = second * velocity * np.sin(14 * phase) * np.exp(-TIMES / quick)
        other = np.sin(phase * (1 + apart) + 0.7 * deep * np.sin(phase))
        return np.asarray((tone + 0.6 * other) * fade + tine * fade, np.float32)

    return Instrument(Kind("piano", "epiano", 36, 88), render)


def organ(rng: np.random.Generator) -> Instrument:
    """Draw a drawbar organ with a rotary speaker, a pipe organ or a transistor organ."""
    return (_drawbars, _pipes, _transistor)[int(rng.choice(3, p=[0.6, 0.25, 0.15]))](rng)


def _drawbars(rng: np.random.Generator) -> Instrument:
    pulled = rng.integers(0, 9, _DRAWBARS.size) * (rng.random(_DRAWBARS.size) < 0.6)
    pulled[2] = max(pulled[2], 5)
    gains = np.where(pulled > 0, 10 ** ((pulled - 8) * 3 / 20), 0.0)
    ping = float(rng.uniform(0.3, 1.0)) if rng.random() < 0.4 else 0.0
    click = between(rng, 0.01, 0.3)
    turn_hz = float(rng.choice([0.7, 6.6])) * rng.uniform(0.85, 1.15)
    sway = rng.uniform(0, 0.35) * (rng.random() < 0.75)
    drive = rng.uniform(0.3, 3.0) if rng.random() < 0.5 else 0.0

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        base, around = tools.hertz(key), 2 * np.pi * turn_hz * TIMES
        sound = np.zeros(TIMES.size)
        for ratio, gain in zip(_DRAWBARS.tolist(), gains.tolist(), strict=True):
            if gain and base * ratio < 7000:
                # The horn moves to and fro: pitch and loudness sway, each pipe a little apart.
                turn = tools.phase_of(base * ratio, rng.random())
                wobble = sway * 0.003 * base * ratio / turn_hz * np.sin(around)
                tone = np.sin(2 * np.pi * (turn + 0.159 * wobble))
                sound += gain * (1 + sway * np.sin(around + ratio)) * tone
        sound += ping * np.sin(2 * np.pi * tools.phase_of(3 * base)) * np.exp(-TIMES / 0.15)
        keyed = tools.band(tools.noise(rng), 1000, 6000) * np.exp(-TIMES / 0.003)
        sound = sound / np.abs(sound).max() + click * keyed
        return np.asarray(np.tanh(drive * sound) / drive if drive else sound, np.float32)

    return Instrument(Kind("organ", "organ", 36, 91, True), render)


def _pipes(rng: np.random.Generator) -> Instrument:
    ranks = rng.choice([0.5, 1, 2, 3, 4, 8], int(rng.integers(2, 5)), replace=False)
    steep, odd = rng.uniform(0.8, 2.5), rng.random() < 0.4
    chiff, slow = between(rng, 0.01, 0.2), between(rng, 0.02, 0.12)

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        sound = np.zeros(TIMES.size)
        for ratio in (float(rank) for rank in ranks):
            count = np.arange(1, tools.count_below(key + 12 * np.log2(ratio), 16, 9000) + 1)
            gains = 1 / count**steep
            if odd:
                gains[1::2] *= 0.15
            pitch = tools.hertz(key) * ratio * (1 + rng.normal(0, 0.0008))
            sound += tools.harmonics(tools.phase_of(pitch, rng.random()), gains)
        air = tools.band(tools.noise(rng), 1.5 * tools.hertz(key), 8 * tools.hertz(key))
        rise = tools.envelope(slow, 1.0, 1.0)
        return np.asarray(sound * rise + chiff * air * (0.2 + np.exp(-TIMES / 0.05)), np.float32)

    return Instrument(Kind("organ", "organ", 36, 91, True), render)


def _transistor(rng: np.random.Generator) -> Instrument:
    widths = rng.uniform(0.2, 0.5, 3)
    gains = rng.uniform(0.1, 1.0, 3)
    sway_hz, sway = rng.uniform(5, 7.5), rng.uniform(0, 0.3)
    top = between(rng, 2500, 9000)

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        sound, base = np.zeros(TIMES.size), tools.hertz(key)
        pitch = base * 2 ** (sway / 12 * np.sin(2 * np.pi * sway_hz * TIMES))
        for octave, (width, gain) in enumerate(zip(widths, gains, strict=True)):
            phase = tools.phase_of(pitch * 2**octave, rng.random())
            sound += gain * tools.pulse(phase, base * 2**octave / 44_100, float(width))
        return np.asarray(tools.band(sound, 60, top), np.float32)

    return Instrument(Kind("organ", "organ", 36, 91, True), render)
