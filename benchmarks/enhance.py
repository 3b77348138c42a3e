"""What each step gains and costs, on voices, rooms and delays that nothing was tuned on.

    python -m benchmarks.enhance [--steps denoise …] [--write-docs]

Speech is recorded: prompts of Asterisk in four voices and languages, and two readers. Music is the
demo song. Rooms are shoeboxes by the image method, whereas the network learned from noise that
decays. The figures are SI-SDR in dB against what is wanted: with noise the clean sound, in a room
the direct sound with 50 ms of early reflections (`direct`: without), with an echo the dry sound.
What a step costs music that needs none of it is also seen in the stems, SDR in dB, that are made of
the music afterwards.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]
from scipy import signal

import separation
from benchmarks.songs import ROOT, FloatArray, demo, read, sdr_of
from benchmarks.speakers.data.fetch import ARMELLE, CARLO, IVRVOICE, JUNE, SPEECHBRAIN, unpacked
from separation.converting import enhance
from separation.enhance.steps import open_step
from separation.quality import si_sdr_db

_SPEECH_RATE, _MUSIC_RATE = 16000, 44100
_DURATION_S = 16
_EARLY_S = 0.05
_SOUNDS = ("speech", "telephone", "music")
_TO_ITSELF, _OF_STEMS = "untouched: SI-SDR to itself", "untouched: SDR of its stems"
_SOUND_M_S = 343.0
_DOCS = ROOT / "docs" / "enhancement.md"
_BEGIN, _END = "<!-- enhance: begin -->", "<!-- enhance: end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One condition: how many recordings, and their SI-SDR before and what a step gained, in dB."""

    step: str
    sound: str
    condition: str
    n: int
    before_db: float
    gained_db: float
    least_db: float


def telephone() -> Iterator[FloatArray]:
    """Return recordings of one person each, of 8 kHz, (1, n) at 16 kHz."""
    for package in (CARLO, IVRVOICE, JUNE, ARMELLE):
        found = sorted(unpacked(package).rglob("*.wav")) or sorted(unpacked(package).rglob("*.gsm"))
        long = [path for path in found if path.stat().st_size > 30_000]
        yield _joined(long[:40])


def readers() -> Iterator[FloatArray]:
    """Return recordings of one person each, (1, n) at 16 kHz."""
    for person in ("spk1", "spk2"):
        found = sorted(unpacked(SPEECHBRAIN).rglob(f"samples/ASR/{person}_snt*.wav"))
        yield _joined(found[: len(found) // 2])
        yield _joined(found[len(found) // 2 :])


def _joined(paths: list) -> FloatArray:  # type: ignore[type-arg]
    parts, n = [], 0
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        parts.append(soxr.resample(samples[:, 0], rate, _SPEECH_RATE).astype(np.float32))
        n += len(parts[-1])
        if n > _DURATION_S * _SPEECH_RATE:
            break
    return np.concatenate(parts)[None, : _DURATION_S * _SPEECH_RATE]


def music() -> list[FloatArray]:
    """Return the demo song and its stems, (2, n) at 44.1 kHz."""
    song = demo()
    paths = [song.mixture, *song.stems.values()]
    return [read(path)[:, : _DURATION_S * _MUSIC_RATE] for path in paths]


def noise(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Return pink noise whose level wanders, a power of one."""
    n = shape[1]
    spectrum = np.fft.rfft(rng.standard_normal(shape))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.shape[1]), 8))
    level_db = np.interp(np.arange(n), np.linspace(0, n, 9), rng.normal(0, 1.5, 9))
    sound = np.fft.irfft(spectrum, n) * 10 ** (level_db / 20)
    normal: FloatArray = (sound / np.sqrt(np.mean(sound**2))).astype(np.float32)
    return normal


def room(rng: np.random.Generator, rate: int, rt60_s: float) -> tuple[FloatArray, int]:
    """Return the response of a shoebox by images (Allen, Berkley 1979), and its first sample."""
    size = rng.uniform((4, 3.5, 2.6), (9, 7, 3.6))
    source, microphone = (rng.uniform(0.15, 0.85, 3) * size for _ in range(2))
    volume = float(np.prod(size))
    surface = 2 * float(size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    # Eyring's formula.
    reflection = np.sqrt(np.exp(-0.161 * volume / (surface * rt60_s)))
    reach = np.ceil(rt60_s * _SOUND_M_S / (2 * size)).astype(int)
    grids = np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij")
    n = round(1.1 * rt60_s * rate)
    response = np.zeros(n + 1)
    for sides in np.ndindex(2, 2, 2):
        distances, bounces = np.zeros(grids[0].shape), np.zeros(grids[0].shape)
        for grid, side, length, own, other in zip(
            grids, sides, size, source, microphone, strict=True
        ):
            distances += (2 * grid * length + (1 - 2 * side) * own - other) ** 2
            bounces += np.abs(grid - side) + np.abs(grid)
        distances = np.sqrt(distances)
        places = np.round(distances / _SOUND_M_S * rate).astype(int)
        heard = places < n
        gains = reflection ** bounces[heard] / np.maximum(distances[heard], 0.3)
        np.add.at(response, places[heard], gains * rng.choice([-1, 1], gains.shape))
    first = int(np.flatnonzero(response)[0])
    return (response / abs(response[first])).astype(np.float32), first


def with_echo(samples: FloatArray, delay: int, gain: float, *, comes_again: bool) -> FloatArray:
    """Return samples with an echo: once, or each time softer by the same gain."""
    echoed = samples.astype(np.float64)
    # One delay at a time: a filter with as many taps would take a hundred times as long.
    source = echoed if comes_again else samples
    for start in range(delay, samples.shape[-1], delay):
        part = echoed[..., start : start + delay]
        part += gain * source[..., start - delay : start][..., : part.shape[-1]]
    return echoed.astype(np.float32)


def through(step: str, samples: FloatArray, rate: int) -> FloatArray:
    """Return what a step makes of samples."""
    tool = open_step(step, rate, len(samples))
    blocks = [tool.push(block) for block in np.array_split(samples, 7, axis=1)]
    return np.concatenate([*blocks, tool.flush()], axis=1)


Case = Callable[[np.random.Generator, FloatArray, int], tuple[FloatArray, FloatArray]]


def _noisy(snr_db: float) -> Case:
    def case(rng: np.random.Generator, dry: FloatArray, rate: int) -> tuple[FloatArray, FloatArray]:
        level = np.sqrt(np.mean(dry**2)) * 10 ** (-snr_db / 20)
        return dry + level * noise(rng, dry.shape), dry

    return case


def _in_room(rt60_s: float, early_s: float) -> Case:
    def case(rng: np.random.Generator, dry: FloatArray, rate: int) -> tuple[FloatArray, FloatArray]:
        response, first = room(rng, rate, rt60_s)
        wanted = response.copy()
        wanted[first + 1 + round(early_s * rate) :] = 0
        heard, kept = (
            signal.oaconvolve(dry, each[None], axes=1)[:, : dry.shape[1]]
            for each in (response, wanted)
        )
        return heard.astype(np.float32), kept.astype(np.float32)

    return case


def _echoed(delay_s: float, gain: float, *, comes_again: bool) -> Case:
    def case(rng: np.random.Generator, dry: FloatArray, rate: int) -> tuple[FloatArray, FloatArray]:
        delay = round(delay_s * rate) + int(rng.integers(0, rate // 100))
        return with_echo(dry, delay, gain, comes_again=comes_again), dry

    return case


CASES: dict[str, dict[str, Case]] = {
    "denoise": {f"noise at {snr} dB": _noisy(snr) for snr in (5, 10, 20)},
    "deecho": {
        "80 ms, 0.6, once": _echoed(0.08, 0.6, comes_again=False),
        "230 ms, 0.3, again": _echoed(0.23, 0.3, comes_again=True),
        "410 ms, 0.5, once": _echoed(0.41, 0.5, comes_again=False),
        "590 ms, 0.75, again": _echoed(0.59, 0.75, comes_again=True),
    },
    "dereverb": {
        **{f"room of {rt60} s": _in_room(rt60, _EARLY_S) for rt60 in (0.3, 0.6, 0.9, 1.2)},
        "room of 0.6 s, direct": _in_room(0.6, 0),
    },
}


def measure(steps: Sequence[str]) -> Iterator[Row]:
    """Return a row for each kind of sound and condition; last, what is left as it is."""
    recorded = (
        (list(readers()), _SPEECH_RATE),
        (list(telephone()), _SPEECH_RATE),
        (music(), _MUSIC_RATE),
    )
    sounds = dict(zip(_SOUNDS, recorded, strict=True))
    for step in steps:
        for sound, (recordings, rate) in sounds.items():
            for condition, case in CASES[step].items():
                before, gained = [], []
                for number, dry in enumerate(recordings):
                    heard, wanted = case(np.random.default_rng(number), dry, rate)
                    before.append(si_sdr_db(wanted, heard))
                    gained.append(si_sdr_db(wanted, through(step, heard, rate)) - before[-1])
                yield _row(step, sound, condition, before, gained)
            left = [min(99.0, si_sdr_db(dry, through(step, dry, rate))) for dry in recordings]
            yield _row(step, sound, _TO_ITSELF, [99.0] * len(left), left)
        yield _stems_afterwards(step)


def _stems_afterwards(step: str) -> Row:
    """Return what the stems of the demo song gain or lose if a step is done to it before."""
    song = demo()
    with TemporaryDirectory(prefix="stemwright-") as folder:
        stepped = enhance(
            song.mixture, Path(folder), steps=[step], output_formats=["wav32f"]
        ).files["wav32f"]
        before, after = _stems_sdr(song.mixture), _stems_sdr(stepped)
    gained = [after[name] - sdr for name, sdr in before.items()]
    return _row(step, "music", _OF_STEMS, list(before.values()), gained)


@functools.cache
def _stems_sdr(path: Path) -> dict[str, float]:
    """Return the SDR of each stem that is made of a recording of the demo song."""
    true = demo().stems
    with TemporaryDirectory(prefix="stemwright-") as folder:
        made = separation.separate(path, folder, output_format="wav32f").stems
        return {name: sdr_of(read(true[name]), read(file)) for name, file in made.items()}


def _row(step: str, sound: str, condition: str, before: list[float], gained: list[float]) -> Row:
    values = (float(np.mean(before)), float(np.mean(gained)), float(np.min(gained)))
    return Row(step, sound, condition, len(gained), *(round(value, 1) + 0.0 for value in values))


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| step | sound | condition | n | before | gained | least |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append("| " + " | ".join(str(value) for value in asdict(row).values()) + " |")
    return "\n".join(lines)


def _kept(new: Row) -> list[Row]:
    """Write a row down among those of this run and earlier ones; return all, in order."""
    target = ROOT / "var" / "bench" / "enhance.json"
    known = json.loads(target.read_text())["rows"] if target.is_file() else []
    rows = {_place(row): row for row in (*(Row(**row) for row in known), new)}
    every = [rows[place] for place in sorted(rows)]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"rows": [asdict(row) for row in every]}, indent=1) + "\n")
    return every


def _place(row: Row) -> tuple[int, int, int]:
    conditions = [*CASES[row.step], _TO_ITSELF, _OF_STEMS]
    places = list(CASES).index(row.step), _SOUNDS.index(row.sound)
    return *places, conditions.index(row.condition)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.enhance", description=__doc__)
    parser.add_argument("--steps", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    for row in measure(options.steps):
        every = _kept(row)
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()
    if options.write_docs:
        page = _DOCS.read_text()
        before, after = page.split(_BEGIN)[0], page.split(_END)[1]
        _DOCS.write_text(f"{before}{_BEGIN}\n\n{table(every)}\n\n{_END}{after}")


if __name__ == "__main__":
    main()
