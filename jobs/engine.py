"""The process that works on recordings for this worker: started when first needed, then kept,
models and all.

It is a process of its own so that work can be ended at any moment, and so that one that runs out
of memory or crashes takes no worker with it. Several jobs share it at the same time: their segments
take turns on the device. `separation.host` is its other half.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import count
from pathlib import Path
from queue import Empty
from typing import Any

from jobs.resident import EngineLost, Event, Events, Resident
from separation import AudioInfo, OnProgress, SeparationResult
from separation.converting import ConversionResult
from separation.errors import OutOfMemory
from separation.host import (
    UnexpectedError,
    conversion_result_of,
    error_of,
    music_analysis_of,
    prepared_info_of,
    result_of,
    speakers_result_of,
    transcription_of,
)
from separation.music import MusicAnalysis, Transcription
from separation.speakers.result import SpeakersResult

__all__ = [
    "EngineLost",
    "EngineProcess",
    "engine_analyse",
    "engine_convert",
    "engine_is_winding_up",
    "engine_models",
    "engine_prepare",
    "engine_separate",
    "engine_speakers",
    "engine_transcribe",
]

# A cancel has to be seen within a second, together with the heartbeat that brings it.
_LOOK_EVERY_S = 0.05
# From the request to stop until nobody waits for its answer. Segments may take longer, on a CPU
# mostly; what then still runs is for nobody, and ends by itself.
_STOP_PATIENCE_S = 0.4
_CLOSE_PATIENCE_S = 10


def engine_separate(**call: Any) -> SeparationResult:
    """As `separation.separate`, in the resident process; see `_call`."""
    return result_of(_call("separate", **call))


def engine_speakers(**call: Any) -> SpeakersResult:
    """As `separation.speakers.extract_speakers`, in the resident process; see `_call`."""
    return speakers_result_of(_call("speakers", **call))


def engine_convert(**call: Any) -> ConversionResult:
    """As `separation.converting.convert`, in the resident process; see `_call`."""
    return conversion_result_of(_call("convert", **call))


def engine_prepare(*, output: Path, **call: Any) -> AudioInfo:
    """As `separation.preparing.prepare`, in the resident process; see `_listen`."""
    return prepared_info_of(_listen("prepare", output=str(output.resolve()), **call))


def engine_analyse(**call: Any) -> MusicAnalysis:
    """As `separation.music.analyse`, in the resident process; see `_listen`."""
    return music_analysis_of(_listen("analyse", **call))


def engine_transcribe(*, output: Path, **call: Any) -> Transcription:
    """As `separation.music.transcribe`, in the resident process; see `_listen`."""
    return transcription_of(_listen("transcribe", output_path=str(output.resolve()), **call))


def _listen(
    command: str,
    *,
    recording: Path,
    info: AudioInfo,
    watch: Callable[[], None],
    on_progress: OnProgress,
    **options: Any,
) -> Event:
    """As `_call`, for what makes no folder of files."""
    arguments = {"input": str(recording.resolve()), "info": asdict(info), **options}
    return _resident.run(command, arguments, watch=watch, on_progress=on_progress)


def _call(
    command: str,
    *,
    recording: Path,
    folder: Path,
    info: AudioInfo,
    watch: Callable[[], None],
    on_progress: OnProgress,
    **options: Any,
) -> Event:
    """Return what the host tells of the end; raise what the library raises, or EngineLost.

    `watch` is called all the time, however long a segment takes. What it raises ends the work at
    once, and comes out here. `options` are the library's, as JSON.
    """
    arguments = {
        "input": str(recording.resolve()),
        "output_dir": str(folder.resolve()),
        "info": asdict(info),
        **options,
    }
    return _resident.run(command, arguments, watch=watch, on_progress=on_progress)


def engine_is_winding_up() -> bool:
    """Whether what comes now would have to wait for all that runs now."""
    return _resident.is_winding_up


def engine_models() -> list[dict[str, str]]:
    """The models that the process holds in memory, as `separation.loaded` tells of them."""
    return _resident.models


class EngineProcess:
    """One process at a time, for callers in several threads.

    When the process ends, it is lost for all of them. One that ran out of memory, or in which
    something broke that nobody knows, takes nothing more: those within may finish, and only then
    is another one started. So there are never two, with a model in each.
    """

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._current: Resident | None = None
        self._numbers = count(1)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now, if one does."""
        current = self._current
        return current.pid if current is not None else None

    @property
    def models(self) -> list[dict[str, str]]:
        current = self._current
        return current.models if current is not None and current.pid is not None else []

    @property
    def is_winding_up(self) -> bool:
        current = self._current
        return current is not None and current.is_winding_up

    def run(
        self,
        command: str,
        arguments: Mapping[str, Any],
        *,
        watch: Callable[[], None],
        on_progress: OnProgress,
    ) -> Event:
        number = next(self._numbers)
        resident, events = self._begin(number, command, arguments, watch)
        try:
            try:
                ending = _await_ending(events, watch=watch, on_progress=on_progress)
            except BaseException:
                _stop(resident, number, events)
                raise
            return _outcome(resident, ending)
        finally:
            resident.end(number)

    def close(self) -> None:
        """End the process at once, and wait until it is gone."""
        current, self._current = self._current, None
        if current is not None:
            current.kill("closed")
            current.ended.wait(_CLOSE_PATIENCE_S)

    def _begin(
        self, number: int, command: str, arguments: Mapping[str, Any], watch: Callable[[], None]
    ) -> tuple[Resident, Events]:
        """Hand it to the process; to the next one, if this one takes nothing more."""
        while True:
            with self._starting:
                if self._current is None or self._current.ended.is_set():
                    self._current = Resident()
                resident = self._current
            events = resident.begin(number, command, arguments)
            if events is not None:
                return resident, events
            watch()
            resident.ended.wait(_LOOK_EVERY_S)


def _await_ending(
    events: Events, *, watch: Callable[[], None], on_progress: OnProgress
) -> Event | None:
    """Return the last event; None if the process ended before it."""
    while True:
        watch()
        try:
            event = events.get(timeout=_LOOK_EVERY_S)
        except Empty:
            continue
        if event is None or event["event"] != "progress":
            return event
        on_progress(step=event["step"], completed=event["completed"], total=event["total"])


def _outcome(resident: Resident, ending: Event | None) -> Event:
    if ending is None:
        raise EngineLost(resident.status)
    if ending["event"] == "result":
        return ending
    error = error_of(ending)
    if isinstance(error, (OutOfMemory, UnexpectedError)):
        # What it holds, and what it broke, must not meet the next job.
        resident.retire()
    raise error


def _stop(resident: Resident, number: int, events: Events) -> None:
    """Have it end between two segments, for a short while, then let go of it."""
    deadline = time.monotonic() + _STOP_PATIENCE_S

    def watch() -> None:
        if time.monotonic() > deadline:
            raise TimeoutError

    resident.cancel(number)
    try:
        _await_ending(events, watch=watch, on_progress=_nothing)
    except TimeoutError:
        resident.leave(number)


def _nothing(*, step: str, completed: int, total: int | None) -> None:
    pass


_resident = EngineProcess()
