"""What a recording is, found out by a child process that may use little and reach nothing."""

import json
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

from config.errors import MediaTooDemanding
from jobs.confined import confined_run
from separation import AudioInfo, confined_probe
from separation import errors as engine_errors

log = structlog.get_logger(__name__)

_ANSWER_MAX_BYTES = 16 * 1024
_MESSAGE_MAX_CHARS = 300


def probe_confined(path: Path, *, guess: str | None, on_tick: Callable[[], None]) -> AudioInfo:
    """Decode a recording once, within the limits of the settings.

    Raises SeparationError of what is wrong with it, MediaTooSlow or MediaTooDemanding.
    """
    with path.open("rb") as recording:
        descriptor = recording.fileno()
        output = confined_run(
            confined_probe,
            _request(descriptor, guess),
            descriptors=[descriptor],
            total_s=settings.PROBE_SECONDS,
            max_output_bytes=_ANSWER_MAX_BYTES,
            on_tick=on_tick,
        )
    return _info(output)


def _request(descriptor: int, guess: str | None) -> confined_probe.Request:
    return confined_probe.Request(
        descriptor=descriptor,
        guess=guess,
        max_duration_s=settings.RECORDING_MAX_SECONDS,
        max_samples=settings.RECORDING_MAX_SAMPLES,
        memory_bytes=settings.PROBE_MEMORY_BYTES,
        cpu_s=settings.PROBE_SECONDS,
        parent=os.getpid(),
    )


def _info(output: bytes) -> AudioInfo:
    """Read the answer, believing nothing of it: a decoder may have been taken over."""
    try:
        answer = json.loads(output)
        if "error" in answer:
            raise _error(str(answer["error"]), str(answer["message"]))
        return _checked(AudioInfo(**answer["info"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        log.exception("probe_answer_wrong", output=output[:500])
        raise MediaTooDemanding from None


def _error(name: str, message: str) -> Exception:
    if name == engine_errors.OutOfMemory.__name__:
        return MediaTooDemanding()
    kind = getattr(engine_errors, name)
    if not issubclass(kind, engine_errors.MediaError):
        raise ValueError(name)
    error: Exception = kind(message[:_MESSAGE_MAX_CHARS])
    return error


def _checked(info: AudioInfo) -> AudioInfo:
    for field in fields(AudioInfo):
        value = getattr(info, field.name)
        if not _fits(value, kind=str(field.type), is_long=field.name == "n_samples"):
            raise ValueError(f"{field.name} is {value!r:.50}")
    return info


def _fits(value: Any, *, kind: str, is_long: bool) -> bool:
    """Whether a value is of its kind, and small enough for its column."""
    match kind:
        case "int | None" if value is None:
            return True
        case "int" | "int | None":
            return type(value) is int and 0 < value < (2**50 if is_long else 2**31)
        case "bool":
            return type(value) is bool
        case _:
            return type(value) is str and 0 < len(value) <= 32
