"""What is found in music."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from separation.music.key import Key
from separation.music.notes import Note
from separation.music.tempo import Tempo


@dataclass(frozen=True, slots=True)
class MusicAnalysis:
    """Tempo and key; `models` are the catalogue's names of what found them.

    `seconds` is the wall time that it took.
    """

    tempo: Tempo
    key: Key
    models: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON has."""
        tempo = {**asdict(self.tempo), "beats_s": list(self.tempo.beats_s)}
        return {
            "tempo": tempo,
            "key": asdict(self.key),
            "models": list(self.models),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        tempo = {**values["tempo"], "beats_s": tuple(values["tempo"]["beats_s"])}
        return cls(Tempo(**tempo), Key(**values["key"]), tuple(values["models"]), values["seconds"])


@dataclass(frozen=True, slots=True)
class Transcription:
    """The notes of a recording, and the MIDI file that holds them.

    `notes` is in the order in which they begin, and may be cut short: `n_notes` is how many the
    file holds. `instrument` is the name of the file's only one. `model` is the catalogue's name of
    what found them, `seconds` the wall time that it took.
    """

    notes: tuple[Note, ...]
    n_notes: int
    instrument: str
    path: Path
    model: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON has."""
        values = asdict(self)
        return {**values, "notes": [asdict(note) for note in self.notes], "path": str(self.path)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        notes = tuple(Note(**note) for note in values["notes"])
        return cls(**{**values, "notes": notes, "path": Path(values["path"])})
