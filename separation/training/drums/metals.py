"""Computed cymbals: hundreds of modes of a thin plate, as dense as noise at the top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation.training.drums.modes import (
    click,
    envelope,
    high_pass,
    log_uniform,
    modal,
    noise,
    together,
)
from separation.training.drums.recorded import RATE, FloatArray


@dataclass(frozen=True, slots=True)
class Plate:
    """A cymbal: where its modes lie and how strong each is left and right.

    `hertz` is (modes,), `gains` (2, modes).
    """

    hertz: NDArray[np.float64]
    gains: NDArray[np.float64]

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, lowest_hz: float, n_modes: int, tilt_db: float
    ) -> Plate:
        """Draw a plate; `tilt_db` per octave above 3 kHz, and less below `lowest_hz`.

        A thin plate has as many modes in each hertz (Fletcher & Rossing, 3.6 and 20.3); a share
        of them lies closer together at the bottom, where single ones are heard.
        """
        n_low = int(n_modes * rng.uniform(0.04, 0.2))
        hertz = np.concatenate(
            [
                np.exp(rng.uniform(np.log(lowest_hz), np.log(4000), n_low)),
                rng.uniform(lowest_hz, rng.uniform(13_000, 19_500), n_modes - n_low),
            ]
        )
        octaves = np.log2(hertz / 3000)
        bumps = _bumps(rng, octaves)
        level_db = np.where(octaves > 0, tilt_db, rng.uniform(0, 6)) * octaves + bumps
        strength = rng.rayleigh(1.0, n_modes) * 10 ** (level_db / 20)
        sides = np.exp(rng.normal(0, rng.uniform(0.02, 0.5), (2, n_modes)))
        return cls(hertz, strength * sides)

    def struck(
        self, rng: np.random.Generator, tau_s: float, slope: float, seconds: float
    ) -> FloatArray:
        """Return the sound, (2, n): `tau_s` at 3 kHz, shorter above by the power `slope`."""
        taus = tau_s * (self.hertz / 3000) ** -slope
        taus = np.clip(taus * np.exp(rng.normal(0, 0.35, taus.size)), 0.003, 4 * tau_s)
        # Some modes ring on long after the others.
        taus[rng.random(taus.size) < rng.uniform(0, 0.3)] *= rng.uniform(1.5, 4)
        return modal(rng, self.hertz, self.gains, taus, seconds)


def _bumps(rng: np.random.Generator, octaves: NDArray[np.float64]) -> NDArray[np.float64]:
    points = np.linspace(-4.5, 2.8, 12)
    return np.asarray(np.interp(octaves, points, rng.normal(0, rng.uniform(1, 6), 12)))


def hats(rng: np.random.Generator) -> dict[str, FloatArray]:
    """Return one pair of hi-hats: closed, half open, open, with the foot."""
    if rng.random() < 0.3:
        return _machine_hats(rng)
    plate = Plate.drawn(
        rng, log_uniform(rng, 250, 900), int(rng.integers(200, 500)), rng.uniform(-2, 6)
    )
    closed, opened = log_uniform(rng, 0.015, 0.07), log_uniform(rng, 0.12, 0.7)
    cut = log_uniform(rng, 200, 4000)
    slope, sizzle, stick = rng.uniform(0.0, 0.8), rng.uniform(0, 0.6), rng.uniform(0.05, 0.6)
    made = {}
    for voice, tau in (
        ("hat_closed", closed),
        ("hat_half", float(np.sqrt(closed * opened))),
        ("hat_open", opened),
        ("hat_pedal", closed * rng.uniform(0.6, 1.5)),
    ):
        seconds = min(2.2, max(6.5 * tau, 0.15))
        ring = plate.struck(rng, tau, slope, seconds)
        hiss = noise(
            rng, seconds, (log_uniform(rng, 3000, 8000), 18_000), tau * 0.8, slope=8, channels=2
        )
        parts = [(ring, 1.0), (hiss, sizzle)]
        if voice != "hat_pedal":
            parts.append((click(rng, ring.shape[1], log_uniform(rng, 2500, 9000)), stick))
        sound = together(*parts)
        if voice in ("hat_half", "hat_open") and rng.random() < 0.4:
            sound *= _rattle(rng, sound.shape[1])
        made[voice] = _knocked(rng, high_pass(sound, cut))
    return made


def _knocked(rng: np.random.Generator, sound: FloatArray) -> FloatArray:
    """Add the low knock that microphones hear of every stroke, or do not."""
    if rng.random() < 0.4:
        return sound
    tau = log_uniform(rng, 0.01, 0.06)
    knock = noise(rng, 0.3, (log_uniform(rng, 60, 200), log_uniform(rng, 250, 900)), tau, slope=9)
    loudest = float(np.abs(sound).max())
    return together((sound, loudest), (knock, loudest * log_uniform(rng, 0.01, 0.25)))


def _rattle(rng: np.random.Generator, n: int) -> FloatArray:
    """Return the uneven gain of two plates that touch each other, (n,)."""
    points = rng.uniform(0.4, 1.0, max(n // 400, 2))
    return np.interp(np.linspace(0, points.size - 1, n), np.arange(points.size), points).astype(
        np.float32
    )


def _machine_hats(rng: np.random.Generator) -> dict[str, FloatArray]:
    """Return a drum machine's hi-hats: square waves out of tune, or noise, through a high-pass."""
    hertz = rng.uniform(200, 900, 6) * log_uniform(rng, 0.5, 4)
    cut, is_noise = log_uniform(rng, 4000, 10_000), rng.random() < 0.4
    taus = {
        "hat_closed": log_uniform(rng, 0.01, 0.05),
        "hat_half": log_uniform(rng, 0.06, 0.15),
        "hat_open": log_uniform(rng, 0.12, 0.5),
    }
    made = {}
    for voice, tau in taus.items():
        n = int(min(1.5, 7 * tau) * RATE)
        if is_noise:
            raw = rng.standard_normal((1, n), dtype=np.float32)
        else:
            phases = np.arange(n) / RATE * hertz[:, np.newaxis] + rng.random((6, 1))
            raw = np.sign(np.sin(2 * np.pi * phases)).sum(axis=0, dtype=np.float32)[np.newaxis]
        made[voice] = high_pass(np.asarray(raw, np.float32), cut) * envelope(n, tau)
    return made


def ride(rng: np.random.Generator) -> dict[str, FloatArray]:
    """Return one ride: its bow, with the ping of the stick above the wash, and its bell."""
    plate = Plate.drawn(
        rng, log_uniform(rng, 150, 700), int(rng.integers(250, 550)), rng.uniform(-2, 5)
    )
    tau, slope = log_uniform(rng, 0.12, 1.4), rng.uniform(0.1, 0.8)
    wash = plate.struck(rng, tau, slope, 3.5)
    n_ping = int(rng.integers(15, 60))
    centre = log_uniform(rng, 2500, 9000)
    ping = modal(
        rng,
        centre * np.exp(rng.normal(0, 0.35, n_ping)),
        np.abs(rng.normal(0, 1, (2, n_ping))),
        np.exp(rng.uniform(np.log(0.02), np.log(0.3), n_ping)),
        1.5,
    )
    stick = click(rng, wash.shape[1], log_uniform(rng, 3000, 9000))
    loud = float(rng.uniform(0.08, 0.6))
    bow = together((ping, 1.0), (wash, loud), (stick, rng.uniform(0.2, 1.2)))
    bell = together(
        (_bell_tone(rng, log_uniform(rng, 350, 1000)), 1.0),
        (wash, loud * rng.uniform(0.3, 0.8)),
        (stick, rng.uniform(0.2, 0.8)),
    )
    cut = log_uniform(rng, 150, 900)
    return {
        "ride": _knocked(rng, high_pass(bow, cut)),
        "ride_bell": _knocked(rng, high_pass(bell, cut)),
    }


def _bell_tone(rng: np.random.Generator, hertz: float) -> FloatArray:
    n_modes = int(rng.integers(6, 16))
    ratios = np.cumsum(np.concatenate([[1.0], rng.uniform(0.3, 1.4, n_modes - 1)]))
    gains = rng.uniform(0.3, 1, (2, n_modes)) * ratios ** -rng.uniform(0.0, 0.8)
    taus = log_uniform(rng, 0.2, 1.2) * ratios**-0.4
    return modal(rng, hertz * ratios, gains, taus, 3.0)


def crash(rng: np.random.Generator) -> FloatArray:
    """Return a crash: a wash that opens in some milliseconds and dies away, the top first."""
    plate = Plate.drawn(
        rng, log_uniform(rng, 250, 1000), int(rng.integers(400, 900)), rng.uniform(-3, 4)
    )
    tau = log_uniform(rng, 0.1, 0.75)
    return _washed(rng, plate, tau, min(4.0, 5 * tau))


def splash(rng: np.random.Generator) -> FloatArray:
    """Return a splash: small, high and short."""
    plate = Plate.drawn(
        rng, log_uniform(rng, 500, 1200), int(rng.integers(250, 500)), rng.uniform(-2, 3)
    )
    tau = log_uniform(rng, 0.1, 0.4)
    return _washed(rng, plate, tau, min(2.5, 6 * tau))


def china(rng: np.random.Generator) -> FloatArray:
    """Return a china: harsh, with much in the middle."""
    plate = Plate.drawn(
        rng, log_uniform(rng, 200, 700), int(rng.integers(400, 800)), rng.uniform(-4, 2)
    )
    tau = log_uniform(rng, 0.12, 0.6)
    sound = _washed(rng, plate, tau, min(3.0, 5 * tau))
    bent = np.tanh(sound * np.float32(rng.uniform(1, 4) / max(float(np.abs(sound).max()), 1e-9)))
    return np.asarray(bent, np.float32)


def _washed(rng: np.random.Generator, plate: Plate, tau_s: float, seconds: float) -> FloatArray:
    slope = rng.uniform(0.2, 0.9)
    ring = plate.struck(rng, tau_s, slope, seconds)
    # Strong strokes feed the upper modes with a delay (Chaigne et al. 2005).
    opening = 1 - np.float32(rng.uniform(0.2, 0.9)) * envelope(
        ring.shape[1], log_uniform(rng, 0.002, 0.02)
    )
    hiss = noise(
        rng,
        seconds,
        (log_uniform(rng, 1500, 6000), 18_000),
        tau_s * rng.uniform(0.3, 0.9),
        attack_s=rng.uniform(0.001, 0.01),
        slope=6,
        channels=2,
    )
    stick = click(rng, ring.shape[1], log_uniform(rng, 800, 6000))
    sound = together(
        (ring * opening, 1.0), (hiss, rng.uniform(0, 0.7)), (stick, rng.uniform(0, 0.5))
    )
    return _knocked(rng, high_pass(sound, log_uniform(rng, 120, 700)))
