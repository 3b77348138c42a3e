"""In the place of what is in `jobs.engine`: no process of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import separation
from separation.converting import ConversionResult, convert
from separation.preparing import prepare
from separation.speakers import Timeline
from separation.speakers.diarization import SpeakerCount
from separation.speakers.extract import extract_speakers
from separation.speakers.result import SpeakersResult


def separate_here(
    *,
    recording: Path,
    folder: Path,
    watch: Callable[[], None],
    on_progress: separation.OnProgress,
    **options: Any,
) -> separation.SeparationResult:
    report = _watched(watch, on_progress)
    return separation.separate(recording, folder, on_progress=report, **options)


def convert_here(
    *,
    recording: Path,
    folder: Path,
    watch: Callable[[], None],
    on_progress: separation.OnProgress,
    **options: Any,
) -> ConversionResult:
    return convert(recording, folder, on_progress=_watched(watch, on_progress), **options)


def prepare_here(
    *,
    recording: Path,
    output: Path,
    watch: Callable[[], None],
    on_progress: separation.OnProgress,
    **options: Any,
) -> separation.AudioInfo:
    return prepare(recording, output, on_progress=_watched(watch, on_progress), **options)


def speakers_here(
    *,
    recording: Path,
    folder: Path,
    watch: Callable[[], None],
    on_progress: separation.OnProgress,
    count: Mapping[str, Any],
    timeline: Mapping[str, Any] | None,
    **options: Any,
) -> SpeakersResult:
    return extract_speakers(
        recording,
        folder,
        count=SpeakerCount(**count),
        timeline=None if timeline is None else Timeline.from_json(timeline),
        on_progress=_watched(watch, on_progress),
        **options,
    )


def _watched(watch: Callable[[], None], on_progress: separation.OnProgress) -> Any:
    def look_and_report(*, step: str, completed: int, total: int | None) -> None:
        watch()
        on_progress(step=step, completed=completed, total=total)

    return look_and_report
