"""A speech model that sings: Kokoro-82M with durations, pitch and energy taken from a score.

The model predicts how long every phoneme lasts, a pitch curve and an energy curve, and its decoder
draws the sound from these. The three predictions are cut out of the ONNX graph and replaced:
phonemes last as long as their notes, the pitch curve is the melody, and the energy does not fade
while a note is held. The decoder is unchanged, so the voice stays that of the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from separation.training.voices.kokoro import DURATIONS, ENERGY, PITCH, singing

FloatArray = npt.NDArray[np.float32]

FRAME_S = 0.025
POINTS_PER_FRAME = 2

# What sung syllables need of the model's vocabulary.
# https://huggingface.co/hexgrad/Kokoro-82M/blob/main/config.json
_TOKEN_IDS = {
    ",": 3, " ": 16, "A": 24, "I": 25, "O": 31, "W": 39, "b": 44, "d": 46, "f": 48, "h": 50,
    "i": 51, "j": 52, "k": 53, "l": 54, "m": 55, "n": 56, "p": 58, "s": 61, "t": 62, "u": 63,
    "v": 64, "w": 65, "z": 68, "ɑ": 69, "æ": 72, "ɔ": 76, "ð": 81, "ə": 83, "ɛ": 86, "ɡ": 92,
    "ɪ": 102, "ŋ": 112, "θ": 119, "ɹ": 123, "ʃ": 131, "ʊ": 135, "ʌ": 138,
}  # fmt: skip
_PAD_ID = 0
_VOICELESS = frozenset("fhkpstθʃ")
_CONSONANT_FRAMES = {"s": 4, "f": 3, "p": 3, "t": 3, "k": 3, "h": 3, "m": 3, "ŋ": 3, "l": 3}
_OTHER_CONSONANT_FRAMES = 2
_LEAD_IN_FRAMES = 12
_COMMA_FRAMES = 4
_TAIL_FRAMES = 12

# Read off the model's own energy predictions for spoken lines.
_ENERGY_SILENCE, _ENERGY_CLOSURE, _ENERGY_VOWEL, _ENERGY_OTHER = -9.5, 2.5, 8.2, 6.5
_ENERGY_BY_TOKEN = {_PAD_ID: _ENERGY_SILENCE, _TOKEN_IDS[" "]: 2.0, _TOKEN_IDS[","]: -4.0} | {
    _TOKEN_IDS[vowel]: _ENERGY_VOWEL for vowel in "AIOWiuɑæɔəɛɪʊʌ"
}
_STOP_TOKENS = frozenset(_TOKEN_IDS[stop] for stop in "bdɡptk")


@dataclass(frozen=True, slots=True)
class Syllable:
    """One sung syllable; its vowel starts at `start_s`, its consonants before and after it.

    `onset` and `coda` are consonants and `vowel` is one vowel in the model's alphabet (IPA, with A,
    I, O, W for the diphthongs of "day", "my", "no", "now"). `pitches` holds (offset in seconds,
    MIDI pitch) pairs, the first at 0: more than one where a vowel is sung over several notes.
    `ends_word` leaves what is left of its time silent.
    """

    onset: str
    vowel: str
    coda: str
    start_s: float
    length_s: float
    pitches: tuple[tuple[float, float], ...]
    ends_word: bool


@dataclass(frozen=True, slots=True)
class Manner:
    """How a melody is sung: vibrato (depth in cents, Hz), scoop into the line and slow drift."""

    vibrato_cents: float
    vibrato_hz: float
    scoop_semitones: float
    drift_cents: float


@dataclass(frozen=True, slots=True)
class Sung:
    """One line as it was sung.

    Attributes
    ----------
    samples : (n,) float32 at VOICE_RATE
    start_s : float
        Where the first sample stands on the score's clock.
    pitch : (points,)
        In Hz, POINTS_PER_FRAME for each FRAME_S; 0 where there is no voice.
    """

    samples: FloatArray
    start_s: float
    pitch: FloatArray


class Singer:
    """The model, rewired to sing; one thread.

    Parameters
    ----------
    shards : paths
        The parts of the ONNX file, in order.
    """

    def __init__(self, shards: Iterable[Path]) -> None:
        self._session = singing(shards)

    def sing(
        self, line: tuple[Syllable, ...], styles: FloatArray, manner: Manner, seed: int
    ) -> Sung:
        """Sing one line.

        Parameters
        ----------
        line : syllables, in order, not overlapping
        styles : (lengths, 1, 256)
            The voice: a style for each length of a text, in tokens.
        manner : Manner
        seed : int
            Of what differs between two takes.
        """
        plan = _plan(line)
        start_s = line[0].start_s - plan.lead_in * FRAME_S
        pitch = _pitch_curve(line, start_s, sum(plan.frames) * POINTS_PER_FRAME, manner, seed)
        pitch *= np.repeat(np.repeat(plan.voiced, plan.frames), POINTS_PER_FRAME)
        (waveform,) = self._session.run(
            None,
            {
                "input_ids": np.array([plan.tokens], np.int64),
                "style": styles[len(plan.tokens) - 2],  # the two pads do not count
                DURATIONS: np.array(plan.frames, np.int64),
                PITCH: pitch[None],
                ENERGY: _energy_curve(plan)[None],
            },
        )
        return Sung(np.asarray(waveform, np.float32).reshape(-1), start_s, pitch)


@dataclass(slots=True)
class _Plan:
    """The model's tokens, how long each lasts and which are voiced; frames before the beat."""

    tokens: list[int]
    frames: list[int]
    voiced: list[bool]
    lead_in: int

    def add(self, sound: str, frames: int, voiced: bool) -> None:
        self.tokens.append(_TOKEN_IDS[sound])
        self.frames.append(frames)
        self.voiced.append(voiced)

    def add_consonants(self, consonants: str, frames: Iterable[int]) -> None:
        for sound, n in zip(consonants, frames, strict=True):
            self.add(sound, n, sound not in _VOICELESS)


def _plan(line: tuple[Syllable, ...]) -> _Plan:
    starts = [round(s.start_s / FRAME_S) for s in line]
    ends = [round((s.start_s + s.length_s) / FRAME_S) for s in line]
    plan = _Plan([_PAD_ID], [_LEAD_IN_FRAMES], [False], 0)
    plan.lead_in = _LEAD_IN_FRAMES + sum(_consonant_frames(line[0].onset))
    for index, syllable in enumerate(line):
        is_last = index == len(line) - 1
        following = 0 if is_last else sum(_consonant_frames(line[index + 1].onset))
        limit = ends[index] if is_last else min(ends[index], starts[index + 1] - following)
        coda = _consonant_frames(syllable.coda)
        if limit - starts[index] - sum(coda) < 3:
            coda = [1] * len(coda)
        plan.add_consonants(syllable.onset, _consonant_frames(syllable.onset))
        plan.add(syllable.vowel, max(limit - starts[index] - sum(coda), 1), True)
        plan.add_consonants(syllable.coda, coda)
        if syllable.ends_word and not is_last:
            plan.add(" ", max(starts[index + 1] - following - limit, 0), False)
    # With a comma after it the last vowel is not drawn as the dying end of a sentence.
    plan.add(",", _COMMA_FRAMES, False)
    plan.tokens.append(_PAD_ID)
    plan.frames.append(_TAIL_FRAMES)
    plan.voiced.append(False)
    return plan


def _consonant_frames(consonants: str) -> list[int]:
    return [_CONSONANT_FRAMES.get(sound, _OTHER_CONSONANT_FRAMES) for sound in consonants]


def _energy_curve(plan: _Plan) -> FloatArray:
    """Loudness of every phoneme on the scale of the model's own prediction, which is not usable.

    It fades to silence on a vowel of more than half a second: no speaker in the training data
    holds one that long.
    """
    pieces: list[FloatArray] = []
    for token, frames in zip(plan.tokens, plan.frames, strict=True):
        level = _ENERGY_BY_TOKEN.get(token, _ENERGY_OTHER)
        piece = np.full(frames * POINTS_PER_FRAME, level, np.float32)
        if token in _STOP_TOKENS:
            piece[: len(piece) // 2] = _ENERGY_CLOSURE
        pieces.append(piece)
    window = np.hanning(9)[1:-1]
    padded = np.pad(np.concatenate(pieces), 3, mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid").astype(np.float32)


def _pitch_curve(
    line: tuple[Syllable, ...], start_s: float, n_points: int, manner: Manner, seed: int
) -> FloatArray:
    """The melody in Hz: glides between notes, delayed vibrato, and a slow human drift."""
    rng = np.random.default_rng(seed)
    time_s = start_s + (np.arange(n_points) + 0.5) * FRAME_S / POINTS_PER_FRAME
    target = np.full(n_points, float(line[0].pitches[0][1]))
    vibrato = np.zeros(n_points)
    for syllable in line:
        ends = [offset for offset, _ in syllable.pitches[1:]] + [syllable.length_s]
        for (offset, pitch), end in zip(syllable.pitches, ends, strict=True):
            since = time_s - syllable.start_s - offset
            # The glide starts a little before the vowel, where the consonant hides it.
            target[since >= -0.05] = pitch
            if end - offset >= 0.45:
                depth = np.clip((since - 0.2) / 0.35, 0, 1) * (since < end - offset)
                phase = rng.uniform(0, 2 * np.pi)
                vibrato += depth * np.sin(2 * np.pi * manner.vibrato_hz * since + phase)
    since_start = np.clip(time_s - line[0].start_s + 0.1, 0, None)
    target -= manner.scoop_semitones * np.exp(-since_start / 0.06)
    glide = np.hanning(9)
    smooth = np.convolve(np.pad(target, 4, mode="edge"), glide / glide.sum(), mode="valid")
    drift = np.convolve(rng.standard_normal(n_points + 40), np.hanning(41), mode="valid")
    drift *= manner.drift_cents / 100 / max(float(np.std(drift)), 1e-9)
    midi = smooth + vibrato * manner.vibrato_cents / 100 + drift[:n_points]
    return np.asarray(440.0 * 2.0 ** ((midi - 69) / 12), np.float32)
