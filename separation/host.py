"""A process that keeps models loaded and takes recordings apart for another one.

Requests come in as JSON lines on standard input, events go out as JSON lines on what was standard
output when it started. Whatever libraries print goes to standard error and never between them.
Each separation runs in a thread of its own, as many at once as the parent asks for.

    {"id": 1, "command": "separate", "arguments": {...}}     as `separate` takes them
    {"id": 1, "command": "speakers", "arguments": {...}}     as `extract_speakers` takes them
    {"id": 1, "command": "prepare", "arguments": {...}}      as `prepare` takes them
    {"id": 1, "command": "convert", "arguments": {...}}      as `convert` takes them
    {"id": 1, "command": "analyse", "arguments": {...}}      as `music.analyse` takes them
    {"id": 1, "command": "transcribe", "arguments": {...}}   as `music.transcribe` takes them
    {"id": 1, "command": "cancel"}                           stops between two segments

    {"id": 1, "event": "progress", "step": ..., "completed": ..., "total": ...}
    {"id": 1, "event": "result", "result": {...}}            as SeparationResult or SpeakersResult
    {"id": 1, "event": "error", "error": ..., "message": ...}
    {"id": 0, "event": "loaded", "models": [...]}            as `loaded_models` returns them

A result or an error is the last event of its id: from then on nothing touches the files that the
request named. That holds for one that was cancelled, too.

The process ends with its parent, however that ends, and only then: Ctrl-C and SIGTERM, which reach
a whole group of processes, are the parent's to answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import separation
from separation import converting, errors, music, preparing
from separation.audio.info import AudioInfo
from separation.converting import ConversionResult
from separation.errors import OutOfMemory, SeparationCancelled, SeparationError
from separation.loaded import loaded_models
from separation.music import MusicAnalysis, Transcription
from separation.pipeline import SeparationResult
from separation.process import die_with_parent
from separation.progress import OnProgress
from separation.speakers import extract
from separation.speakers.diarization import SpeakerCount
from separation.speakers.result import SpeakersResult
from separation.speakers.timeline import Timeline

Message = Mapping[str, Any]

# Where memory runs out, this process goes, and not the database beside it.
_OOM_SCORE = "500"

_NAMED = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, SeparationError)
}


class UnexpectedError(Exception):
    """The host met an exception that nobody named; the text is its traceback."""


def serve() -> None:
    """Answer requests until standard input ends; does not return."""
    requests, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(sys.stderr.fileno(), 1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ignore)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    die_with_parent()
    Host(events).read(requests)


class Host:
    """Runs separations side by side.

    Parameters
    ----------
    events : binary stream
        Takes the events; nothing else is written to it.
    """

    def __init__(self, events: IO[bytes]) -> None:
        self._events = events
        self._sending = threading.Lock()
        # Of requests that have not ended: set when they are to stop.
        self._stops: dict[int, threading.Event] = {}
        self._loaded: list[dict[str, str]] = []

    def read(self, requests: IO[bytes]) -> None:
        """Take requests as they come; end the process, whatever it is at, when they end."""
        try:
            for line in requests:
                self._take(json.loads(line))
        finally:
            _end_process()

    def send(self, number: int, **event: Any) -> None:
        """Tell the parent; without one, there is nobody to go on for."""
        line = json.dumps({"id": number, **event}).encode() + b"\n"
        try:
            with self._sending:
                self._events.write(line)
                self._events.flush()
        except OSError:
            _end_process()

    def tell_loaded(self) -> None:
        """Tell the parent which models are in memory, whenever that has changed."""
        models = loaded_models()
        if models != self._loaded:
            self._loaded = models
            self.send(0, event="loaded", models=models)

    def _take(self, request: Message) -> None:
        number = request["id"]
        if request["command"] in _COMMANDS:
            stop = self._stops[number] = threading.Event()
            thread = threading.Thread(
                target=self._run,
                args=(number, request, stop),
                name=f"separation-{number}",
                daemon=True,
            )
            try:
                thread.start()
            except RuntimeError:
                error = OutOfMemory("There is no room for another thread.")
                self._end(number, event="error", **error_json(error))
        elif (known := self._stops.get(number)) is not None:
            known.set()

    def _run(self, number: int, request: Message, stop: threading.Event) -> None:
        progress = _Progress(self, number, stop)
        ending: dict[str, Any]
        try:
            # A caller that changed its mind at once may have removed its folder: make none anew.
            progress.check()
            result = _COMMANDS[request["command"]](request["arguments"], progress)
            ending = {"event": "result", "result": result}
        except BaseException as error:
            # Whatever it is, the caller must hear of it, and others must find the host alive.
            ending = {"event": "error", **error_json(error)}
        self._end(number, **ending)

    def _end(self, number: int, **ending: Any) -> None:
        del self._stops[number]
        self.tell_loaded()
        self.send(number, **ending)


class _Progress:
    """Passes on how far one separation is; ends it when it is to stop."""

    def __init__(self, host: Host, number: int, stop: threading.Event) -> None:
        self._host = host
        self._number = number
        self._stop = stop
        self._last: tuple[str, int] | None = None

    def check(self) -> None:
        """Raise when the separation is to stop."""
        if self._stop.is_set():
            raise SeparationCancelled("The separation was cancelled.")

    def __call__(self, *, step: str, completed: int, total: int | None) -> None:
        self.check()
        if (step, completed) == self._last:
            return
        self._last = step, completed
        self._host.tell_loaded()
        values = {"step": step, "completed": completed, "total": total}
        self._host.send(self._number, event="progress", **values)


def error_json(error: BaseException) -> dict[str, Any]:
    """Return an exception as the fields of an event."""
    if isinstance(error, SeparationError):
        return {"error": type(error).__name__, "message": error.message}
    if isinstance(error, OSError):
        return {"error": "OSError", "errno": error.errno, "message": error.strerror or str(error)}
    return {"error": "", "message": "".join(traceback.format_exception(error))}


def error_of(event: Message) -> Exception:
    """Return the exception that an event tells of, of the class that it had."""
    message = event["message"]
    if event["error"] == "OSError":
        return OSError(event["errno"], message)
    kind = _NAMED.get(event["error"])
    return UnexpectedError(message) if kind is None else kind(message)


def _separate(values: Message, on_progress: OnProgress) -> Message:
    arguments = {**values, "info": _info(values)}
    return _result_json(separation.separate(**arguments, on_progress=on_progress))


def _speakers(values: Message, on_progress: OnProgress) -> Message:
    timeline = values.get("timeline")
    arguments = {
        **values,
        "info": _info(values),
        "count": SpeakerCount(**(values.get("count") or {})),
        "timeline": None if timeline is None else Timeline.from_json(timeline),
    }
    return extract.extract_speakers(**arguments, on_progress=on_progress).to_json()


def _prepare(values: Message, on_progress: OnProgress) -> Message:
    arguments = {**values, "info": _info(values)}
    return asdict(preparing.prepare(**arguments, on_progress=on_progress))


def _convert(values: Message, on_progress: OnProgress) -> Message:
    arguments = {**values, "info": _info(values)}
    return converting.convert(**arguments, on_progress=on_progress).to_json()


def _analyse(values: Message, on_progress: OnProgress) -> Message:
    arguments = {**values, "info": _info(values)}
    return music.analyse(**arguments, on_progress=on_progress).to_json()


def _transcribe(values: Message, on_progress: OnProgress) -> Message:
    arguments = {**values, "info": _info(values)}
    return music.transcribe(**arguments, on_progress=on_progress).to_json()


_COMMANDS: Mapping[str, Callable[[Message, OnProgress], Message]] = {
    "separate": _separate,
    "speakers": _speakers,
    "prepare": _prepare,
    "convert": _convert,
    "analyse": _analyse,
    "transcribe": _transcribe,
}


def _info(values: Message) -> AudioInfo | None:
    info = values.get("info")
    return None if info is None else AudioInfo(**info)


def _result_json(result: SeparationResult) -> dict[str, Any]:
    more = {form: _texts(stems) for form, stems in result.more_stems.items()}
    return {**asdict(result), "stems": _texts(result.stems), "more_stems": more}


def result_of(event: Message) -> SeparationResult:
    """Return the result of `separate` that an event tells of."""
    values = event["result"]
    more = {form: _paths(stems) for form, stems in values["more_stems"].items()}
    return SeparationResult(**{**values, "stems": _paths(values["stems"]), "more_stems": more})


def speakers_result_of(event: Message) -> SpeakersResult:
    """Return the result of `speakers` that an event tells of."""
    return SpeakersResult.from_json(event["result"])


def prepared_info_of(event: Message) -> AudioInfo:
    """Return what the file of `prepare` is, of which an event tells."""
    return AudioInfo(**event["result"])


def conversion_result_of(event: Message) -> ConversionResult:
    """Return the result of `convert` that an event tells of."""
    return ConversionResult.from_json(event["result"])


def music_analysis_of(event: Message) -> MusicAnalysis:
    """Return the result of `analyse` that an event tells of."""
    return MusicAnalysis.from_json(event["result"])


def transcription_of(event: Message) -> Transcription:
    """Return the result of `transcribe` that an event tells of."""
    return Transcription.from_json(event["result"])


def _texts(paths: Mapping[str, Path]) -> dict[str, str]:
    return {name: str(path) for name, path in paths.items()}


def _paths(texts: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(text) for name, text in texts.items()}


def _ignore(*_: object) -> None:
    # Not SIG_IGN, which programs that install weights would inherit.
    pass


def _end_process() -> None:
    if os.getpgrp() == os.getpid():
        # With what it started: a program that fetches weights.
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
