"""Vocal tracks of songs that do not exist: leads in the middle, harmonies and choirs around them.

What makes a voice lead or backing is how it stands in the mix: alone or among several takes, near
or roomy, loud or behind, in the middle or wide. Each of these is drawn, and sometimes fails to
hold, as in songs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from separation.training.effects import (
    RATE,
    compress,
    delay,
    equalize,
    high_pass,
    room,
)
from separation.training.voices import bank
from separation.training.voices.bank import Split, Stack

FloatArray = npt.NDArray[np.float32]

CLASSES = ("lead_male", "lead_female", "backing_male", "backing_female")

# How a stretch of a song is sung, and how often.
_SCENES = {
    "solo": 0.07,
    "doubled": 0.05,
    "harmony": 0.45,
    "choir": 0.17,
    "answer": 0.07,
    "duet": 0.16,
    "behind": 0.03,
}
_LEAST_S = 2.5
_GLIDE_S = 0.03


@dataclass(frozen=True, slots=True)
class _Take:
    """A line at a place in the stretch: gains for left and right, late by some samples."""

    line: int
    left: float
    right: float
    late: int
    is_lead: bool


class VoiceMixer:
    """Makes vocal tracks of one split's voices.

    Parameters
    ----------
    split : str
        `train`, or `held` for voices that no training example uses.
    stacks : sequence of Stack, optional
        What is sung; the split's bank if None, which is made first if it is not there.
    """

    classes = CLASSES

    def __init__(self, split: Split, stacks: Sequence[Stack] | None = None) -> None:
        self._stacks = tuple(bank.stacks(split) if stacks is None else stacks)

    def example(self, rng: np.random.Generator, n_samples: int) -> FloatArray:
        """Return the true stems of one mixture, (4, 2, n_samples), in the order of `CLASSES`.

        Leads come first, men before women; the sum of all is the mixture, with a peak below 1.
        """
        dry = np.zeros((4, 2, n_samples), np.float32)
        width = float(rng.choice([0.0, 0.5, 0.8, 1.0], p=[0.06, 0.14, 0.3, 0.5]))
        for begin, end in _stretches(rng, n_samples):
            stack = self._stacks[int(rng.integers(len(self._stacks)))]
            self._sing(rng, stack, dry[:, :, begin:end], width)
        wet = _produced(rng, dry)
        if width == 0.0:
            wet = np.repeat(wet.mean(axis=1, keepdims=True), 2, axis=1)
        peak = float(np.abs(wet.sum(axis=0)).max())
        target = float(np.exp(rng.uniform(np.log(0.1), np.log(0.95))))
        return np.asarray(wet * np.float32(target / max(peak, 1e-6)), np.float32)

    def _sing(self, rng: np.random.Generator, stack: Stack, into: FloatArray, width: float) -> None:
        """Add one stretch to the four tracks, (4, 2, n)."""
        n = into.shape[-1]
        scene = str(rng.choice(list(_SCENES), p=list(_SCENES.values())))
        speed = 1.0 if rng.random() < 0.4 else float(2 ** (rng.uniform(-1.8, 1.8) / 12))
        latest = max(int(stack.sound.shape[1] - n * speed - 0.1 * RATE), 1)
        begin = int(rng.integers(0, min(latest, int(3.0 * RATE))))
        fade = _edges(n)
        for take in _takes(rng, scene, stack, width):
            heard = _read(stack.sound[take.line], begin - take.late, n, speed) * fade
            if scene == "answer":
                heard = _half(heard, lead=take.is_lead)
            track = (0 if take.is_lead else 2) + (stack.lines[take.line].gender == "female")
            into[track, 0] += heard * np.float32(take.left)
            into[track, 1] += heard * np.float32(take.right)


def _stretches(rng: np.random.Generator, n: int) -> Iterator[tuple[int, int]]:
    """Cut an example into stretches of one scene each, with a breath between some."""
    begin = 0
    while begin < n:
        length = int(rng.uniform(4.0, 8.0) * RATE)
        end = n if n - begin - length < _LEAST_S * RATE else begin + length
        yield begin, end
        begin = end + int(rng.uniform(0, 0.6) * RATE) * int(rng.random() < 0.4)


def _takes(rng: np.random.Generator, scene: str, stack: Stack, width: float) -> list[_Take]:
    order = [int(index) for index in rng.permutation(len(stack.lines))]
    first = next((line for line in order if not stack.lines[line].is_made), order[0])
    lead = first if rng.random() < 0.6 else order[0]
    others = [line for line in order if line != lead]
    takes: list[_Take] = []
    aside = width * float(rng.uniform(-0.35, 0.35)) * float(rng.random() < 0.25)
    if scene == "duet":
        partner = next(
            (line for line in others if stack.lines[line].gender != stack.lines[lead].gender),
            others[0],
        )
        apart = width * float(rng.uniform(0, 0.4))
        takes = [
            _take(lead, apart, lead=True),
            _take(partner, -apart, _gain(rng, -4, 2), lead=True),
        ]
        others = [line for line in others if line != partner]
    elif scene != "behind":
        takes = [_take(lead, aside, lead=True)]
    if scene == "doubled":
        late = int(rng.uniform(0.008, 0.035) * RATE)
        takes.append(_take(lead, -aside, _gain(rng, -12, -2), late, lead=True))
    if scene in ("solo", "doubled") or (scene == "duet" and rng.random() < 0.4):
        return takes
    return takes + _backing(rng, scene, others, width)


def _backing(rng: np.random.Generator, scene: str, lines: list[int], width: float) -> list[_Take]:
    """Place some lines around the middle: alone, or twice and left and right."""
    count = int(rng.integers(3, 7)) if scene == "choir" else int(rng.integers(1, 4))
    loud = {"choir": (-10, -2), "answer": (-6, 3), "behind": (-3, 3)}.get(scene, (-14, -1))
    total = _gain(rng, *loud)
    wide = width * float(rng.choice([0.15, 0.5, 0.8, 1.0], p=[0.1, 0.2, 0.3, 0.4]))
    takes: list[_Take] = []
    for line in lines[:count]:
        gain = total * _gain(rng, -3, 3) / np.sqrt(count)
        late = int(rng.uniform(0.0, 0.03) * RATE)
        side = wide * float(rng.uniform(0.3, 1.0)) * float(rng.choice([-1, 1]))
        if scene != "choir" and rng.random() < 0.45:
            later = late + int(rng.uniform(0.008, 0.03) * RATE)
            takes.append(_take(line, side, 0.7 * gain, late))
            takes.append(_take(line, -side, 0.7 * gain, later))
        else:
            takes.append(_take(line, side, gain, late))
    return takes


def _take(line: int, side: float, gain: float = 1.0, late: int = 0, *, lead: bool = False) -> _Take:
    """Pan by level with the same loudness everywhere; `side` runs from -1, right, to 1, left."""
    angle = (1 - float(np.clip(side, -1, 1))) * np.pi / 4
    left, right = np.cos(angle) * np.sqrt(2), np.sin(angle) * np.sqrt(2)
    return _Take(line, float(gain * left), float(gain * right), late, lead)


def _produced(rng: np.random.Generator, dry: FloatArray) -> FloatArray:
    """Give leads and backings each a sound of their own; the backings stand further away."""
    out = np.zeros_like(dry)
    for first, wet, mud in ((0, (0.01, 0.15), 90.0), (2, (0.03, 0.6), 180.0)):
        if not dry[first : first + 2].any():
            continue
        is_even, is_roomy, echoes = rng.random() < 0.6, rng.random() < 0.8, rng.random() < 0.2
        seed = int(rng.integers(1 << 31))
        for track in (first, first + 1):
            if not dry[track].any():
                continue
            # Two voices on one bus go through the same room and colour.
            same = np.random.default_rng(seed)
            sound = equalize(same, dry[track], 4.0)
            sound = high_pass(sound, same.uniform(0.6, 1.4) * mud, 1)
            sound = compress(rng, sound) if is_even else sound
            sound = room(same, sound, seconds=(0.2, 2.0), wet=wet) if is_roomy else sound
            out[track] = delay(same, sound) if echoes else sound
        scale = _kept(dry[first : first + 2], out[first : first + 2])
        out[first : first + 2] *= scale
    return out


def _kept(before: FloatArray, after: FloatArray) -> np.float32:
    """Return the gain that keeps the energy of two tracks."""
    return np.float32(np.sqrt(np.square(before).sum() / max(float(np.square(after).sum()), 1e-12)))


def _read(line: npt.NDArray[np.int16], begin: int, n: int, speed: float) -> FloatArray:
    """Return n samples of a line from some place on, faster or slower; silence beyond its ends."""
    n_read = int(n * speed) + 2
    first, last = max(begin, 0), min(begin + n_read, line.size)
    samples = np.zeros(n_read, np.float32)
    if last > first:
        samples[first - begin : last - begin] = line[first:last]
    samples *= np.float32(1 / 32768)
    if speed == 1.0:
        return samples[:n]
    at = np.arange(n, dtype=np.float64) * speed
    whole = at.astype(np.int64)
    share = (at - whole).astype(np.float32)
    return samples[whole] * (1 - share) + samples[whole + 1] * share


def _half(heard: FloatArray, *, lead: bool) -> FloatArray:
    """Leave the lead the first half of a stretch and the answer the second."""
    out = heard.copy()
    middle = heard.size // 2
    glide = min(int(_GLIDE_S * RATE), middle)
    ramp = np.linspace(1, 0, glide, dtype=np.float32)
    if lead:
        out[middle : middle + glide] *= ramp[: out[middle : middle + glide].size]
        out[middle + glide :] = 0
    else:
        out[: middle - glide] = 0
        out[middle - glide : middle] *= ramp[::-1]
    return out


def _edges(n: int) -> FloatArray:
    fade = np.ones(n, np.float32)
    glide = min(int(_GLIDE_S * RATE), n // 2)
    fade[:glide] = np.linspace(0, 1, glide, dtype=np.float32)
    fade[n - glide :] = fade[:glide][::-1]
    return fade


def _gain(rng: np.random.Generator, low_db: float, high_db: float) -> float:
    return float(10 ** (rng.uniform(low_db, high_db) / 20))
