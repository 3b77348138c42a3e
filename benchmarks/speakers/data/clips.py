"""The conversations of the tests, made of synthesized voices.

    python -m benchmarks.speakers.data.clips

Their voices are among those that were tuned on: what is heard in them says that all works
together, and nothing of how well.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]

from benchmarks.songs import ROOT, FloatArray
from benchmarks.speakers.data.fetch import CACHE
from benchmarks.speakers.data.labels import PAUSE_S, joined, speech_spans
from benchmarks.speakers.data.mixing import LabelledTurn, pink
from benchmarks.speakers.data.synthesis import speak_all
from benchmarks.speakers.data.voices import RATE
from separation.training.voices.kokoro import VOICE_RATE

FOLDER = ROOT / "tests" / "separation" / "speech"

_START_S = 0.4
_GAP_S = (0.15, 0.6)
_LEVEL = 0.04  # of a sentence, root mean square
_NOISE_LEVEL = 0.0001
_SEED = 3


@dataclass(frozen=True, slots=True)
class Clip:
    """A conversation: who says the next of his sentences, one after another.

    `interruptions` says of a turn by how many seconds it begins before the one before it ends.
    """

    name: str
    says: tuple[str, ...]
    interruptions: dict[int, float]
    extension: str


_THREE = ("af_heart", "am_michael", "bf_emma")
_TWELVE = (
    *("af_bella", "am_adam", "bm_george", "bf_isabella", "am_onyx", "ff_siwis"),
    *("em_alex", "af_nicole", "bm_lewis", "zf_xiaobei", "hm_omega", "jf_alpha"),
)
_AGAIN = ("am_onyx", "af_bella", "zf_xiaobei", "bm_lewis", "bf_isabella", "em_alex")
CLIPS = (
    Clip("three", tuple(_THREE[n] for n in (0, 1, 0, 2, 1, 2, 0, 1)), {4: 1.0, 6: 0.8}, "flac"),
    Clip("twelve", _TWELVE + _AGAIN, {}, "ogg"),
)


def main() -> None:
    spoken = speak_all(CACHE)
    FOLDER.mkdir(exist_ok=True)
    for clip in CLIPS:
        samples, turns = made(clip, spoken)
        path = FOLDER / f"{clip.name}.{clip.extension}"
        soundfile.write(path, samples, RATE)
        values = [{"start_s": s, "end_s": e, "speaker": name} for s, e, name in turns]
        lines = ",\n".join("  " + json.dumps(value) for value in values)
        path.with_suffix(".json").write_text(f"[\n{lines}\n]\n")


def made(clip: Clip, spoken: dict[str, list[Path]]) -> tuple[FloatArray, list[LabelledTurn]]:
    """Return a clip, (samples,) at RATE, and who speaks when in it."""
    rng = random.Random(_SEED)
    end_s = _START_S
    placed: list[tuple[float, FloatArray]] = []
    spans: dict[str, list[tuple[float, float]]] = {}
    for number, voice in enumerate(clip.says):
        piece, heard = _spoken(spoken[voice][clip.says[:number].count(voice)])
        gap_s = rng.uniform(*_GAP_S)
        start_s = end_s + (-clip.interruptions[number] if number in clip.interruptions else gap_s)
        placed.append((start_s, piece))
        moved = [(start_s + first, start_s + last) for first, last in heard]
        spans.setdefault(voice, []).extend(moved)
        end_s = start_s + len(piece) / RATE
    samples = np.zeros(round((end_s + _START_S) * RATE), np.float32)
    for start_s, piece in placed:
        first = round(start_s * RATE)
        samples[first : first + len(piece)] += piece
    noise = pink(len(samples), np.random.default_rng(_SEED))
    samples += noise * np.float32(_NOISE_LEVEL / np.sqrt(np.mean(noise**2)))
    turns = [
        (round(start, 3), round(end, 3), voice)
        for voice, listed in spans.items()
        for start, end in joined(listed, PAUSE_S)
    ]
    return samples, sorted(turns)


def _spoken(path: Path) -> tuple[FloatArray, list[tuple[float, float]]]:
    """Return a sentence without silence around it, at RATE, and where in it there is speech."""
    samples, rate = soundfile.read(path, dtype="float32")
    if rate != VOICE_RATE:
        raise ValueError(f"{path} is not of {VOICE_RATE} Hz.")
    samples = soxr.resample(samples, rate, RATE)
    spans = speech_spans(samples, RATE)
    first, last = spans[0][0], spans[-1][1]
    samples = samples[round(first * RATE) : round(last * RATE)]
    spans = [(start - first, end - first) for start, end in spans]
    level = float(np.sqrt(np.mean(samples**2)))
    return samples * np.float32(_LEVEL / level), spans


if __name__ == "__main__":
    main()
