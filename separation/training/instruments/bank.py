"""A bank of single notes: one file of samples, mapped into memory, and an index beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from separation.training.instruments.programs import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLES = "samples.i16"
_INDEX = "index.json"
_FULL = 32_767


@dataclass(frozen=True, slots=True)
class Patch:
    """One instrument of a bank.

    Attributes
    ----------
    name : str
        Unique in the bank.
    kind : Kind
        Its stem, family and range.
    keys : array
        (notes,) the pitch of each note in MIDI keys.
    velocities : array
        (notes,) how hard each is played, 0 to 1.
    starts, lengths : array
        (notes,) where its samples lie.
    gains : array
        (notes,) what makes all of them about equally loud.
    """

    name: str
    kind: Kind
    keys: NDArray[np.float64]
    velocities: NDArray[np.float64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    gains: NDArray[np.float64]

    @classmethod
    def from_index(cls, entry: Mapping[str, Any]) -> Self:
        """Build one from its entry in the index."""
        notes = np.array(entry["notes"], np.float64).reshape(-1, 5)
        places = notes[:, 2:4].astype(np.int64)
        kind = Kind(**entry["kind"])
        return cls(
            entry["name"], kind, notes[:, 0], notes[:, 1], places[:, 0], places[:, 1], notes[:, 4]
        )

    def nearest(self, key: float, velocity: float) -> int:
        """Return the note that is nearest in pitch and, of those, in velocity."""
        distance = np.abs(self.keys - key)
        return int(np.argmin(distance + 0.4 * np.abs(self.velocities - velocity)))


class Bank:
    """Notes to play from, out of one or several folders."""

    def __init__(self, parts: Sequence[tuple[NDArray[np.int16], Sequence[Patch]]]) -> None:
        """Keep samples (mono, 44.1 kHz), each with the patches that lie in them."""
        self.patches = tuple(patch for _, patches in parts for patch in patches)
        self._samples = {patch.name: samples for samples, patches in parts for patch in patches}
        if len(self._samples) < len(self.patches):
            raise ValueError("Two patches of a bank have the same name.")

    @classmethod
    def open(cls, *folders: Path) -> Self:
        """Open what `BankWriter` wrote; the samples stay on disk until they are used."""
        parts = []
        for folder in folders:
            entries = json.loads((folder / _INDEX).read_text("utf-8"))
            patches = [Patch.from_index(entry) for entry in entries]
            parts.append((np.memmap(folder / _SAMPLES, np.int16, "r"), patches))
        return cls(parts)

    def note(self, patch: Patch, index: int) -> NDArray[np.float32]:
        """Return one note of a patch as it was recorded, at the common loudness; (frames,)."""
        start = int(patch.starts[index])
        stored = self._samples[patch.name][start : start + int(patch.lengths[index])]
        return stored.astype(np.float32) * np.float32(patch.gains[index] / _FULL)


class BankWriter:
    """Writes a bank into a folder, note by note."""

    def __init__(self, folder: Path) -> None:
        """Begin an empty bank in an existing folder."""
        self._folder = folder
        self._file = (folder / _SAMPLES).open("wb")
        self._written = 0
        self._entries: list[dict[str, Any]] = []

    def begin(self, name: str, kind: Kind) -> None:
        """Begin the patch that the next notes belong to."""
        fields = {slot: getattr(kind, slot) for slot in Kind.__slots__}
        self._entries.append({"name": name, "kind": fields, "notes": []})

    def add(self, key: float, velocity: float, samples: NDArray[np.float32]) -> bool:
        """Add a note, (frames,) mono at 44.1 kHz; False if it is silent and was left out."""
        peak = float(np.abs(samples).max(initial=0.0))
        if peak < 1e-4:
            return False
        stored = np.round(samples * (0.98 * _FULL / peak)).astype(np.int16)
        start = stored[: 44_100 // 2].astype(np.float32) / _FULL
        # Notes of one loudness: 0.1 in their first half second, but never beyond full scale.
        gain = min(0.1 / max(float(np.sqrt(np.square(start).mean())), 1e-4), 1.0)
        self._file.write(stored.tobytes())
        self._entries[-1]["notes"].append([key, velocity, self._written, stored.size, gain])
        self._written += stored.size
        return True

    def close(self) -> None:
        """Write the index of all patches that have notes."""
        self._file.close()
        kept = [entry for entry in self._entries if entry["notes"]]
        (self._folder / _INDEX).write_text(json.dumps(kept), "utf-8")
