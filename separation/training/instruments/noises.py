"""Sounds without an instrument: what a separator leaves of drums, risers, wind, crackle, hum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from separation.training import effects
from separation.training.effects import RATE

if TYPE_CHECKING:
    from separation.training.effects import Sound
    from separation.training.instruments.song import Song

Noise = Callable[[np.random.Generator, "Song", int], "Sound"]


def drum_bleed(rng: np.random.Generator, song: Song, n_samples: int) -> Sound:
    """Return faint drums in the tempo of the song: bursts of noise and thumps; (1, n)."""
    out = np.zeros(n_samples, np.float32)
    for step, shares in ((0.5, (0.5, 1.0)), (1.0, (0.2, 0.8)), (2.0, (0.2, 1.0))):
        if rng.random() < 0.3:
            continue
        shot = _burst(rng) if step < 2 else _thump(rng)
        chance, late = rng.uniform(*shares), float(rng.choice([0.0, 1.0])) if step == 2 else 0.0
        for beat in np.arange(song.first + late, song.last, step):
            start = int(song.seconds_at(float(beat)) * RATE)
            if 0 <= start < n_samples and rng.random() < chance:
                end = min(start + shot.size, n_samples)
                out[start:end] += shot[: end - start] * np.float32(rng.uniform(0.5, 1.0))
    return out[np.newaxis]


def riser(rng: np.random.Generator, song: Song, n_samples: int) -> Sound:
    """Return noise or a tone that swells and climbs towards a bar; (1, n)."""
    end = int(song.seconds_at(float(rng.choice(song.bars))) * RATE)
    length = int(rng.uniform(1.0, 6.0) * RATE)
    rise = np.linspace(0, 1, length, dtype=np.float32)
    if rng.random() < 0.5:
        sound = rng.standard_normal(length, dtype=np.float32) * rise**2
    else:
        hertz = np.exp(np.log(rng.uniform(80, 400)) + rise * rng.uniform(1, 3))
        sound = np.sin(2 * np.pi * np.cumsum(hertz) / RATE).astype(np.float32) * rise**2
    if rng.random() < 0.3:
        sound = sound[::-1]
    out = np.zeros(n_samples, np.float32)
    begin, stop = max(end - length, 0), min(max(end, 0), n_samples)
    out[begin:stop] = sound[begin - (end - length) : stop - (end - length)]
    return effects.high_pass(out[np.newaxis], float(rng.uniform(50, 800)))


def ambience(rng: np.random.Generator, song: Song, n_samples: int) -> Sound:
    """Return steady noise that wanders slowly: wind, tape, a room, the sea; (1, n)."""
    noise = rng.standard_normal(n_samples, dtype=np.float32)[np.newaxis]
    coloured = effects.equalize(rng, effects.low_pass(noise, rng.uniform(300, 12_000), 1), 10)
    swell = np.interp(
        np.arange(n_samples), np.linspace(0, n_samples, 8), rng.uniform(0.2, 1.0, 8)
    ).astype(np.float32)
    return coloured * swell


def crackle(rng: np.random.Generator, song: Song, n_samples: int) -> Sound:
    """Return clicks at random, as of vinyl, and a little hum; (1, n)."""
    out = np.zeros(n_samples, np.float32)
    places = rng.integers(0, n_samples, int(n_samples / RATE * rng.uniform(1, 40)))
    out[places] = rng.standard_normal(places.size).astype(np.float32)
    clicks = effects.low_pass(out[np.newaxis], rng.uniform(2000, 12_000), 1)
    times = np.arange(n_samples, dtype=np.float32) / RATE
    hum = np.sin(2 * np.pi * float(rng.choice([50, 60, 100, 120])) * times)
    return np.asarray(clicks + np.float32(rng.uniform(0, 0.02)) * hum, np.float32)


def blips(rng: np.random.Generator, song: Song, n_samples: int) -> Sound:
    """Return electronic chirps, zaps and laser-like sweeps on the grid; (1, n)."""
    out = np.zeros(n_samples, np.float32)
    length = int(rng.uniform(0.03, 0.4) * RATE)
    times = np.arange(length, dtype=np.float32) / RATE
    for beat in np.arange(song.first, song.last, 0.5):
        start = int(song.seconds_at(float(beat)) * RATE)
        if not 0 <= start < n_samples or rng.random() < 0.75:
            continue
        hertz = rng.uniform(200, 4000) * np.exp(rng.uniform(-12, 6) * times)
        chirp = np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.exp(-times * 5 * RATE / length)
        end = min(start + length, n_samples)
        out[start:end] += chirp[: end - start].astype(np.float32)
    return out[np.newaxis]


NOISES: tuple[Noise, ...] = (drum_bleed, drum_bleed, drum_bleed, riser, ambience, crackle, blips)


def _burst(rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return a hit of filtered noise: a hat or a snare that was mostly taken away; (frames,)."""
    length = int(0.4 * RATE)
    noise = rng.standard_normal(length, dtype=np.float32)[np.newaxis]
    shaped = effects.high_pass(noise, float(np.exp(rng.uniform(*np.log((300, 8000))))))
    fall = np.exp(-np.arange(length) / (float(rng.uniform(0.01, 0.12)) * RATE))
    return np.asarray(shaped[0] * fall, np.float32)


def _thump(rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return a falling tone: a kick or tom that was mostly taken away; (frames,)."""
    times = np.arange(int(0.35 * RATE)) / RATE
    hertz = rng.uniform(45, 120) * (1 + rng.uniform(0.5, 4) * np.exp(-times / 0.02))
    tone = np.sin(2 * np.pi * np.cumsum(hertz) / RATE)
    return np.asarray(tone * np.exp(-times / rng.uniform(0.05, 0.15)), np.float32)
