"""Who speaks when in a recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from separation.audio.info import AudioInfo, AudioLimits
from separation.progress import OnProgress, ignore_progress
from separation.speakers.timeline import Timeline

MAX_SPEAKERS = 20


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """How many speakers there are, as far as the caller knows; at most MAX_SPEAKERS."""

    exact: int | None = None
    minimum: int | None = None
    maximum: int | None = None


def diarize(
    input: str | Path,
    *,
    count: SpeakerCount = SpeakerCount(),
    model: str | None = None,
    device: str = "cpu",
    limits: AudioLimits | None = None,
    info: AudioInfo | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Timeline:
    """Find out who speaks when.

    Speakers are named `SPEAKER_0`, `SPEAKER_1`, … in the order in which they first speak.

    Raises
    ------
    NoSpeech
        If nobody speaks.
    SeparationError
        Any other of `separation.errors`.
    """
    raise NotImplementedError
