"""Modules of the engine that decode what strangers sent, run as programs that may use little."""

import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import structlog

import separation
from config.errors import MediaTooDemanding, MediaTooSlow
from jobs.children import ChildOverflow, ChildOverTime, child_run

log = structlog.get_logger(__name__)

_ROOT: Final = Path(separation.__file__).resolve().parent.parent
# One thread: others would count against the memory, and have nothing to do.
_ENVIRON: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def confined_run(
    module: ModuleType,
    request: Any,
    *,
    descriptors: Sequence[int],
    total_s: float,
    max_output_bytes: int,
    on_tick: Callable[[], None],
) -> bytes:
    """Its answer to a request (a dataclass of its own), with these files open.

    Raises MediaTooSlow or MediaTooDemanding where the limits ended it.
    """
    try:
        end = child_run(
            [sys.executable, "-m", module.__name__, json.dumps(asdict(request))],
            folder=_ROOT,
            total_s=total_s,
            max_output_bytes=max_output_bytes,
            descriptors=descriptors,
            environ=_ENVIRON,
            on_tick=on_tick,
        )
    except ChildOverTime:
        raise MediaTooSlow from None
    except ChildOverflow:
        raise MediaTooDemanding from None
    if end.returncode == -signal.SIGXCPU:
        raise MediaTooSlow
    program = module.__name__.rpartition(".")[2]
    if end.returncode < 0:
        # A crash of a decoder, or the system's own limit on memory.
        log.warning(
            "confined_killed",
            program=program,
            signal=-end.returncode,
            complaints=end.complaints[-500:],
        )
        raise MediaTooDemanding
    if end.returncode != 0:
        raise RuntimeError(f"{program} failed: {end.complaints[-2000:]}")
    return end.output
