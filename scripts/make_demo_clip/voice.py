"""A singing voice from a speech model.

Kokoro-82M predicts how long every phoneme lasts, a pitch curve and an energy curve, and its decoder
draws the sound from these. Here the three predictions are cut out of the ONNX graph and replaced by
the score: the phonemes last as long as their notes, the pitch curve is the melody, and the energy
does not fade while a note is held. The decoder is unchanged, so the voice stays that of the model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from separation.training.voices.kokoro import DURATIONS, ENERGY, PITCH, singing

from .score import BEAT_S, KEY_SHIFT, Syllable

Audio = npt.NDArray[np.float32]

FRAME_S = 0.025
_PITCH_POINTS_PER_FRAME = 2

# The part of Kokoro's vocabulary that the lyrics use.
# https://huggingface.co/hexgrad/Kokoro-82M/blob/main/config.json
_TOKEN_IDS = {
    ",": 3, " ": 16, "A": 24, "I": 25, "O": 31, "b": 44, "d": 46, "f": 48, "h": 50, "i": 51,
    "j": 52, "k": 53, "l": 54, "m": 55, "n": 56, "p": 58, "s": 61, "t": 62, "u": 63, "v": 64,
    "w": 65, "z": 68, "ɑ": 69, "æ": 72, "ɔ": 76, "ð": 81, "ə": 83, "ɛ": 86, "ɡ": 92, "ɪ": 102,
    "ŋ": 112, "θ": 119, "ɹ": 123, "ʃ": 131, "ʊ": 135, "ʌ": 138, "ˈ": 156, "ˌ": 157, "ᵻ": 177,
}  # fmt: skip
_PAD_ID = 0
_VOWELS = frozenset("AIOiuɑæɔəɛɪʊʌᵻ")
_STRESS = frozenset("ˈˌ")
_VOICELESS = frozenset("fhkpstθʃ")
_CONSONANT_FRAMES = {"s": 4, "f": 3, "p": 3, "t": 3, "k": 3, "h": 3, "m": 3, "n": 2, "ŋ": 3, "l": 3}
_OTHER_CONSONANT_FRAMES = 2
_LEAD_IN_FRAMES = 12
_COMMA_FRAMES = 4
_TAIL_FRAMES = 12

# Read off the model's own energy predictions for spoken lines.
_ENERGY_SILENCE, _ENERGY_CLOSURE, _ENERGY_VOWEL, _ENERGY_OTHER = -9.5, 2.5, 8.2, 6.5
_ENERGY_BY_TOKEN = {_PAD_ID: _ENERGY_SILENCE, _TOKEN_IDS[" "]: 2.0, _TOKEN_IDS[","]: -4.0} | {
    _TOKEN_IDS[p]: _ENERGY_VOWEL for p in _VOWELS | _STRESS
}
_STOP_TOKENS = frozenset(_TOKEN_IDS[p] for p in "bdɡptk")


class Singer:
    """The model, rewired to sing."""

    def __init__(self, weights: Path) -> None:
        self._session = singing([weights])

    def sing(
        self, *, tokens: list[int], frames: list[int], pitch_hz: Audio, energy: Audio, style: Audio
    ) -> Audio:
        (waveform,) = self._session.run(
            None,
            {
                "input_ids": np.array([tokens], dtype=np.int64),
                "style": style,
                DURATIONS: np.array(frames, dtype=np.int64),
                PITCH: pitch_hz[None],
                ENERGY: energy[None],
            },
        )
        return np.asarray(waveform, dtype=np.float32).reshape(-1)


def line_sing(
    singer: Singer,
    *,
    line: tuple[Syllable, ...],
    speaker: Path,
    rng: np.random.Generator,
    vibrato_cents: float = 35.0,
) -> tuple[float, Audio]:
    """Sing one line.

    Returns
    -------
    start_s : float, where the returned audio begins in the clip.
    audio : (samples,) float32 at 24 kHz.
    """
    tokens, frames, voiced, lead_in_frames = _line_plan(line)
    start_s = line[0].start * BEAT_S - lead_in_frames * FRAME_S
    pitch_hz = _pitch_curve(
        line, start_s=start_s, n_points=sum(frames) * _PITCH_POINTS_PER_FRAME,
        rng=rng, vibrato_cents=vibrato_cents,
    )  # fmt: skip
    pitch_hz *= np.repeat(np.repeat(voiced, frames), _PITCH_POINTS_PER_FRAME)

    styles = np.fromfile(speaker, dtype="<f4").reshape(-1, 1, 256)
    style = styles[len(tokens) - 2]  # one per length of the text, which excludes the two pads
    audio = singer.sing(
        tokens=tokens,
        frames=frames,
        pitch_hz=pitch_hz.astype(np.float32),
        energy=_energy_curve(tokens, frames),
        style=style,
    )
    return start_s, audio


def _energy_curve(tokens: list[int], frames: list[int]) -> Audio:
    """Loudness of every phoneme on the scale of the model's own prediction, which is not usable.

    It fades to silence on a vowel of more than half a second: no speaker in the training data
    holds one that long.
    """
    pieces: list[Audio] = []
    for token, n_frames in zip(tokens, frames, strict=True):
        level = _ENERGY_BY_TOKEN.get(token, _ENERGY_OTHER)
        piece = np.full(n_frames * _PITCH_POINTS_PER_FRAME, level, dtype=np.float32)
        if token in _STOP_TOKENS:
            piece[: len(piece) // 2] = _ENERGY_CLOSURE
        pieces.append(piece)
    curve = np.concatenate(pieces)
    window = np.hanning(9)[1:-1]
    smooth = np.convolve(np.pad(curve, 3, mode="edge"), window / window.sum(), mode="valid")
    return smooth.astype(np.float32)


def _line_plan(line: tuple[Syllable, ...]) -> tuple[list[int], list[int], list[bool], int]:
    """Token ids, their lengths in frames, which are voiced, and the frames before the beat."""
    tokens, frames, voiced = [_PAD_ID], [_LEAD_IN_FRAMES], [False]
    starts = [round(s.start * BEAT_S / FRAME_S) for s in line]
    ends = [round((s.start + s.length) * BEAT_S / FRAME_S) for s in line]
    parts = [_syllable_split(s.phonemes.strip()) for s in line]
    lead_in = _LEAD_IN_FRAMES + _consonants_frames(parts[0][0])

    for i, (syllable, (onset, nucleus, coda)) in enumerate(zip(line, parts, strict=True)):
        is_last = i == len(line) - 1
        next_onset = 0 if is_last else _consonants_frames(parts[i + 1][0])
        limit = ends[i] if is_last else min(ends[i], starts[i + 1] - next_onset)
        coda_frames = [_CONSONANT_FRAMES.get(p, _OTHER_CONSONANT_FRAMES) for p in coda]
        vowel_frames = limit - starts[i] - sum(coda_frames)
        if vowel_frames < 3:
            coda_frames = [1 if p not in "s" else 2 for p in coda]
            vowel_frames = limit - starts[i] - sum(coda_frames)
        for phoneme in onset:
            tokens.append(_TOKEN_IDS[phoneme])
            frames.append(_CONSONANT_FRAMES.get(phoneme, _OTHER_CONSONANT_FRAMES))
            voiced.append(phoneme not in _VOICELESS)
        for phoneme in nucleus:
            # A stress mark takes one frame off the vowel that it belongs to.
            n = 1 if phoneme in _STRESS else vowel_frames - (len(nucleus) - 1)
            tokens.append(_TOKEN_IDS[phoneme])
            frames.append(n)
            voiced.append(True)
        for phoneme, n in zip(coda, coda_frames, strict=True):
            tokens.append(_TOKEN_IDS[phoneme])
            frames.append(n)
            voiced.append(phoneme not in _VOICELESS)
        if syllable.phonemes.endswith(" ") and not is_last:
            tokens.append(_TOKEN_IDS[" "])
            frames.append(starts[i + 1] - next_onset - limit)
            voiced.append(False)
    # With a comma after it the last vowel is not drawn as the dying end of a sentence.
    tokens += [_TOKEN_IDS[","], _PAD_ID]
    frames += [_COMMA_FRAMES, _TAIL_FRAMES]
    voiced += [False, False]
    return tokens, frames, voiced, lead_in


def _syllable_split(phonemes: str) -> tuple[str, str, str]:
    first = next(i for i, p in enumerate(phonemes) if p in _VOWELS or p in _STRESS)
    last = max(i for i, p in enumerate(phonemes) if p in _VOWELS)
    return phonemes[:first], phonemes[first : last + 1], phonemes[last + 1 :]


def _consonants_frames(consonants: str) -> int:
    return sum(_CONSONANT_FRAMES.get(p, _OTHER_CONSONANT_FRAMES) for p in consonants)


def _pitch_curve(
    line: tuple[Syllable, ...],
    *,
    start_s: float,
    n_points: int,
    rng: np.random.Generator,
    vibrato_cents: float,
) -> npt.NDArray[np.float64]:
    """The melody in Hz: glides between notes, delayed vibrato, and a slow human drift."""
    step_s = FRAME_S / _PITCH_POINTS_PER_FRAME
    time_s = start_s + (np.arange(n_points) + 0.5) * step_s
    target = np.full(n_points, float(line[0].pitches[0][1]))
    vibrato = np.zeros(n_points)
    for syllable in line:
        for k, (offset, pitch) in enumerate(syllable.pitches):
            at_s = (syllable.start + offset) * BEAT_S
            is_final = k + 1 == len(syllable.pitches)
            end = syllable.length if is_final else syllable.pitches[k + 1][0]
            length_s = (end - offset) * BEAT_S
            # The glide starts a little before the vowel, where the consonant hides it.
            target[time_s >= at_s - 0.05] = pitch
            if length_s >= 0.45:
                since = time_s - at_s
                depth = np.clip((since - 0.2) / 0.35, 0, 1) * (since < length_s)
                phase = rng.uniform(0, 2 * np.pi)
                vibrato += depth * np.sin(2 * np.pi * 5.6 * since + phase)
    # A scoop into the first note of the line, as singers do.
    since_start = time_s - line[0].start * BEAT_S
    target -= 1.2 * np.exp(-np.clip(since_start + 0.1, 0, None) / 0.06)
    glide = np.hanning(9)
    smooth = np.convolve(np.pad(target, 4, mode="edge"), glide / glide.sum(), mode="valid")
    drift = np.convolve(rng.standard_normal(n_points + 40), np.hanning(41), mode="valid")
    drift *= 0.08 / max(float(np.std(drift)), 1e-9)
    midi = smooth + KEY_SHIFT + vibrato * vibrato_cents / 100 + drift
    return np.asarray(440.0 * 2.0 ** ((midi - 69) / 12), dtype=np.float64)
