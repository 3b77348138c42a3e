"""Mixtures of drums whose parts are known."""

from __future__ import annotations

from collections import deque

import numpy as np
from scipy import signal

from separation.training.drums.bank import Bank, open_bank
from separation.training.drums.drawing import CHOKED, Kit, Voice
from separation.training.drums.grooves import Hit, draw_hits
from separation.training.drums.kits import CLASSES, VOICES, held_kits
from separation.training.drums.recorded import RATE, FloatArray
from separation.training.sources import Role

# What rings on from before the beginning is heard too.
_BEFORE_S = 2.0
_CHOKE = int(0.012 * RATE)
_HOP = 256


class DrumMixer:
    """Makes mixtures of drums.

    Parameters
    ----------
    split : str
        `train`, or `held`: kits that no training example has a sound of.
    kit : str, optional
        One of `held_kits()`, to measure that one by itself.
    bank : Bank, optional
        Instead of the split's own.
    """

    classes = CLASSES

    def __init__(self, split: Role, *, kit: str | None = None, bank: Bank | None = None) -> None:
        if kit is not None and (split != "held" or kit not in held_kits()):
            raise ValueError(f"No kit that is held back is called {kit}.")
        self._split, self._kit = split, kit
        self._bank = bank or open_bank(split)

    def example(self, rng: np.random.Generator, n_samples: int) -> FloatArray:
        """Return (classes, 2, n_samples), float32 at 44.1 kHz; the mixture is their sum."""
        hits = draw_hits(rng, -_BEFORE_S, n_samples / RATE)
        hits = _some_stems(rng, hits)
        stems = self._played(rng, hits, n_samples)
        if rng.random() < 0.4:
            stems[CLASSES.index("percussion")] += _leakage(rng, stems.sum(axis=0))
        if rng.random() < 0.5:
            compress(rng, stems)
        if rng.random() < 0.2:
            _clip(rng, stems)
        if rng.random() < 0.1:
            stems[:] = stems.mean(axis=1, keepdims=True)
        peak = float(np.abs(stems.sum(axis=0)).max(initial=1e-9))
        stems *= np.float32(rng.uniform(0.25, 0.95) / max(peak, 1e-6))
        return stems

    def _played(self, rng: np.random.Generator, hits: list[Hit], n_samples: int) -> FloatArray:
        stems = np.zeros((len(CLASSES), 2, n_samples), np.float32)
        kit = self._draw_kit(rng)
        voices = {name: kit.voice(name) for name in sorted({hit.voice for hit in hits})}
        ends = choked_at(hits)
        for hit, end in zip(hits, ends, strict=True):
            voice = voices[hit.voice]
            if voice is not None:
                _add(stems[CLASSES.index(voice.stem)], voice, hit, end)
        return stems

    def _draw_kit(self, rng: np.random.Generator) -> Kit:
        if self._split == "train":
            return Kit(rng, self._bank)
        names = sorted({sound.kit for sound in self._bank.sounds} & set(held_kits()))
        chosen = self._kit or str(rng.choice(names))
        return Kit(rng, self._bank, chosen, variety=0.3)


def _some_stems(rng: np.random.Generator, hits: list[Hit]) -> list[Hit]:
    """Leave out some stems: a mixture does not always have them all."""
    missing = {stem for stem in CLASSES if rng.random() < 0.12}
    kept = [hit for hit in hits if VOICES[hit.voice] not in missing]
    return kept or hits


def choked_at(hits: list[Hit]) -> list[float]:
    """Return when each hit is ended by the next one of its group (s), or infinity."""
    ends = [float("inf")] * len(hits)
    last: deque[int] = deque(maxlen=1)
    for index, hit in enumerate(hits):
        if hit.voice in CHOKED:
            if last:
                ends[last[0]] = hit.at_s
            last.append(index)
    return ends


def _add(stem: FloatArray, voice: Voice, hit: Hit, end_s: float) -> None:
    take, gain = voice.stroke(hit.strength)
    start = round(hit.at_s * RATE)
    length = take.shape[1]
    if end_s != float("inf"):
        length = min(length, max(round(end_s * RATE) - start, 0) + _CHOKE)
    first, last = max(start, 0), min(start + length, stem.shape[1])
    if last <= first:
        return
    heard = take[:, first - start : last - start] * gain
    if length < take.shape[1]:
        fade = min(_CHOKE, last - first)
        heard[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    stem[:, first:last] += heard


def compress(rng: np.random.Generator, stems: FloatArray) -> None:
    """Even out the level of the mixture; the gain is the same for all stems."""
    mixture = stems.sum(axis=0)
    n_blocks = -(-mixture.shape[1] // _HOP)
    power = np.zeros((n_blocks * _HOP,), np.float32)
    power[: mixture.shape[1]] = np.square(mixture[0]) + np.square(mixture[1])
    loud = np.sqrt(power.reshape(n_blocks, _HOP).mean(axis=1) / 2)
    release = float(rng.uniform(0.03, 0.3)) * RATE / _HOP
    # The envelope falls slowly: the largest of what came before, each fading.
    envelope, now, fall = np.empty(n_blocks), 0.0, float(np.exp(-1 / release))
    for index, value in enumerate(loud.tolist()):
        now = max(value, now * fall)
        envelope[index] = now
    threshold = max(float(np.quantile(envelope, rng.uniform(0.2, 0.7))), 1e-6)
    slope = 1 / float(rng.uniform(1.5, 8)) - 1
    gains = np.maximum(envelope / threshold, 1.0) ** slope
    places = np.arange(mixture.shape[1]) / _HOP
    # The attack: the gain comes late by up to some milliseconds.
    late = float(rng.uniform(0, 0.012)) * RATE / _HOP
    stems *= np.interp(places - late, np.arange(n_blocks), gains).astype(np.float32)


def _clip(rng: np.random.Generator, stems: FloatArray) -> None:
    """Bend the mixture's peaks; each stem gets the gain that the mixture has just then."""
    mixture = stems.sum(axis=0)
    peak = float(np.abs(mixture).max(initial=0.0))
    if peak < 1e-6:
        return
    driven = mixture * np.float32(rng.uniform(0.5, 2.5) / peak) + np.float32(1e-9)
    stems *= np.tanh(driven) / driven


def _leakage(rng: np.random.Generator, mixture: FloatArray) -> FloatArray:
    """Return what a separator leaves of bass and of the rest: quiet, and not drums."""
    n = mixture.shape[1]
    out = np.zeros((2, n), np.float32)
    level = float(np.sqrt(np.square(mixture).mean())) + 1e-6
    if rng.random() < 0.7:
        out += _notes(rng, n, (38, 90))
    if rng.random() < 0.4:
        out += _notes(rng, n, (120, 900)) * rng.uniform(0.3, 1, (2, 1)).astype(np.float32)
    if rng.random() < 0.4:
        noise = rng.standard_normal((2, n), dtype=np.float32)
        pole = float(rng.uniform(0.0, 0.98))
        noise = signal.lfilter([1 - pole], np.array([1, -pole], np.float32), noise)
        sway = np.interp(np.arange(n), np.linspace(0, n, 12), rng.uniform(0, 1, 12) ** 2)
        out += (noise / (np.sqrt(np.square(noise).mean()) + 1e-9) * sway).astype(np.float32)
    now = float(np.sqrt(np.square(out).mean()))
    gain = level * 10 ** (rng.uniform(-38, -14) / 20) / now if now else 0.0
    return out * np.float32(gain)


def _notes(rng: np.random.Generator, n: int, lowest_hz: tuple[float, float]) -> FloatArray:
    """Return a line of plucked notes, as loud on both sides."""
    line = np.zeros(n, np.float32)
    step = int(rng.uniform(0.12, 0.5) * RATE)
    root, bright = float(rng.uniform(*lowest_hz)), float(rng.uniform(0.2, 0.8))
    for start in range(0, n, step):
        if rng.random() < 0.3:
            continue
        length = min(int(step * rng.uniform(0.5, 1)), n - start)
        times = np.arange(length, dtype=np.float32) / RATE
        hertz = root * 2 ** (float(rng.choice([0, 0, 3, 5, 7, 10, 12])) / 12)
        phase = np.float32(2 * np.pi * hertz) * times
        note = np.sin(phase)
        for partial in (2, 3, 5):
            note += np.float32(bright**partial) * np.sin(partial * phase)
        note *= np.exp(-times * np.float32(rng.uniform(1, 8)))
        fade = min(200, length)
        note[length - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        line[start : start + length] += note
    return np.stack([line, line])
