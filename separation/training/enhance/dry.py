"""Dry sound to learn from: read sentences, and short pieces of music played from a soundfont."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr  # type: ignore[import-untyped]

FloatArray = npt.NDArray[np.float32]

_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), (0, 2, 4, 7, 9))
# Programs of General MIDI without its sound effects.
_N_PROGRAMS = 112
_DRUM_CHANNEL, _DRUM_BANK = 9, 128
# Keys of General MIDI's drums, and how often each is hit.
_DRUMS = ((36, 0.3), (38, 0.2), (42, 0.5), (46, 0.1), (45, 0.08), (49, 0.04), (51, 0.3), (39, 0.1))

# Sample, channel, key, velocity: 0 ends a note.
Event = tuple[int, int, int, int]


class Speech:
    """Sentences in files, each in one voice."""

    def __init__(self, paths: Sequence[Path], sample_rate: int) -> None:
        self._rate = sample_rate
        if not paths:
            raise FileNotFoundError("There are no sentences to learn from.")
        self._clips = [self._read(path) for path in paths]

    def _read(self, path: Path) -> FloatArray:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return np.asarray(soxr.resample(samples[:, 0], rate, self._rate), np.float32)

    def example(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Return (n,) samples: sentences one after another, with pauses between them."""
        line = np.zeros(n, np.float32)
        place = -int(rng.integers(0, n))
        while place < n:
            clip = self._clips[rng.integers(len(self._clips))]
            # A little faster or slower moves voice and formants: more voices than there are.
            speed = rng.uniform(0.85, 1.2)
            clip = np.interp(np.arange(0, len(clip) - 1, speed), np.arange(len(clip)), clip)
            first, last = max(place, 0), min(place + len(clip), n)
            if first < last:
                line[first:last] = clip[first - place : last - place] * rng.uniform(0.5, 1.0)
            place += len(clip) + int(rng.uniform(0.05, 0.8) * self._rate)
        return line


class Music:
    """Pieces of music that nobody wrote: instruments of a soundfont in one key and tempo."""

    def __init__(self, soundfont: Path, sample_rate: int) -> None:
        import tinysoundfont

        self._rate = sample_rate
        self._synth: Any = tinysoundfont.Synth(samplerate=sample_rate)
        self._font = self._synth.sfload(str(soundfont))

    def example(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Return (n,) samples, one channel: one to five instruments, often with drums."""
        for channel in range(16):
            self._synth.sounds_off(channel)
        beat = rng.uniform(0.3, 1.0) * self._rate
        root, scale = int(rng.integers(0, 12)), _SCALES[rng.integers(len(_SCALES))]
        events = self._drums(rng, n, beat) if rng.random() < 0.6 else []
        for channel in range(int(rng.integers(0 if events else 1, 5))):
            program = int(rng.integers(0, _N_PROGRAMS))
            self._synth.program_select(channel, self._font, 0, program)
            events += _part(rng, n, beat, channel, [root + step for step in scale])
        return self._played(sorted(events), n)

    def _drums(self, rng: np.random.Generator, n: int, beat: float) -> list[Event]:
        self._synth.program_select(_DRUM_CHANNEL, self._font, _DRUM_BANK, 0, True)
        pattern = [(key, rng.random(16) < share) for key, share in _DRUMS if rng.random() < 0.7]
        events = []
        for number in range(int(4 * n / beat)):
            for key, hits in pattern:
                if hits[number % 16]:
                    place = int((number + rng.normal(0, 0.02)) * beat / 4)
                    events.append((max(0, place), _DRUM_CHANNEL, key, int(rng.integers(50, 127))))
        return events

    def _played(self, events: list[Event], n: int) -> FloatArray:
        parts, done = [], 0
        for place, channel, key, velocity in [*events, (n, 0, 0, 0)]:
            count = min(place, n) - done
            if count > 0:
                block = np.frombuffer(self._synth.generate(count), np.float32)
                parts.append(block.reshape(-1, 2).mean(axis=1))
                done += count
            if velocity:
                self._synth.noteon(channel, key, velocity)
            else:
                self._synth.noteoff(channel, key)
        return np.concatenate(parts)


def _part(
    rng: np.random.Generator, n: int, beat: float, channel: int, scale: list[int]
) -> list[Event]:
    """Return the notes of one instrument: chords or a line, held or short."""
    events: list[Event] = []
    length = beat * rng.choice([0.25, 0.5, 0.5, 1, 1, 2, 4])
    octave = int(rng.integers(3, 7)) * 12
    together, held, share = int(rng.integers(1, 5)), rng.uniform(0.3, 1.0), rng.uniform(0.4, 1.0)
    step = int(rng.integers(0, len(scale)))
    place = 0.0
    while place < n:
        if rng.random() < share:
            step = (step + int(rng.integers(-2, 3))) % len(scale)
            for number in range(together):
                key = octave + scale[(step + 2 * number) % len(scale)]
                events.append((int(place), channel, key, int(rng.integers(40, 120))))
                events.append((int(place + held * length), channel, key, 0))
        place += length
    return events
