"""Building blocks of the synthesizers: oscillators, strings, envelopes, bodies.

All sounds are float arrays (frames,) at 44.1 kHz, of one note's length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

from separation.training import effects
from separation.training.effects import RATE
from separation.training.instruments.programs import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    Curve = NDArray[np.float64]

NOTE_S = 2.5
FRAMES = int(NOTE_S * RATE)
TIMES = np.arange(FRAMES) / RATE
_HIGHEST = 0.45 * RATE

Render = Callable[[np.random.Generator, float, float], "Samples"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """A synthesized instrument: what it is, and how one note of it sounds.

    `render` takes a generator, a MIDI key and a velocity (0 to 1).
    """

    kind: Kind
    render: Render


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw evenly on the logarithmic scale."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def hertz(key: float) -> float:
    """Return the frequency of a MIDI key."""
    return float(440 * 2 ** ((key - 69) / 12))


def ringing(
    rng: np.random.Generator, modes: Curve, gains: Curve, decays_s: Curve, *, sine: bool = False
) -> Curve:
    """Sum damped sinusoids: modes in hertz, their gains, the times in which they fall by 60 dB.

    Their phases are drawn, or they all begin at 0 with `sine`.
    """
    out = np.zeros(FRAMES)
    impulse = np.zeros(FRAMES)
    impulse[0] = 1.0
    # What is 75 dB down is left out: most modes die away early.
    lengths = np.minimum(1.25 * np.maximum(decays_s, 0.005) * RATE + 1, FRAMES).astype(int)
    drawn = (modes.tolist(), gains.tolist(), decays_s.tolist(), lengths.tolist())
    for mode, gain, decay, length in zip(*drawn, strict=True):
        if mode >= _HIGHEST or abs(gain) < 1e-5:
            continue
        pole = np.exp(-6.9 / (max(decay, 0.005) * RATE))
        turn = 2 * np.pi * mode / RATE
        phase = 0.0 if sine else rng.uniform(0, 2 * np.pi)
        ahead = [gain * np.sin(phase), gain * pole * np.sin(turn - phase)]
        behind = [1.0, -2 * pole * np.cos(turn), pole * pole]
        out[:length] += signal.lfilter(ahead, behind, impulse[:length])
    return out


def harmonics(phase: Curve, gains: Curve, growth: Curve | None = None) -> Curve:
    """Sum harmonics of a phase (in turns) that may move; the k-th is scaled by `growth`^(k-1).

    Each comes from the two before it (Chebyshev's recurrence), which is fast.
    """
    turn = 2 * np.pi * phase
    twice = 2 * np.cos(turn)
    before, now = np.zeros(phase.size), np.sin(turn)
    scale = np.ones(phase.size)
    out = np.zeros(phase.size)
    for gain in gains.tolist():
        out += gain * scale * now
        before, now = now, twice * now - before
        if growth is not None:
            scale = scale * growth
    return out


def count_below(key: float, most: int, top: float = _HIGHEST) -> int:
    """Return how many harmonics of a key lie below a frequency, at most `most`."""
    return max(1, min(most, int(top / hertz(key))))


def phase_of(pitch: float | Curve, start: float = 0.0) -> Curve:
    """Return the phase in turns of a frequency in hertz, constant or one for each frame."""
    return np.asarray(start + np.cumsum(np.broadcast_to(pitch, (FRAMES,))) / RATE, np.float64)


def saw(phase: Curve, step: float) -> Curve:
    """Return a sawtooth of a phase; `step` is its advance per sample. Corners are rounded.

    The polynomial correction of Välimäki and Huovinen (2007) takes most of the aliases away.
    """
    ramp = phase % 1.0
    out = 2 * ramp - 1
    early, late = ramp < step, ramp > 1 - step
    first = ramp[early] / step
    out[early] -= first + first - first * first - 1
    last = (ramp[late] - 1) / step
    out[late] -= last * last + last + last + 1
    return np.asarray(out, np.float64)


def pulse(phase: Curve, step: float, width: float | Curve) -> Curve:
    """Return a pulse of some width (0 to 1) as the difference of two sawtooths."""
    return saw(phase, step) - saw(phase + width, step)


def vibrato(rng: np.random.Generator, deep: float, onset_s: float = 0.3) -> Curve:
    """Return a pitch curve in semitones: a vibrato that sets in, with a human wobble."""
    rate = rng.uniform(4.5, 7.0) * (1 + 0.05 * slow_noise(rng, 3.0))
    rise = np.clip((TIMES - onset_s * rng.uniform(0.3, 1.2)) / 0.4, 0, 1)
    return np.asarray(deep * rise * np.sin(2 * np.pi * np.cumsum(rate) / RATE), np.float64)


def slow_noise(rng: np.random.Generator, rate_hz: float) -> Curve:
    """Return a curve that wanders at random within about ±1, `rate_hz` points a second."""
    points = rng.standard_normal(int(NOTE_S * rate_hz) + 2)
    return np.interp(TIMES, np.arange(points.size) / rate_hz, points)


def envelope(attack_s: float, decay_s: float, sustain: float) -> Curve:
    """Return a rise and a fall to a level that holds (0 to 1)."""
    rise = np.minimum(TIMES / max(attack_s, 1e-4), 1.0)
    fall = sustain + (1 - sustain) * np.exp(-np.maximum(TIMES - attack_s, 0) / decay_s)
    return np.asarray(rise * fall, np.float64)


def noise(rng: np.random.Generator) -> Curve:
    """Return white noise."""
    return rng.standard_normal(FRAMES)


def band(sound: Curve, low: float, high: float) -> Curve:
    """Keep a band of frequencies."""
    edges = (max(low, 20.0), min(high, 0.49 * RATE))
    sections = signal.butter(1, edges, "bandpass", fs=RATE, output="sos")
    return np.asarray(signal.sosfilt(sections, sound), np.float64)


@dataclass(frozen=True, slots=True)
class Body:
    """A fixed colour that does not move with the pitch: a body, a bore, a mouth."""

    hertz: tuple[float, ...]
    gains_db: tuple[float, ...]

    def colour(self, sound: Curve) -> Samples:
        """Apply it to a sound."""
        as_sound = sound[np.newaxis].astype(np.float32)
        coloured = effects.shape_spectrum(as_sound, self.hertz, self.gains_db)
        return np.asarray(coloured[0], np.float32)


def draw_body(
    rng: np.random.Generator, low: float, high: float, peaks: int, depth_db: float, tilt_db: float
) -> Body:
    """Draw a body of some peaks and dips between two frequencies, with less treble by `tilt_db`."""
    places = np.sort(np.exp(rng.uniform(np.log(low), np.log(high), 2 * peaks)))
    gains = rng.normal(0, depth_db / 2, 2 * peaks)
    gains[::2] += depth_db / 2
    gains -= tilt_db * np.linspace(0, 1, gains.size)
    floor = float(rng.uniform(4, 14))
    return Body(
        (low / 3, *places.tolist(), 1.8 * high),
        (float(gains[0]) - floor, *gains.tolist(), float(gains[-1]) - floor),
    )


def formants(peaks: list[tuple[float, float, float]], floor_db: float) -> Body:
    """Return a body from its formants: frequency, gain in dB, width in hertz."""
    grid = np.geomspace(50, 16_000, 120)
    curve = np.full(grid.size, 10 ** (floor_db / 20))
    for centre, gain_db, width in peaks:
        curve += 10 ** (gain_db / 20) / (1 + np.square((grid - centre) / (width / 2)))
    return Body(tuple(grid.tolist()), tuple((20 * np.log10(curve)).tolist()))
