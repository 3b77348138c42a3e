"""What taking a conversation apart returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from separation.speakers.statistics import Overlap, SpeakerStatistics
from separation.speakers.timeline import Timeline


@dataclass(frozen=True, slots=True)
class SpeakersResult:
    """Who speaks when, the files made, and how.

    `tracks` and `clips` map a speaker to a file, in the order in which they first speak;
    `more_tracks` and `more_clips` do so for each further format, by the name that it was asked
    for. `files` maps the name of a timeline's format to its file. `n_samples` is the recording's
    length, and that of each track whose pauses are kept. `clipped_samples` counts, for each
    speaker, samples of the track beyond full scale of an integer format. `model` is the
    catalogue's name of what found the turns, None if they were given; `seconds` is the wall time
    that it took.
    """

    timeline: Timeline
    speakers: tuple[SpeakerStatistics, ...]
    overlaps: tuple[Overlap, ...]
    tracks: Mapping[str, Path]
    clips: Mapping[str, Path]
    files: Mapping[str, Path]
    sample_rate: int
    n_samples: int
    channels: int
    model: str | None
    seconds: float
    clipped_samples: Mapping[str, int]
    more_tracks: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    more_clips: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.sample_rate

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON has."""
        return {
            "timeline": self.timeline.to_json(),
            "speakers": [asdict(row) for row in self.speakers],
            "overlaps": [
                {**asdict(overlap), "speakers": list(overlap.speakers)} for overlap in self.overlaps
            ],
            "tracks": _texts(self.tracks),
            "clips": _texts(self.clips),
            "files": _texts(self.files),
            "sample_rate": self.sample_rate,
            "n_samples": self.n_samples,
            "channels": self.channels,
            "model": self.model,
            "seconds": self.seconds,
            "clipped_samples": dict(self.clipped_samples),
            "more_tracks": {form: _texts(paths) for form, paths in self.more_tracks.items()},
            "more_clips": {form: _texts(paths) for form, paths in self.more_clips.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            **{
                **values,
                "timeline": Timeline.from_json(values["timeline"]),
                "speakers": tuple(SpeakerStatistics(**row) for row in values["speakers"]),
                "overlaps": tuple(
                    Overlap(**{**row, "speakers": tuple(row["speakers"])})
                    for row in values["overlaps"]
                ),
                **{name: _paths(values[name]) for name in ("tracks", "clips", "files")},
                **{
                    name: {form: _paths(texts) for form, texts in values[name].items()}
                    for name in ("more_tracks", "more_clips")
                },
            }
        )


def _texts(paths: Mapping[str, Path]) -> dict[str, str]:
    return {name: str(path) for name, path in paths.items()}


def _paths(texts: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(text) for name, text in texts.items()}
