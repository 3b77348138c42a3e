"""Recordings whose true stems are known, and how near an estimate comes to them."""

from __future__ import annotations

import itertools
import wave
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from separation.audio.decode import AudioReader

ROOT = Path(__file__).resolve().parent.parent

FloatArray = npt.NDArray[np.float32]

_EPSILON = 1e-20
# Energies are added up in float64, so many samples at a time: a long song would not fit twice.
_CHUNK_SAMPLES = 1 << 20


@dataclass(frozen=True, slots=True)
class Song:
    """A mixture and, by their names in the catalogue, the files of the stems that it is made of."""

    name: str
    about: str
    mixture: Path
    stems: Mapping[str, Path]


def demo() -> Song:
    """Return the song that ships with the project."""
    folder = ROOT / "demo"
    stems = {path.stem: path for path in sorted((folder / "stems").glob("*.flac"))}
    return Song("demo", "the project's own song, 23 s", folder / "clip.flac", stems)


def looped(song: Song, seconds: float, folder: Path, *, with_stems: bool = True) -> Song:
    """Repeat a song, and its stems with it, to a length; write it as 16-bit WAV into a folder.

    The mixture goes on where the stems do: what they add up to stays true at the joins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stems = song.stems if with_stems else {}
    paths = {}
    for name, source in {"": song.mixture, **stems}.items():
        paths[name] = folder / f"{name or 'mixture'}.wav"
        _write_looped(source, seconds, paths[name])
    mixture = paths.pop("")
    return Song(f"{song.name}, {seconds:g} s", song.about, mixture, paths)


def read(path: Path) -> FloatArray:
    """Return a whole file, (channels, samples)."""
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.blocks()), axis=1)


def sample_rate(path: Path) -> int:
    """Return a file's rate in Hz."""
    with AudioReader(path) as reader:
        return reader.format.sample_rate


def sdr_of(reference: FloatArray, estimate: FloatArray) -> float:
    """Return what `separation.quality.sdr_db` does, for songs of any length."""
    if reference.shape != estimate.shape:
        raise ValueError("The reference and the estimate must have the same shape.")
    energy = error_energy = 0.0
    for start in range(0, reference.shape[1], _CHUNK_SAMPLES):
        true = reference[:, start : start + _CHUNK_SAMPLES].astype(np.float64)
        error = true - estimate[:, start : start + _CHUNK_SAMPLES]
        energy += float(np.vdot(true, true))
        error_energy += float(np.vdot(error, error))
    return float(10 * np.log10((energy + _EPSILON) / (error_energy + _EPSILON)))


def sdr_of_stems(
    references: Mapping[str, Path], estimates: Mapping[str, Path], n_samples: int | None = None
) -> dict[str, float]:
    """Return the SDR of each reference's estimate in dB, over the first so many samples."""
    return {
        name: sdr_of(read(path)[:, :n_samples], read(estimates[name])[:, :n_samples])
        for name, path in references.items()
    }


def mean(values: Iterable[float]) -> float:
    """Return the mean, of at least one value."""
    listed = list(values)
    return sum(listed) / len(listed)


def _write_looped(source: Path, seconds: float, path: Path) -> None:
    samples = read(source)
    rate = sample_rate(source)
    steps = np.clip(np.rint(samples.T * 2.0**15), -(2**15), 2**15 - 1).astype("<i2")  # (n, 2)
    left = round(seconds * rate)
    with wave.open(str(path), "wb") as file:
        file.setparams((steps.shape[1], 2, rate, left, "NONE", ""))
        for part in itertools.repeat(steps):
            if left <= 0:
                break
            file.writeframesraw(part[:left].tobytes())
            left -= len(part)
