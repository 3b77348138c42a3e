"""Songs to measure on, in sets: made of sources that no network has heard, or real recordings."""

from __future__ import annotations

import functools
import importlib
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import songs
from benchmarks.multitracks import from_stempeg
from benchmarks.quality.pieces import Case
from benchmarks.songs import FloatArray, Song
from separation.audio.resample import Resampler
from separation.catalog.measured import Kind
from separation.catalog.measured import SongSet as Described
from separation.errors import SeparationError

RATE = 44_100

# What the held-back makers of examples are, and the parent whose children they make.
_MIXERS = {
    "instruments": ("separation.training.instruments.mixer:InstrumentMixer", "other"),
    "guitar-roles": ("separation.training.instruments.roles:GuitarRolesMixer", "guitar"),
    "voices": ("separation.training.voices.mixer:VoiceMixer", "vocals"),
}
_DRUMS = "separation.training.drums"
_CLIP_S = 10.0
# In one clip there is often a single source, and nothing to separate: a song has several, as music
# in which who plays changes.
_CLIPS_A_SONG = 4
# Tells how files of multitracks are mapped to stems, where it lies beside them.
MAP_NAME = "stems.toml"


class Unavailable(Exception):
    """A set cannot be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class SongSet:
    """Songs of one kind, and what makes them, one by one.

    `cases` raises Unavailable where it cannot.
    """

    described: Described
    cases: Callable[[], Iterator[Case]]

    @property
    def name(self) -> str:
        return self.described.name


def _set(name: str, about: str, kind: Kind, cases: Callable[[], Iterator[Case]]) -> SongSet:
    return SongSet(Described(name, about, kind), cases)


def demo_set() -> SongSet:
    """Return the song that ships with the project, the only one of its set."""
    song = songs.demo()
    return _set("demo", song.about, "synthetic", lambda: iter([_of_files(song)]))


def stempeg_set(packages: Path, scratch: Path) -> SongSet:
    """Return the example of the package stempeg: real, and very short."""
    about = "The Easton Ellises, Falcon 69, 6 s, the example of the package stempeg"

    def cases() -> Iterator[Case]:
        yield _of_files(from_stempeg(packages, scratch / "stempeg"))

    return _set("stempeg", about, "real", cases)


def multitrack_set(folder: Path, mapping: Mapping[str, str]) -> SongSet:
    """Return a real recording that came in pieces.

    Parameters
    ----------
    folder : path
        Each audio file in it is a piece.
    mapping : mapping of str to str
        From the name of a file, without its ending, to a stem; the file `stems.toml` in the
        folder says the same for those that are not in it. Files of one stem are added.

    Raises
    ------
    Unavailable
        If there is no such folder, or the mapping does not fit its files.
    """
    if not folder.is_dir():
        raise Unavailable(f"There is no folder {folder}.")
    beside = folder / MAP_NAME
    known = tomllib.loads(beside.read_text()) if beside.is_file() else {}
    stems = {**{str(name): str(stem) for name, stem in known.items()}, **mapping}
    files = {path.stem: path for path in sorted(folder.iterdir()) if path != beside}
    if set(stems) != set(files):
        differing = ", ".join(sorted(set(stems) ^ set(files)))
        raise Unavailable(f"Each file in {folder} needs a stem, and each stem a file: {differing}.")
    about = f"a real recording of {', '.join(dict.fromkeys(stems.values()))}"

    def cases() -> Iterator[Case]:
        yield _of_multitrack(folder.name, {path: stems[name] for name, path in files.items()})

    return _set(folder.name, about, "real", cases)


def held_sets(*, n_clips: int) -> list[SongSet]:
    """Return the sets that the project makes itself, of sources that no network learned from."""
    return [
        _set(
            "kits",
            "drum kits that no network has heard",
            "synthetic",
            functools.partial(_kits, n_clips),
        ),
        *(
            _set(
                name,
                f"{name.replace('-', ' ')} that no network has heard",
                "synthetic",
                functools.partial(_clips, name, n_clips),
            )
            for name in _MIXERS
        ),
        _set(
            "songs",
            "whole songs of the drums, instruments and voices of the other sets",
            "synthetic",
            functools.partial(_whole_songs, n_clips),
        ),
    ]


def _kits(n_clips: int) -> Iterator[Case]:
    """Yield one song a kit: its clips, one after the other."""
    drums = _module(_DRUMS)
    for number, kit in enumerate(drums.held_kits()):
        rng = np.random.default_rng([1, number])
        mixer = _opened(functools.partial(drums.DrumMixer, "held", kit=kit))
        clips = [_pieces(mixer, rng) for _ in range(max(n_clips // 3, 1))]
        yield Case(kit, _joined(clips), "drums")


def _clips(name: str, n_clips: int) -> Iterator[Case]:
    path, whole = _MIXERS[name]
    mixer = _mixer(path)
    for number in range(max(n_clips // _CLIPS_A_SONG, 1)):
        rng = np.random.default_rng([2, number])
        clips = [_pieces(mixer, rng) for _ in range(_CLIPS_A_SONG)]
        yield Case(f"{name} {number}", _joined(clips), whole)


def _whole_songs(n_clips: int) -> Iterator[Case]:
    """Yield recordings of all that there is; they lack a bass, which no child stem needs."""
    mixers = [_mixer(f"{_DRUMS}:DrumMixer")]
    mixers += [_mixer(_MIXERS[name][0]) for name in ("instruments", "voices")]
    for number in range(max(n_clips // _CLIPS_A_SONG, 1)):
        rng = np.random.default_rng([3, number])
        clips = []
        for _ in range(_CLIPS_A_SONG):
            pieces: dict[str, FloatArray] = {}
            for mixer in mixers:
                gain = np.float32(10 ** (rng.uniform(-6, 0) / 20))
                pieces |= {name: gain * samples for name, samples in _pieces(mixer, rng).items()}
            clips.append(pieces)
        yield Case(f"song {number}", _joined(clips))


def _pieces(mixer: Any, rng: np.random.Generator) -> dict[str, FloatArray]:
    made = mixer.example(rng, round(_CLIP_S * RATE))  # (classes, 2, n)
    return dict(zip(mixer.classes, made, strict=True))


def _joined(clips: Sequence[Mapping[str, FloatArray]]) -> dict[str, FloatArray]:
    return {name: np.concatenate([clip[name] for clip in clips], axis=1) for name in clips[0]}


def _mixer(path: str) -> Any:
    module, _, name = path.partition(":")
    maker = getattr(_module(module), name)
    return _opened(functools.partial(maker, "held"))


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unavailable(f"{error}.") from error


def _opened(make: Callable[[], Any]) -> Any:
    """Open a maker of examples, which may have to fetch what it makes them of."""
    try:
        return make()
    except (SeparationError, OSError) as error:
        raise Unavailable(str(error)) from error


def _of_files(song: Song) -> Case:
    return Case(song.name, {name: read_stereo(path) for name, path in song.stems.items()})


def _of_multitrack(name: str, stems: Mapping[Path, str]) -> Case:
    read = {path: read_stereo(path) for path in stems}
    n = max(samples.shape[1] for samples in read.values())
    pieces: dict[str, FloatArray] = {}
    for path, stem in stems.items():
        samples = np.pad(read[path], ((0, 0), (0, n - read[path].shape[1])))
        pieces[stem] = pieces[stem] + samples if stem in pieces else samples
    return Case(name, pieces)


def read_stereo(path: Path) -> FloatArray:
    """Return a file as (2, n) float32 at 44.1 kHz; one channel goes into both."""
    samples = songs.read(path)
    rate = songs.sample_rate(path)
    if rate != RATE:
        resampler = Resampler(rate, RATE, samples.shape[0])
        samples = np.concatenate([resampler.process(samples), resampler.finish()], axis=1)
    return np.repeat(samples, 2, axis=0) if len(samples) == 1 else samples[:2]
