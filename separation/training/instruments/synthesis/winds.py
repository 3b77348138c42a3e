"""Bowed strings, brass, reeds and flutes, and voices: sounds that a player keeps alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from separation.training.effects import RATE
from separation.training.instruments.programs import Kind
from separation.training.instruments.synthesis import tools
from separation.training.instruments.synthesis.tools import TIMES, Instrument, between

if TYPE_CHECKING:
    from separation.training.instruments.synthesis.tools import Curve, Samples

_VOWELS = {
    "a": [(730, 0, 90), (1090, -4, 110), (2440, -20, 170), (3400, -26, 250)],
    "e": [(530, 0, 80), (1840, -12, 120), (2480, -18, 170), (3400, -24, 250)],
    "i": [(270, 0, 60), (2290, -18, 120), (3010, -22, 170), (3700, -28, 250)],
    "o": [(570, 0, 80), (840, -4, 100), (2410, -28, 170), (3300, -32, 250)],
    "u": [(300, 0, 60), (870, -12, 100), (2240, -34, 170), (3200, -38, 250)],
}


def bowed_string(rng: np.random.Generator) -> Instrument:
    """Draw a violin, viola, cello or bass, alone or as a section."""
    low, high, size = ((55, 96, 1.0), (48, 88, 0.8), (36, 77, 0.5), (28, 60, 0.35))[
        int(rng.choice(4, p=[0.45, 0.2, 0.25, 0.1]))
    ]
    section = rng.random() < 0.5
    body = tools.draw_body(rng, 250 * size, 7000 * size**0.4, 12, 10, rng.uniform(6, 20))
    deep, attack = rng.uniform(0.05, 0.4), between(rng, 0.02, 0.25)
    hiss, players = between(rng, 0.003, 0.06), int(rng.integers(3, 8)) if section else 1
    tremolo = rng.uniform(9, 14) if rng.random() < 0.1 else 0.0
    if section:
        low, high = 36 if low < 40 else low, high

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        sound = np.zeros(TIMES.size)
        for _ in range(players):
            tune = rng.normal(0, 0.08 if section else 0.02) + 0.04 * tools.slow_noise(rng, 4)
            pitch = tools.hertz(key) * 2 ** ((tune + tools.vibrato(rng, deep)) / 12)
            tone = tools.saw(tools.phase_of(pitch, rng.random()), tools.hertz(key) / RATE)
            bow = 1 + 0.15 * tools.slow_noise(rng, 8)
            sound += tone * bow * tools.envelope(attack * rng.uniform(0.6, 1.5), 1.0, 0.9)
        if tremolo:
            sound *= 0.55 + 0.45 * np.abs(np.sin(np.pi * tremolo * TIMES))
        rosin = tools.band(tools.noise(rng), 800, 9000) * tools.envelope(attack, 0.3, 0.5)
        return body.colour(sound / players + hiss * rosin)

    family = "section" if section else "solo"
    return Instrument(Kind("strings", family, low, high, True), render)


def brass(rng: np.random.Generator) -> Instrument:
    """Draw a trumpet, trombone, horn or tuba: the louder, the brighter; alone or several."""
    name, low, high, cutoff = (
        ("trumpet", 54, 86, 1200.0),
        ("trombone", 38, 74, 600.0),
        ("horn", 40, 78, 500.0),
        ("tuba", 29, 60, 300.0),
    )[int(rng.choice(4, p=[0.42, 0.28, 0.2, 0.1]))]
    cutoff *= between(rng, 0.6, 2.0)
    attack, scoop = between(rng, 0.015, 0.09), rng.uniform(-1.5, 0.3)
    deep, growl = rng.uniform(0, 0.25), between(rng, 0.005, 0.05)
    steep = rng.uniform(1.0, 2.2)
    muted = rng.random() < 0.15 and name != "tuba"
    peaks = [(1500.0, 8.0, 500.0), (3000.0, 4.0, 900.0)] if muted else [(cutoff, 3.0, cutoff)]
    body = tools.formants([(c * between(rng, 0.8, 1.25), g, w) for c, g, w in peaks], -4)
    players = int(rng.choice([1, 2, 3], p=[0.65, 0.2, 0.15]))

    def one(rng: np.random.Generator, key: float, velocity: float) -> Curve:
        quick = attack * rng.uniform(0.7, 1.4)
        blown = tools.envelope(quick, rng.uniform(0.1, 0.5), rng.uniform(0.6, 0.95))
        blown = blown * (1 + 0.06 * tools.slow_noise(rng, 10))
        pitch = scoop * np.exp(-TIMES / (1.2 * quick)) + tools.vibrato(rng, deep, 0.5)
        phase = tools.phase_of(tools.hertz(key) * 2 ** (pitch / 12), rng.random())
        count = tools.count_below(key, 40)
        # A lip that is driven harder shuts faster: each harmonic gains more than the one below.
        partial = tools.hertz(key) * np.arange(1, count + 1) / cutoff
        gains = 1 / np.sqrt(1 + partial ** (2 * steep))
        growth = np.clip(blown, 0.05, 1.0) ** (0.55 * (1.4 - velocity) + 0.15)
        tone = tools.harmonics(phase, gains, growth) * blown
        air = tools.band(tools.noise(rng), 500, 6000) * blown
        return tone / max(float(np.abs(tone).max()), 1e-9) + growl * air

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        sound = np.zeros(TIMES.size)
        for _ in range(players):
            late = int(rng.uniform(0, 0.02) * RATE) if players > 1 else 0
            tone = one(rng, key + rng.normal(0, 0.07 if players > 1 else 0.02), velocity)
            sound[late:] += tone[: tone.size - late]
        return body.colour(sound)

    return Instrument(Kind("brass", name, low, high, True), render)


def woodwind(rng: np.random.Generator) -> Instrument:
    """Draw a saxophone, a clarinet, a double reed or a flute."""
    return (_saxophone, _clarinet, _oboe, _flute)[int(rng.choice(4, p=[0.35, 0.2, 0.15, 0.3]))](rng)


def _saxophone(rng: np.random.Generator) -> Instrument:
    low = int(rng.choice([36, 44, 49, 56]))
    scale = 2 ** ((low - 49) / 24)
    peaks = [(600 * scale, 4.0, 500.0), (1400 * scale, 2.0, 700.0), (3200.0, -6.0, 1500.0)]
    body = tools.formants([(c * between(rng, 0.75, 1.3), g, w) for c, g, w in peaks], -12)
    return Instrument(
        Kind("woodwinds", "sax", low, low + 33, True),
        _blown(rng, body, odd=1.0, steep=(0.5, 1.2), air=(0.01, 0.12), rough=0.25),
    )


def _clarinet(rng: np.random.Generator) -> Instrument:
    low = int(rng.choice([38, 50]))
    body = tools.draw_body(rng, 300, 5000, 4, 5, rng.uniform(4, 14))
    render = _blown(
        rng, body, odd=rng.uniform(0.03, 0.3), steep=(0.7, 1.4), air=(0.003, 0.04), rough=0.03
    )
    return Instrument(Kind("woodwinds", "reed", low, low + 40, True), render)


def _oboe(rng: np.random.Generator) -> Instrument:
    low = int(rng.choice([34, 52, 58]))
    scale = 0.45 if low == 34 else 1.0
    peaks = [(1050 * scale, 8.0, 400 * scale), (2900 * scale, 4.0, 900 * scale)]
    body = tools.formants([(c * between(rng, 0.8, 1.2), g, w) for c, g, w in peaks], -14)
    render = _blown(rng, body, odd=1.0, steep=(0.2, 0.9), air=(0.002, 0.03), rough=0.05)
    return Instrument(Kind("woodwinds", "reed", low, low + 34, True), render)


def _flute(rng: np.random.Generator) -> Instrument:
    low = int(rng.choice([55, 60, 60, 72]))
    body = tools.draw_body(rng, 400, 7000, 4, 4, rng.uniform(4, 12))
    render = _blown(rng, body, odd=1.0, steep=(1.6, 3.2), air=(0.02, 0.4), rough=0.02)
    return Instrument(Kind("woodwinds", "flute", low, low + 34, True), render)


def _blown(
    rng: np.random.Generator,
    body: tools.Body,
    *,
    odd: float,
    steep: tuple[float, float],
    air: tuple[float, float],
    rough: float,
) -> tools.Render:
    """Draw a tone that breath drives: its spectrum, breath, vibrato, roughness."""
    slope, breath = rng.uniform(*steep), between(rng, *air)
    attack, deep = between(rng, 0.015, 0.12), rng.uniform(0, 0.3)
    shake, growl_hz = rng.uniform(0, 0.3), rng.uniform(25, 90)
    growl = rough * rng.uniform(0, 1) * (rng.random() < 0.4)

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        count = np.arange(1, tools.count_below(key, 40) + 1)
        gains = 1 / count ** (slope + 0.8 * (1 - velocity))
        gains[1::2] *= odd
        sway = tools.vibrato(rng, deep, 0.4)
        pitch = sway + rng.uniform(-0.4, 0.1) * np.exp(-TIMES / attack)
        pitch = pitch + 0.03 * tools.slow_noise(rng, 6)
        phase = tools.phase_of(tools.hertz(key) * 2 ** (pitch / 12), rng.random())
        blown = tools.envelope(attack, 0.4, rng.uniform(0.75, 1.0))
        blown = blown * (1 + shake * sway / max(deep, 0.01) * 0.5)
        tone = tools.harmonics(phase, gains, np.clip(blown, 0.05, 1.0) ** 0.15)
        tone = tone * (1 + growl * np.sin(2 * np.pi * growl_hz * TIMES))
        base = tools.hertz(key)
        wind = tools.band(tools.noise(rng), 0.8 * base, max(6 * base, 4000))
        return body.colour((tone / np.abs(tone).max() + breath * wind) * blown)

    return render


def voice(rng: np.random.Generator) -> Instrument:
    """Draw a voice or a choir on one vowel, as a separator may leave it."""
    vowel, size = _VOWELS[str(rng.choice(list(_VOWELS)))], between(rng, 0.85, 1.25)
    body = tools.formants([(centre * size, gain, width) for centre, gain, width in vowel], -46)
    players = int(rng.choice([1, 1, 4, 7]))
    deep, attack = rng.uniform(0.05, 0.6), between(rng, 0.02, 0.25)
    low = int(rng.choice([40, 48, 55]))

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        sound = np.zeros(TIMES.size)
        for _ in range(players):
            tune = rng.normal(0, 0.1) + 0.1 * tools.slow_noise(rng, 5) + tools.vibrato(rng, deep)
            phase = tools.phase_of(tools.hertz(key) * 2 ** (tune / 12), rng.random())
            sound += tools.saw(phase, tools.hertz(key) / RATE)
        breath = 0.05 * tools.noise(rng)
        return body.colour((sound / players + breath) * tools.envelope(attack, 1.0, 0.9))

    return Instrument(Kind("fx", "voice", low, low + 29, True), render)


def struck_bar(rng: np.random.Generator) -> Instrument:
    """Draw a marimba, vibraphone, glockenspiel, bell, kalimba or steel drum."""
    tuned = ([1, 3.9, 9.2, 16], [1, 2.76, 5.4, 8.93], [1, 2, 3, 4.2, 5.4, 6.8], [1, 5.4, 13])[
        int(rng.integers(4))
    ]
    ratios = np.array(tuned) * np.exp(rng.normal(0, 0.03, len(tuned)))
    ratios[0] = 1.0
    gains = np.exp(-rng.uniform(0.3, 1.5) * np.arange(ratios.size)) * rng.uniform(
        0.5, 1.0, ratios.size
    )
    decay, loss = between(rng, 0.3, 5.0), rng.uniform(0.5, 2.5)
    sway_hz, sway = rng.uniform(3, 7), rng.uniform(0, 0.6) * (rng.random() < 0.3)

    def render(rng: np.random.Generator, key: float, velocity: float) -> Samples:
        harder = gains * np.linspace(1, 0.3 + 0.7 * velocity, gains.size)
        long = decay * 2 ** (-(key - 60) / 24) / ratios ** (loss / 2)
        sound = tools.ringing(rng, tools.hertz(key) * ratios, harder, long)
        knock = tools.band(tools.noise(rng), 300, 3000) * np.exp(-TIMES / 0.004)
        shaken = 1 + sway * np.sin(2 * np.pi * sway_hz * TIMES)
        return np.asarray((sound + 0.1 * velocity * knock) * shaken, np.float32)

    return Instrument(Kind("fx", "mallet", 50, 96), render)
