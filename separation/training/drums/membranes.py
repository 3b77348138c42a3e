"""Computed drums with a skin: bass drums, snare drums, toms, hand drums."""

from __future__ import annotations

import numpy as np

from separation.training.drums.modes import (
    click,
    envelope,
    log_uniform,
    membrane,
    modal,
    noise,
    together,
)
from separation.training.drums.recorded import RATE, FloatArray


def kick(rng: np.random.Generator) -> FloatArray:
    """Return a bass drum: acoustic, swept, or a long sine."""
    kind = rng.random()
    if kind < 0.55:
        return _acoustic_kick(rng)
    if kind < 0.85:
        return _swept_kick(rng)
    times = np.arange(int(1.4 * RATE), dtype=np.float32) / RATE
    hertz, drop_s = rng.uniform(38, 65), rng.uniform(0.005, 0.03)
    swept = times + np.float32(rng.uniform(0, 1.5) * drop_s) * (1 - np.exp(-times / drop_s))
    tone = np.sin(np.float32(2 * np.pi * hertz) * swept) * envelope(
        times.size, log_uniform(rng, 0.1, 0.7)
    )
    knock = click(rng, times.size, log_uniform(rng, 800, 5000))
    return _bent(
        rng, together((tone.astype(np.float32)[np.newaxis], 1.0), (knock, rng.uniform(0, 0.2)))
    )


def _acoustic_kick(rng: np.random.Generator) -> FloatArray:
    skin = membrane(
        rng,
        rng.uniform(42, 85),
        log_uniform(rng, 0.025, 0.22),
        drop=rng.uniform(0.1, 1.0),
        drop_s=rng.uniform(0.008, 0.04),
        n_modes=int(rng.integers(3, 9)),
        seconds=1.0,
        tilt=rng.uniform(1.0, 2.2),
    )
    n = skin.shape[1]
    shell = noise(rng, 0.4, (60, rng.uniform(200, 900)), log_uniform(rng, 0.02, 0.1), slope=9)
    return together(
        (skin, 1.0),
        (click(rng, n, log_uniform(rng, 1200, 6000)), rng.uniform(0.05, 0.8)),
        (click(rng, n, log_uniform(rng, 200, 900)), rng.uniform(0.0, 0.6)),
        (shell, rng.uniform(0.0, 0.25)),
    )


def _swept_kick(rng: np.random.Generator) -> FloatArray:
    times = np.arange(int(0.9 * RATE), dtype=np.float32) / RATE
    low, top = rng.uniform(40, 65), log_uniform(rng, 120, 1200)
    fast = log_uniform(rng, 0.006, 0.05)
    phase = 2 * np.pi * (low * times + (top - low) * fast * (1 - np.exp(-times / fast)))
    tone = np.sin(phase) * envelope(times.size, log_uniform(rng, 0.04, 0.3))
    knock = click(rng, times.size, log_uniform(rng, 1500, 9000))
    return _bent(
        rng, together((tone.astype(np.float32)[np.newaxis], 1.0), (knock, rng.uniform(0.0, 0.5)))
    )


def _bent(rng: np.random.Generator, sound: FloatArray) -> FloatArray:
    if rng.random() < 0.5:
        return sound
    return np.asarray(np.tanh(sound * np.float32(rng.uniform(1, 6))), np.float32)


def snare(rng: np.random.Generator, rim: float = 0.0) -> FloatArray:
    """Return a snare drum: two skins, wires, the stick; `rim` (0 to 1) adds a rim shot's ring."""
    hertz = rng.uniform(140, 290)
    skin = membrane(
        rng,
        hertz,
        log_uniform(rng, 0.03, 0.18),
        drop=rng.uniform(0.0, 0.4),
        drop_s=rng.uniform(0.005, 0.03),
        n_modes=int(rng.integers(3, 14)),
        seconds=0.9,
        tilt=rng.uniform(0.5, 1.8),
    )
    top = log_uniform(rng, 5000, 16_000)
    wires = noise(
        rng,
        0.9,
        (log_uniform(rng, 500, 3500), top),
        log_uniform(rng, 0.03, 0.22),
        attack_s=rng.uniform(0.0003, 0.004),
        slope=rng.uniform(4, 14),
        channels=int(rng.integers(1, 3)),
    )
    buzz = noise(rng, 0.9, (250, top), log_uniform(rng, 0.01, 0.05), slope=5)
    n_ring = int(rng.integers(1, 7))
    ring = modal(
        rng,
        rng.uniform(350, 2200, n_ring),
        rng.uniform(0.2, 1, (1, n_ring)),
        np.exp(rng.uniform(np.log(0.005), np.log(0.1), n_ring)),
        0.9,
    )
    return together(
        (skin, rng.uniform(0.3, 1.0)),
        (wires, rng.uniform(0.12, 1.0)),
        (buzz, rng.uniform(0.0, 0.8)),
        (ring, rng.uniform(0.0, 0.2) + rim),
        (click(rng, skin.shape[1], log_uniform(rng, 1500, 7000)), rng.uniform(0.1, 0.8)),
    )


def machine_snare(rng: np.random.Generator) -> FloatArray:
    """Return a drum machine's snare: two tones and filtered noise."""
    n = int(0.7 * RATE)
    times = np.arange(n, dtype=np.float32) / RATE
    hertz = rng.uniform(150, 260)
    tones = sum(
        np.sin(np.float32(2 * np.pi * hertz * ratio) * times)
        * envelope(n, log_uniform(rng, 0.02, 0.12))
        for ratio in (1.0, rng.uniform(1.5, 2.1))
    )
    hiss = noise(
        rng, 0.7, (log_uniform(rng, 700, 4000), 18_000), log_uniform(rng, 0.04, 0.2), slope=12
    )
    tone = np.asarray(tones, np.float32)[np.newaxis]
    return together((tone, rng.uniform(0.2, 1)), (hiss, rng.uniform(0.3, 1)))


def sidestick(rng: np.random.Generator) -> FloatArray:
    """Return a stick laid on the skin and struck against the rim."""
    n_modes = int(rng.integers(2, 8))
    wood = modal(
        rng,
        np.exp(rng.uniform(np.log(350), np.log(3500), n_modes)),
        rng.uniform(0.2, 1, (1, n_modes)),
        np.exp(rng.uniform(np.log(0.005), np.log(0.04), n_modes)),
        0.4,
    )
    knock = click(rng, wood.shape[1], log_uniform(rng, 1000, 5000))
    rattle = noise(rng, 0.3, (2000, 12_000), log_uniform(rng, 0.01, 0.08))
    return together((wood, 1.0), (knock, rng.uniform(0.2, 1)), (rattle, rng.uniform(0, 0.15)))


def toms(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the high, the middle and the low tom of one kit."""
    low = rng.uniform(55, 115)
    steps = low * np.cumprod([1.0, rng.uniform(1.2, 1.6), rng.uniform(1.15, 1.5)])
    tau, tilt = log_uniform(rng, 0.04, 0.35), rng.uniform(0.8, 2.0)
    drop, drop_s = rng.uniform(0.02, 0.6), rng.uniform(0.02, 0.12)
    n_modes = int(rng.integers(2, 12))
    is_machine = rng.random() < 0.2
    stick, knock = log_uniform(rng, 800, 6000), rng.uniform(0.02, 0.5)
    made = []
    for hertz in steps:
        skin = membrane(
            rng,
            float(hertz),
            float(tau * (low / hertz) ** 0.5),
            drop=drop,
            drop_s=drop_s,
            n_modes=1 if is_machine else n_modes,
            seconds=2.0,
            tilt=tilt,
        )
        slap = noise(rng, 0.3, (150, 3000), log_uniform(rng, 0.008, 0.04), slope=6)
        made.append(
            together(
                (skin, 1.0),
                (click(rng, skin.shape[1], stick), knock),
                (slap, float(rng.uniform(0, 0.3))),
            )
        )
    return made[2], made[1], made[0]


def hand_drum(rng: np.random.Generator) -> FloatArray:
    """Return a conga, bongo, djembe, tabla or the like: open, muffled or slapped."""
    kind = rng.random()
    tau = log_uniform(rng, 0.06, 0.4) if kind < 0.5 else log_uniform(rng, 0.015, 0.06)
    skin = membrane(
        rng,
        log_uniform(rng, 90, 650),
        tau,
        drop=rng.uniform(-0.1, 0.25),
        drop_s=rng.uniform(0.01, 0.1),
        n_modes=int(rng.integers(2, 10)),
        seconds=1.3,
        tilt=rng.uniform(0.6, 2.0),
    )
    palm = noise(
        rng,
        0.2,
        (log_uniform(rng, 300, 1500), log_uniform(rng, 2500, 9000)),
        rng.uniform(0.004, 0.03),
    )
    return together((skin, 1.0), (palm, rng.uniform(0.05, 0.4 if kind < 0.75 else 1.5)))
