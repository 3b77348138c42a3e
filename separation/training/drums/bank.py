"""All one-shots in one file that is mapped into memory, built once."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from separation.training.drums.kits import VOICES
from separation.training.drums.recorded import RATE, FloatArray, RawSound, recorded
from separation.training.drums.synthesis import synthesized
from separation.training.sources import Role, private_folder, put_in_place, training_dir

# Counted up whenever what is built changes.
RECORDED_VERSION = 3
SYNTHESIS_VERSION = 3
# Seconds that are kept of a sound; the end of a longer one is faded out.
_LENGTHS_S = {"kick": 1.5, "snare": 1.3, "toms": 2.2, "hihat": 2.2, "ride": 3.5, "crash": 4.0}
_OTHERS_S = 1.5
# Two sounds whose magnitude spectra are closer than this are one: General MIDI's kits share
# most of their samples.
_SAME = 0.985
_FEATURE_SAMPLES = 8192
_FULL = 32_767
_LEVEL = 0.1


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound of a kit; `layers` are its strengths, soft to hard: first sample and length.

    `part` is the file of its bank that it lies in.
    """

    kit: str
    voice: str
    layers: tuple[tuple[int, int], ...]
    part: int = 0

    @property
    def stem(self) -> str:
        return VOICES[self.voice]


class Bank:
    """One-shots: trimmed to their onset, each layer at about the same level.

    Parameters
    ----------
    sounds : sequence of Sound
    parts : sequence of int16 arrays (n, 2)
        Where the layers of all sounds lie, at 44.1 kHz.
    """

    def __init__(self, sounds: Sequence[Sound], parts: Sequence[NDArray[np.int16]]) -> None:
        self.sounds = tuple(sounds)
        self.parts = tuple(parts)

    def layer(self, sound: Sound, index: int, longest: int | None = None) -> FloatArray:
        """Return one layer as (2, n), no longer than `longest` samples."""
        start, length = sound.layers[index]
        stop = start + (length if longest is None else min(length, longest))
        samples = self.parts[sound.part][start:stop]
        return samples.T.astype(np.float32) / np.float32(_FULL)

    @classmethod
    def from_folders(cls, *folders: Path) -> Bank:
        """Map what was written before, as one bank."""
        sounds, parts = [], []
        for part, folder in enumerate(folders):
            for entry in json.loads((folder / "index.json").read_text()):
                layers = tuple((start, length) for start, length in entry["layers"])
                sounds.append(Sound(entry["kit"], entry["voice"], layers, part))
            parts.append(np.memmap(folder / "samples.i16", np.int16, "r").reshape(-1, 2))
        return cls(sounds, parts)


@cache
def open_bank(role: Role) -> Bank:
    """Open the bank of a role; what is not there yet is built first, which takes minutes."""
    if role == "train":
        return Bank.from_folders(_recorded_train(), _synthesized())
    return Bank.from_folders(_recorded_held())


def _recorded_train() -> Path:
    return _once(
        f"train-v{RECORDED_VERSION}", lambda target: write(target, recorded("train"), Distinct())
    )


def _synthesized() -> Path:
    return _once(
        f"synthesized-v{SYNTHESIS_VERSION}", lambda target: write(target, synthesized(), Distinct())
    )


def _recorded_held() -> Path:
    # What a held kit shares with a training one is not new to the network.
    train = Bank.from_folders(_recorded_train())

    def build(target: Path) -> None:
        heard = Distinct()
        for sound in train.sounds:
            heard.adds(sound.stem, train.layer(sound, len(sound.layers) - 1, _FEATURE_SAMPLES))
        write(target, recorded("held"), heard)

    return _once(f"held-v{RECORDED_VERSION}", build)


def _once(name: str, build: Callable[[Path], None]) -> Path:
    """Return a folder of the cache; whoever comes first builds it."""
    folder = training_dir() / "drums"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    if not target.is_dir():
        with (folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                build(target)
    return target


def write(target: Path, raw_sounds: Iterable[RawSound], known: Distinct) -> None:
    """Write a bank of the sounds that are not `known` yet; in place at once, or not at all."""
    with private_folder(target.parent) as into:
        built = into / "bank"
        built.mkdir()
        with (built / "samples.i16").open("wb") as file:
            sounds = []
            for raw in raw_sounds:
                layers = _layers(raw)
                if not layers or not known.adds(VOICES[raw.voice], layers[-1]):
                    continue
                places = []
                for layer in layers:
                    places.append((file.tell() // 4, layer.shape[1]))
                    file.write(np.ascontiguousarray(np.round(layer.T * _FULL), "<i2").tobytes())
                sounds.append(Sound(raw.kit, raw.voice, tuple(places)))
        (built / "index.json").write_text(json.dumps([asdict(sound) for sound in sounds]))
        put_in_place(built, target)


class Distinct:
    """Remembers sounds by what they sound like."""

    def __init__(self) -> None:
        self._known: dict[str, list[FloatArray]] = {}

    def adds(self, stem: str, sound: FloatArray) -> bool:
        """Say whether the sound is new among those of its stem, and remember it."""
        mono = np.zeros(_FEATURE_SAMPLES, np.float32)
        n = min(_FEATURE_SAMPLES, sound.shape[1])
        mono[:n] = sound[:, :n].mean(axis=0)
        spectrum = np.abs(np.fft.rfft(mono)).astype(np.float32)
        spectrum /= np.linalg.norm(spectrum) + 1e-9
        known = self._known.setdefault(stem, [])
        if known and float((np.stack(known) @ spectrum).max()) > _SAME:
            return False
        known.append(spectrum)
        return True


def _layers(raw: RawSound) -> list[FloatArray]:
    """Return a sound's layers from soft to hard, without what is only the same, scaled."""
    trimmed = [part for part in map(_trimmed, raw.takes) if part is not None]
    ordered = sorted(trimmed, key=_loudness)
    kept: list[FloatArray] = []
    seen = Distinct()
    for take in reversed(ordered):
        if seen.adds("", take):
            kept.insert(0, _levelled(take, _LENGTHS_S.get(VOICES[raw.voice], _OTHERS_S)))
    return kept


def _trimmed(take: FloatArray) -> FloatArray | None:
    """Cut off what comes before the onset and after the sound has died away."""
    heard = np.abs(take).max(axis=0)
    peak = float(heard.max(initial=0.0))
    if peak < 1e-4:
        return None
    first = int(np.argmax(heard > 0.03 * peak))
    last = heard.size - int(np.argmax(heard[::-1] > 1e-3 * peak))
    return take[:, max(first - 44, 0) : last]


def _loudness(take: FloatArray) -> float:
    """Return the root mean square of the loudest 46 ms."""
    power = np.square(take).mean(axis=0)
    blocks = [float(block.mean()) for block in np.split(power, range(2048, power.size, 2048))]
    return float(np.sqrt(max(blocks))) if power.size else 0.0


def _levelled(take: FloatArray, longest_s: float) -> FloatArray:
    longest = int(longest_s * RATE)
    kept = take[:, :longest].copy()
    fade = min(kept.shape[1], 2048 if take.shape[1] <= longest else longest // 3)
    kept[:, kept.shape[1] - fade :] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
    kept[:, :16] *= np.linspace(0, 1, 16, dtype=np.float32)[: kept.shape[1]]
    gain = min(_LEVEL / max(_loudness(kept), 1e-9), 0.98 / float(np.abs(kept).max()))
    return kept * np.float32(gain)


def by_voice(sounds: Iterable[Sound]) -> dict[str, list[Sound]]:
    """Sort sounds by their voice."""
    sorted_: dict[str, list[Sound]] = {}
    for sound in sounds:
        sorted_.setdefault(sound.voice, []).append(sound)
    return sorted_
