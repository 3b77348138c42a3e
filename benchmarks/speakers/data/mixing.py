"""Conversations put together from pieces of single people: who is next, when, in what room."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from typing import Any

import av
import numpy as np
import soxr  # type: ignore[import-untyped]
from av.audio.frame import AudioFrame

from benchmarks.songs import FloatArray
from benchmarks.speakers.data.labels import PAUSE_S, joined, overlap_share
from benchmarks.speakers.data.voices import RATE, Piece, Talker
from separation.audio.decode import samples_of

LabelledTurn = tuple[float, float, str]

TELEPHONE_RATE = 8_000
_TELEPHONE_HZ = (300.0, 3400.0)
_GAP_S = (0.1, 1.2)
# A piece is never in more than this share of another: two of one speaker must not meet.
_MOST_OF_A_PIECE = 0.4
_OVERLAP_S = (0.2, 2.5)
_PIECE_S = (1.0, 12.0)
_FIRST_PIECE_S = 4.0  # with its pauses: whoever speaks at all can be told from the others
_NEWCOMER = 0.35  # how likely the next one is somebody who did not speak yet
_LEVEL_DB = (-5.0, 5.0)
_SPEECH_LEVEL_DB = -26.0
_PEAK = 0.95
_FADE_S = 0.01
_DIRECT_TO_ROOM_DB = (0.0, 8.0)
_MP3_KBIT = 48


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a conversation is made.

    `overlap` is the share of speech in which two are to speak at once, `rt60_s` the room's
    reverberation time or None for none, `snr_db` the noise's distance below the speech or None.
    """

    speakers: int
    duration_s: float
    overlap: float = 0.0
    rt60_s: float | None = None
    snr_db: float | None = None
    is_telephone: bool = False
    is_mp3: bool = False


@dataclass(frozen=True, slots=True)
class Mixture:
    """A conversation, what each speaker gave to it (without the noise), and who spoke when."""

    samples: FloatArray
    stems: dict[str, FloatArray]
    turns: list[LabelledTurn]
    rate: int
    condition: dict[str, Any]


def converse(talkers: Sequence[Talker], seconds: float, rng: random.Random) -> list[Piece]:
    """Let people speak in turns, some of them more than others, each at least once.

    Parameters
    ----------
    talkers : sequence of Talker
    seconds : float
        About how long all pieces are together.
    rng : random.Random
    """
    weights = {talker.name: rng.gammavariate(2.0, 1.0) + 0.2 for talker in talkers}
    waiting = list(talkers)
    rng.shuffle(waiting)
    able, spoken_s = list(talkers), 0.0
    pieces: list[Piece] = []
    while able and (spoken_s < seconds or waiting):
        length_s = min(max(rng.lognormvariate(1.3, 0.6), _PIECE_S[0]), _PIECE_S[1])
        if waiting and (spoken_s >= seconds or rng.random() < _NEWCOMER):
            talker = waiting.pop()
        else:
            others = [t for t in able if not pieces or t.name != pieces[-1].speaker] or able
            talker = rng.choices(others, [weights[t.name] for t in others])[0]
        if all(talker.name != piece.speaker for piece in pieces):
            length_s = max(length_s, _FIRST_PIECE_S)
        waiting = [t for t in waiting if t is not talker]
        piece = talker.say(length_s)
        if piece is None:
            able.remove(talker)
            continue
        pieces.append(piece)
        spoken_s += piece.duration_s
    return pieces


def place(pieces: Sequence[Piece], overlap: float, rng: random.Random) -> list[float]:
    """Return when each piece starts, in seconds: after a gap, or into the one before it."""
    starts: list[float] = []
    end_s = rng.uniform(0.2, 1.0)
    spoken_s = overlapped_s = 0.0
    for index, piece in enumerate(pieces):
        spoken_s += piece.duration_s
        before = pieces[index - 1] if index else None
        start_s = end_s + (rng.uniform(*_GAP_S) if before else 0.0)
        if before and before.speaker != piece.speaker and overlapped_s < overlap * spoken_s:
            most = min(before.duration_s, piece.duration_s) * _MOST_OF_A_PIECE
            amount_s = min(rng.uniform(*_OVERLAP_S), most)
            start_s = end_s - amount_s
            overlapped_s += amount_s
        starts.append(start_s)
        end_s = start_s + piece.duration_s
    return starts


def mix(
    pieces: Sequence[Piece],
    recipe: Recipe,
    rng: random.Random,
    *,
    noise: FloatArray | None = None,
    keeps_levels: bool = False,
) -> Mixture:
    """Put pieces together.

    Parameters
    ----------
    pieces : sequence of Piece
    recipe : Recipe
    rng : random.Random
    noise : (samples,) float32 at RATE, optional
        Repeated to the length; else it is drawn, pink.
    keeps_levels : bool
        Whether pieces stay as loud as they are. Else each speaker has a level.
    """
    starts = place(pieces, recipe.overlap, rng)
    n = round((max(s + p.duration_s for s, p in zip(starts, pieces, strict=True)) + 0.5) * RATE)
    speakers = list(dict.fromkeys(piece.speaker for piece in pieces))
    stems = {speaker: np.zeros(n, np.float32) for speaker in speakers}
    for start_s, piece in zip(starts, pieces, strict=True):
        first = round(start_s * RATE)
        stems[piece.speaker][first : first + len(piece.samples)] += faded(piece.samples)
    turns = labelled(pieces, starts)
    if not keeps_levels:
        for speaker in speakers:
            level_db = _SPEECH_LEVEL_DB + rng.uniform(*_LEVEL_DB)
            stems[speaker] *= _gain(stems[speaker], spans_of(turns, speaker), level_db)
    generator = np.random.default_rng(rng.getrandbits(32))
    if recipe.rt60_s is not None:
        for speaker in speakers:
            direct_db = rng.uniform(*_DIRECT_TO_ROOM_DB)
            room = response(recipe.rt60_s, direct_db, generator)
            stems[speaker] = convolved(stems[speaker], room)
    return _finished(stems, turns, recipe, noise, generator)


def cut_to(mixture: Mixture, seconds: float) -> Mixture:
    """Return the beginning of a mixture."""
    n = round(seconds * mixture.rate)
    turns = [(start, min(end, seconds), name) for start, end, name in mixture.turns]
    condition = {**mixture.condition, "duration_s": min(seconds, mixture.condition["duration_s"])}
    return replace(
        mixture,
        samples=mixture.samples[:n],
        stems={speaker: stem[:n] for speaker, stem in mixture.stems.items()},
        turns=[turn for turn in turns if turn[0] < turn[1]],
        condition=condition,
    )


def labelled(pieces: Sequence[Piece], starts: Sequence[float]) -> list[LabelledTurn]:
    """Return the reference: spans of speech, those of one speaker joined over short pauses."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for start_s, piece in zip(starts, pieces, strict=True):
        moved = [(start_s + start, start_s + end) for start, end in piece.spans]
        spans.setdefault(piece.speaker, []).extend(moved)
    turns = [
        (round(start, 3), round(end, 3), speaker)
        for speaker, listed in spans.items()
        for start, end in joined(listed, PAUSE_S)
    ]
    return sorted(turns)


def spans_of(turns: Sequence[LabelledTurn], speaker: str) -> list[tuple[float, float]]:
    """Return when somebody speaks."""
    return [(start, end) for start, end, name in turns if name == speaker]


def response(rt60_s: float, direct_db: float, rng: np.random.Generator) -> FloatArray:
    """Return how a room answers a click: the click, then noise that decays by 60 dB in a time.

    The noise begins 2 ms later, and its energy lies `direct_db` below that of the click.
    """
    times_s = np.arange(round(rt60_s * RATE)) / RATE
    tail = rng.standard_normal(len(times_s)) * 10 ** (-3 * times_s / rt60_s)
    tail[: round(0.002 * RATE)] = 0
    tail *= 10 ** (-direct_db / 20) / np.sqrt((tail**2).sum())
    tail[0] = 1
    return np.asarray(tail, np.float32)


def convolved(samples: FloatArray, room: FloatArray) -> FloatArray:
    """Return samples in a room, as many as there were."""
    size = 1 << (len(samples) + len(room) - 1).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(room, size)
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


def pink(n: int, rng: np.random.Generator) -> FloatArray:
    """Return noise whose power falls by 3 dB an octave, from 20 Hz on."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20.0))
    return np.fft.irfft(spectrum, n).astype(np.float32)


def faded(samples: FloatArray) -> FloatArray:
    """Return samples that begin and end softly."""
    n = min(round(_FADE_S * RATE), len(samples) // 2)
    slope = np.ones(len(samples), np.float32)
    slope[:n] = np.linspace(0, 1, n, endpoint=False)
    slope[len(samples) - n :] = np.linspace(1, 0, n)
    return samples * slope


def through_telephone(samples: FloatArray) -> FloatArray:
    """Return samples at TELEPHONE_RATE, with a telephone's band and its 8 bits (mu-law)."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    low, high = _TELEPHONE_HZ
    spectrum *= np.clip((frequencies - low + 50) / 100, 0, 1)
    spectrum *= np.clip((high + 100 - frequencies) / 200, 0, 1)
    narrow = np.fft.irfft(spectrum, len(samples)).astype(np.float32)
    return np.asarray(soxr.resample(narrow, RATE, TELEPHONE_RATE), np.float32)


def mu_law(samples: FloatArray) -> FloatArray:
    """Return samples as 8 bits hold them."""
    packed = np.sign(samples) * np.log1p(255 * np.minimum(np.abs(samples), 1)) / np.log(256)
    steps = np.round(packed * 127) / 127
    expanded = np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255
    return np.asarray(expanded, np.float32)


def through_mp3(samples: FloatArray, rate: int) -> FloatArray:
    """Return what is left of samples after MP3 at a low rate, as many and at the same places."""
    file = BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=rate, layout="mono")
        stream.bit_rate = _MP3_KBIT * 1000
        frame = AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    file.seek(0)
    with av.open(file, "r") as reader:
        blocks = [samples_of(frame)[0] for frame in reader.decode(audio=0)]
    decoded = np.concatenate(blocks)[: len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded)))


def _gain(samples: FloatArray, spans: Sequence[tuple[float, float]], level_db: float) -> np.float32:
    parts = [samples[round(start * RATE) : round(end * RATE)] for start, end in spans]
    power = float(np.mean(np.concatenate(parts) ** 2))
    return np.float32(10 ** (level_db / 20) / max(np.sqrt(power), 1e-6))


def _finished(
    stems: dict[str, FloatArray],
    turns: list[LabelledTurn],
    recipe: Recipe,
    noise: FloatArray | None,
    rng: np.random.Generator,
) -> Mixture:
    rate = RATE
    if recipe.is_telephone:
        stems = {speaker: through_telephone(stem) for speaker, stem in stems.items()}
        rate = TELEPHONE_RATE
    total: FloatArray = np.stack(list(stems.values())).sum(axis=0)
    if recipe.snr_db is not None:
        total = total + _noise(noise, turns, total, rate, recipe.snr_db, rng)
    scale = np.float32(min(1.0, _PEAK / max(float(np.abs(total).max()), 1e-6)))
    total = total * scale
    stems = {speaker: stem * scale for speaker, stem in stems.items()}
    if recipe.is_telephone:
        total = mu_law(total)
    if recipe.is_mp3:
        total = through_mp3(total, rate)
    condition = {**asdict(recipe), "overlap": round(overlap_share(turns), 4)}
    condition["duration_s"] = round(len(total) / rate, 3)
    condition["speakers"] = len(stems)
    return Mixture(total, stems, turns, rate, condition)


def _noise(
    noise: FloatArray | None,
    turns: Sequence[LabelledTurn],
    speech: FloatArray,
    rate: int,
    snr_db: float,
    rng: np.random.Generator,
) -> FloatArray:
    n = len(speech)
    if noise is None:
        noise = pink(n * RATE // rate + 1, rng)
    if rate != RATE:
        noise = soxr.resample(noise, RATE, rate)
    noise = np.resize(noise, n)
    parts = [speech[round(start * rate) : round(end * rate)] for start, end, _ in turns]
    power = float(np.mean(np.concatenate(parts) ** 2))
    wanted = power / 10 ** (snr_db / 10)
    return noise * np.float32(np.sqrt(wanted / max(float(np.mean(noise**2)), 1e-12)))
