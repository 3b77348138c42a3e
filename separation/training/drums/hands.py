"""Computed percussion that belongs to no kit: claps, shakers, bells, blocks, and odd sounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from separation.training.drums.membranes import hand_drum
from separation.training.drums.modes import (
    band_pass,
    click,
    envelope,
    log_uniform,
    modal,
    noise,
    together,
)
from separation.training.drums.recorded import RATE, FloatArray


def clap(rng: np.random.Generator) -> FloatArray:
    """Return several hands that do not clap quite at once, and what the room adds."""
    out = np.zeros((2, int(0.7 * RATE)), np.float32)
    centre = log_uniform(rng, 800, 2200)
    for _ in range(int(rng.integers(2, 8))):
        start = int(abs(rng.normal(0, 0.012)) * RATE)
        tau = log_uniform(rng, 0.002, 0.01)
        hand = noise(rng, 0.06, (centre * 0.6, centre * rng.uniform(1.5, 5)), tau, slope=9)
        out[:, start : start + hand.shape[1]] += hand * rng.uniform(0.4, 1, (2, 1)).astype(
            np.float32
        )
    tail = noise(
        rng, 0.7, (centre * 0.7, centre * 4), log_uniform(rng, 0.03, 0.2), channels=2, slope=9
    )
    return together((out, 1.0), (tail, rng.uniform(0.05, 0.5)))


def cowbell(rng: np.random.Generator) -> FloatArray:
    """Return a cowbell: two square waves through a filter, or the modes of a box."""
    hertz = rng.uniform(450, 900)
    if rng.random() < 0.4:
        n = int(0.6 * RATE)
        times = np.arange(n) / RATE
        waves = np.sign(np.sin(2 * np.pi * hertz * times))
        waves += np.sign(np.sin(2 * np.pi * hertz * rng.uniform(1.4, 1.55) * times))
        raw = waves.astype(np.float32)[np.newaxis] * envelope(n, log_uniform(rng, 0.03, 0.15))
        return band_pass(raw, hertz, hertz * rng.uniform(3, 8))
    return _struck_metal(rng, hertz, (1.3, 1.6), (0.03, 0.25), 8)


def bell(rng: np.random.Generator) -> FloatArray:
    """Return an agogo, a triangle, a glass, a small gong."""
    return _struck_metal(rng, log_uniform(rng, 500, 5000), (1.2, 3.0), (0.08, 1.2), 12)


def _struck_metal(
    rng: np.random.Generator,
    hertz: float,
    step: tuple[float, float],
    taus_s: tuple[float, float],
    most: int,
) -> FloatArray:
    n_modes = int(rng.integers(3, most))
    ratios = np.cumprod(np.concatenate([[1.0], rng.uniform(*step, n_modes - 1)]))
    taus = log_uniform(rng, *taus_s) * ratios ** -rng.uniform(0, 0.8)
    gains = rng.uniform(0.2, 1, (2, n_modes))
    keep = hertz * ratios < 18_000
    ring = modal(rng, (hertz * ratios)[keep], gains[:, keep], taus[keep], 1.5)
    knock = click(rng, ring.shape[1], log_uniform(rng, 1500, 8000))
    return together((ring, 1.0), (knock, rng.uniform(0.0, 0.7)))


def block(rng: np.random.Generator) -> FloatArray:
    """Return a wood block, claves or temple block."""
    n_modes = int(rng.integers(1, 5))
    hertz = log_uniform(rng, 400, 3000)
    ratios = np.cumprod(np.concatenate([[1.0], rng.uniform(1.4, 2.8, n_modes - 1)]))
    wood = modal(
        rng,
        hertz * ratios,
        rng.uniform(0.2, 1, (1, n_modes)) / ratios,
        np.exp(rng.uniform(np.log(0.006), np.log(0.06), n_modes)),
        0.5,
    )
    return together((wood, 1.0), (click(rng, wood.shape[1], 3 * hertz), rng.uniform(0.0, 0.6)))


def tambourine(rng: np.random.Generator) -> FloatArray:
    """Return jingles that ring one after the other, and perhaps the skin."""
    n = int(0.8 * RATE)
    out = np.zeros((2, n), np.float32)
    spread_s, tau = log_uniform(rng, 0.008, 0.06), log_uniform(rng, 0.015, 0.12)
    centre = log_uniform(rng, 5000, 10_000)
    for _ in range(int(rng.integers(5, 16))):
        n_modes = int(rng.integers(6, 20))
        hertz = np.clip(centre * np.exp(rng.normal(0, 0.3, n_modes)), 1500, 19_000)
        taus = tau * np.exp(rng.normal(0, 0.4, n_modes))
        jingle = modal(rng, hertz, rng.uniform(0.1, 1, (2, n_modes)), taus, 8 * tau)
        start = min(int(rng.exponential(spread_s) * RATE), n // 2)
        stop = min(start + jingle.shape[1], n)
        out[:, start:stop] += jingle[:, : stop - start] * np.float32(rng.uniform(0.3, 1))
    skin = hand_drum(rng)[:, :n]
    return together((out, 1.0), (skin, rng.uniform(0.1, 0.6) if rng.random() < 0.4 else 0.0))


def shaker(rng: np.random.Generator) -> FloatArray:
    """Return a shaker, maraca or cabasa: grains that come in a swell."""
    seconds = float(rng.uniform(0.12, 0.4))
    low = log_uniform(rng, 2500, 7000)
    hiss = noise(
        rng,
        seconds,
        (low, low * rng.uniform(1.5, 4)),
        log_uniform(rng, 0.015, 0.09),
        attack_s=log_uniform(rng, 0.002, 0.05),
        slope=12,
        channels=2,
    )
    n = hiss.shape[1]
    falls = rng.random(n) < rng.uniform(0.01, 0.2)
    grains = np.where(falls, rng.uniform(0.2, 1, n), 0.0)
    smooth = np.convolve(grains, np.exp(-np.arange(60) / 12.0))[:n]
    return np.asarray(hiss * (rng.uniform(0.05, 1) + smooth), np.float32)


def oddity(rng: np.random.Generator) -> FloatArray:
    """Return an electronic effect: a zap, a blip or a burst."""
    n = int(rng.uniform(0.1, 0.8) * RATE)
    times = np.arange(n) / RATE
    fast = log_uniform(rng, 0.01, 0.3)
    low, top = log_uniform(rng, 80, 2000), log_uniform(rng, 200, 8000)
    phase = 2 * np.pi * (low * times + (top - low) * fast * (1 - np.exp(-times / fast)))
    bend = rng.uniform(0, 6) * np.sin(phase * rng.uniform(0.3, 5)) * np.exp(-times / fast)
    tone = (np.sin(phase + bend)).astype(np.float32)[np.newaxis]
    tone = tone * envelope(n, log_uniform(rng, 0.02, 0.25))
    hiss = noise(
        rng,
        n / RATE,
        (log_uniform(rng, 100, 3000), log_uniform(rng, 4000, 16_000)),
        log_uniform(rng, 0.01, 0.2),
    )
    return together((tone, rng.uniform(0, 1)), (hiss, rng.uniform(0, 0.8)))


MAKERS: Mapping[str, Callable[[np.random.Generator], FloatArray]] = {
    "clap": clap,
    "cowbell": cowbell,
    "bell": bell,
    "block": block,
    "tambourine": tambourine,
    "shaker": shaker,
    "conga": hand_drum,
    "other": oddity,
}
