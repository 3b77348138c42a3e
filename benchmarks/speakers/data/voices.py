"""Recorded people, each with utterances of their own.

That each of these is one person, and that no two are the same, was checked with speaker embeddings
(WeSpeaker ResNet34, stretches of 5 s). Left out for that reason: the Spanish prompts of Asterisk
(the voice of the English ones), Hedgewars (one actor behind most of its characters), and of
KLettres what several people read or what comes too near to another language's voice; three more of
its voices because of their sound, a fifth to a half of which is not heard as speech. SpeechBrain's
samples for separation are no speech at all: their level stays within 4 dB.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]

from benchmarks.songs import FloatArray
from benchmarks.speakers.data import fetch, synthesis
from benchmarks.speakers.data.fetch import Package, Unavailable, unpacked
from benchmarks.speakers.data.labels import Span, speech_spans
from separation.audio.decode import samples_of

RATE = 16_000

# Sounds among the prompts that nobody says.
_NOT_SPEECH = ("beep", "silence", "tone", "tt-", "monkeys")
# What the demuxers do not find out by themselves.
_FORMATS = {".g722": "g722", ".gsm": "gsm"}
_PLAIN = ("WAV", "PCM_16", RATE, 1)
_LEAST_S = 0.3
_EDGE_S = 0.05
# With the edges they stay shorter than what counts as a pause, nearly all of them.
_JOIN_S = (0.03, 0.2)


@dataclass(frozen=True, slots=True)
class Voice:
    """One person's utterances; `is_synthesized` if it is nobody's."""

    name: str
    utterances: tuple[Path, ...]
    is_synthesized: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """What somebody says without giving the floor up; spans in seconds from its start."""

    speaker: str
    samples: FloatArray
    spans: tuple[Span, ...]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / RATE


_PROMPTS: dict[str, Package] = {
    "allison": fetch.ALLISON,
    "june": fetch.JUNE,
    "carlo": fetch.CARLO,
    "ivrvoice": fetch.IVRVOICE,
    "july": fetch.JULY,
    "armelle": fetch.ARMELLE,
    "menardi": fetch.MENARDI,
}
_SAMPLES = {
    "asr-1": "ASR/spk1_snt*.wav",
    "asr-2": "ASR/spk2_snt*.wav",
}
# Languages, and which of their two folders is one person's.
_KLETTRES = {
    "ar": "alpha",
    "da": "alpha",
    "de": "syllab",
    "en": "*",
    "en_GB": "*",
    "es": "*",
    "it": "syllab",
    "lt": "*",
    "nds": "*",
    "pt_BR": "*",
    "uk": "syllab",
}
_POCKETSPHINX = {"cards": "cards/*.wav", "librivox": "librivox/*.wav"}


def test_voices() -> tuple[list[Voice], list[str]]:
    """Return the people of the test mixtures, and what is missing, in words."""
    found: list[Voice] = []
    missing: list[str] = []
    for name, package in _PROMPTS.items():
        _add(found, missing, name, package, ("usr/share/asterisk/sounds/**/*.*",))
    for name, pattern in _SAMPLES.items():
        pattern = f"speechbrain-*/tests/samples/{pattern}"
        _add(found, missing, name, fetch.SPEECHBRAIN, (pattern,))
    return found, missing


def dev_voices() -> tuple[list[Voice], list[str]]:
    """Return those of the mixtures for tuning, none of whom is in any test; and what is missing."""
    found: list[Voice] = []
    missing: list[str] = []
    for language, kind in _KLETTRES.items():
        pattern = f"usr/share/klettres/{language}/{kind}/*.ogg"
        _add(found, missing, f"klettres-{language}", fetch.KLETTRES, (pattern,))
    for name, pattern in _POCKETSPHINX.items():
        pattern = f"usr/share/pocketsphinx/test/data/{pattern}"
        _add(found, missing, f"pocketsphinx-{name}", fetch.POCKETSPHINX, (pattern,))
    return found, missing


def synthesized_voices() -> tuple[list[Voice], list[str]]:
    """Return the voices that are nobody's, and what is missing."""
    try:
        spoken = synthesis.speak_all(fetch.CACHE)
    except Unavailable as error:
        return [], [f"synthesized voices: {error}"]
    return [Voice(f"kokoro-{name}", tuple(paths), True) for name, paths in spoken.items()], []


def read_16k(path: Path) -> FloatArray:
    """Return a file as mono at 16 kHz, (samples,); nothing if it does not decode."""
    try:
        with av.open(str(path), format=_FORMATS.get(path.suffix)) as container:
            stream = container.streams.audio[0]
            rate = stream.rate
            blocks = [samples_of(frame).mean(axis=0) for frame in container.decode(stream)]
    except (av.error.FFmpegError, IndexError):
        return np.zeros(0, np.float32)
    if not blocks:
        return np.zeros(0, np.float32)
    return np.asarray(soxr.resample(np.concatenate(blocks), rate, RATE), np.float32)


def as_16_bit_16k(path: Path, folder: Path) -> Path:
    """Return a recording as mono 16-bit WAV at RATE: itself if it is that, else a copy."""
    about = soundfile.info(path)
    if (about.format, about.subtype, about.samplerate, about.channels) == _PLAIN:
        return path
    copy = folder / f"{path.parent.name}-{path.stem}.wav"
    if not copy.is_file() or copy.stat().st_mtime < path.stat().st_mtime:
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(copy, read_16k(path), RATE, "PCM_16")
    return copy


def utterance(path: Path, speaker: str) -> Piece | None:
    """Return a file without the silence around its speech; None if there is hardly any."""
    samples = read_16k(path)
    spans = speech_spans(samples, RATE)
    if not spans or sum(end - start for start, end in spans) < _LEAST_S:
        return None
    first = max(0, round((spans[0][0] - _EDGE_S) * RATE))
    last = min(len(samples), round((spans[-1][1] + _EDGE_S) * RATE))
    shifted = tuple((start - first / RATE, end - first / RATE) for start, end in spans)
    return Piece(speaker, samples[first:last] - samples[first:last].mean(), shifted)


class Talker:
    """Hands out what a voice says, piece by piece, nothing twice.

    Parameters
    ----------
    voice : Voice
    rng : random.Random
    """

    def __init__(self, voice: Voice, rng: random.Random) -> None:
        self.name = voice.name
        self._rng = rng
        paths = list(voice.utterances)
        rng.shuffle(paths)
        self._left: Iterator[Path] = iter(paths)

    def say(self, seconds: float) -> Piece | None:
        """Return utterances one after the other up to about a length; None if none are left."""
        parts: list[Piece] = []
        while sum(part.duration_s for part in parts) < seconds:
            path = next(self._left, None)
            if path is None:
                break
            part = utterance(path, self.name)
            if part is not None:
                parts.append(part)
        if not parts:
            return None
        return _concatenated(parts, [self._rng.uniform(*_JOIN_S) for _ in parts[1:]])


def _concatenated(parts: list[Piece], pauses_s: list[float]) -> Piece:
    blocks, spans, at = [parts[0].samples], list(parts[0].spans), parts[0].duration_s
    for part, pause_s in zip(parts[1:], pauses_s, strict=True):
        silence = np.zeros(round(pause_s * RATE), np.float32)
        at += len(silence) / RATE
        spans += [(start + at, end + at) for start, end in part.spans]
        blocks += [silence, part.samples]
        at += part.duration_s
    return Piece(parts[0].speaker, np.concatenate(blocks), tuple(spans))


def _add(
    found: list[Voice], missing: list[str], name: str, package: Package, patterns: tuple[str, ...]
) -> None:
    try:
        folder = unpacked(package)
    except Unavailable as error:
        missing.append(f"{name}: {error}")
        return
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    chosen = [path for path in paths if not any(word in str(path) for word in _NOT_SPEECH)]
    distinct = {(path.name, path.stat().st_size): path for path in reversed(chosen)}
    found.append(Voice(name, tuple(sorted(distinct.values()))))
