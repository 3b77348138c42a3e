"""What a recording is, found out by a child process that may use little and reach nothing."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

import separation
from config.errors import MediaTooDemanding, MediaTooSlow
from jobs.children import ChildEnd, ChildOverflow, ChildOverTime, child_run
from separation import AudioInfo, confined_probe
from separation import errors as engine_errors

log = structlog.get_logger(__name__)

_ROOT = Path(separation.__file__).resolve().parent.parent
_ANSWER_MAX_BYTES = 16 * 1024
_MESSAGE_MAX_CHARS = 300


def probe_confined(path: Path, *, guess: str | None, on_tick: Callable[[], None]) -> AudioInfo:
    """Decode a recording once, within the limits of the settings.

    Raises SeparationError of what is wrong with it, MediaTooSlow or MediaTooDemanding.
    """
    try:
        with path.open("rb") as recording:
            end = _run(recording.fileno(), guess, on_tick)
    except ChildOverTime:
        raise MediaTooSlow from None
    except ChildOverflow:
        raise MediaTooDemanding from None
    if end.returncode == -signal.SIGXCPU:
        raise MediaTooSlow
    if end.returncode < 0:
        # A crash of a decoder, or the system's own limit on memory.
        log.warning("probe_killed", signal=-end.returncode, complaints=end.complaints[-500:])
        raise MediaTooDemanding
    if end.returncode != 0:
        raise RuntimeError(f"The probe failed: {end.complaints[-2000:]}")
    return _info(end.output)


def _run(descriptor: int, guess: str | None, on_tick: Callable[[], None]) -> ChildEnd:
    request = confined_probe.Request(
        descriptor=descriptor,
        guess=guess,
        max_duration_s=settings.RECORDING_MAX_SECONDS,
        max_samples=settings.RECORDING_MAX_SAMPLES,
        memory_bytes=settings.PROBE_MEMORY_BYTES,
        cpu_s=settings.PROBE_SECONDS,
        parent=os.getpid(),
    )
    return child_run(
        [sys.executable, "-m", confined_probe.__name__, json.dumps(asdict(request))],
        folder=_ROOT,
        total_s=settings.PROBE_SECONDS,
        max_output_bytes=_ANSWER_MAX_BYTES,
        descriptors=[descriptor],
        # One thread: others would count against the memory, and have nothing to do.
        environ={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        on_tick=on_tick,
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
