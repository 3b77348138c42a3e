"""The recorded one-shots: files and soundfonts' notes, as they are."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from separation.training.drums.kits import SampledKit, SoundfontKits, sampled_kits, soundfont_kits
from separation.training.sources import Role, fetch

RATE = 44_100
# MIDI's strengths at which a soundfont's notes are taken.
_STRENGTHS = (30, 62, 96, 127)
_LONGEST_S = 5.0

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RawSound:
    """One sound at one strength or several, in no order: float32 (2, n) each, at 44.1 kHz."""

    kit: str
    voice: str
    takes: tuple[FloatArray, ...]


def recorded(role: Role) -> Iterator[RawSound]:
    """Give every recorded sound of a role; packages are fetched as they are needed."""
    for kit in sampled_kits(role):
        yield from _of_files(kit)
    for fonts in soundfont_kits(role):
        yield from _of_soundfont(fonts)


def read(path: Path) -> FloatArray:
    """Read a whole file of any format as (2, n) at 44.1 kHz."""
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
    blocks = []
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            blocks += [block.to_ndarray() for block in resampler.resample(frame)]
        blocks += [block.to_ndarray() for block in resampler.resample(None)]
    whole = np.concatenate(blocks, axis=1)[:, : int(_LONGEST_S * RATE)]
    return whole.astype(np.float32, copy=False)


def _of_files(kit: SampledKit) -> Iterator[RawSound]:
    folder = fetch(kit.package) / kit.folder
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for pattern, voice in kit.sounds:
        matching = [
            path
            for path in paths
            if fnmatch.fnmatchcase(path.relative_to(folder).as_posix(), pattern)
        ]
        groups = [[path] for path in matching] if kit.each else [matching]
        for group in groups:
            if not group:
                raise FileNotFoundError(f"{kit.name}: nothing is called {pattern}.")
            yield RawSound(kit.name, voice, tuple(read(path) for path in group))


def _of_soundfont(fonts: SoundfontKits) -> Iterator[RawSound]:
    # Only whoever builds the bank needs it.
    import tinysoundfont

    folder = fetch(fonts.package)
    path = next(file for file in folder.rglob("*") if file.suffix in (".sf2", ".sf3"))
    synth: Any = tinysoundfont.Synth(samplerate=RATE)
    font = synth.sfload(str(path))
    for preset in fonts.presets:
        synth.program_select(0, font, fonts.bank, preset)
        for key, voice in fonts.voices.items():
            takes = [_note(synth, key, strength) for strength in _STRENGTHS]
            heard = tuple(take for take in takes if np.abs(take).max() > 1e-3)
            if heard:
                yield RawSound(fonts.name_of(preset), voice, heard)


def _note(synth: Any, key: int, strength: int) -> FloatArray:
    synth.sounds_off(0)
    synth.noteon(0, key, strength)
    block = int(0.25 * RATE)
    blocks: list[FloatArray] = []
    while len(blocks) * block < _LONGEST_S * RATE:
        heard = np.frombuffer(bytes(synth.generate(block)), np.float32).reshape(-1, 2)
        blocks.append(heard.T)
        if np.abs(heard).max() < 1e-4:
            break
    synth.noteoff(0, key)
    return np.concatenate(blocks, axis=1)
