"""What the processor has that matters to the choice of a backend."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path

from separation.errors import InvalidRequest

# Instructions that multiply bfloat16, of x86-64 and of 64-bit Arm. Without them bfloat16 is slower
# than float32.
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


@functools.cache
def features() -> frozenset[str]:
    """Return the names that Linux gives to the processor's abilities; none elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    named = (value for key, _, value in lines if key.strip() in {"flags", "Features"})
    return frozenset(next(named, "").split())


def multiplies_bfloat16() -> bool:
    """Say whether the processor multiplies bfloat16 itself."""
    return not _BFLOAT16.isdisjoint(features())


def usable_cores() -> int:
    """Return how many cores this process may use: STEMWRIGHT_THREADS, or what the system grants.

    Raises
    ------
    InvalidRequest
        If STEMWRIGHT_THREADS is not a positive number.
    """
    configured = os.environ.get("STEMWRIGHT_THREADS")
    if configured:
        if not configured.isdecimal() or int(configured) < 1:
            raise InvalidRequest("STEMWRIGHT_THREADS must be a number of threads.")
        return int(configured)
    if hasattr(os, "sched_getaffinity"):
        granted = len(os.sched_getaffinity(0))
    else:
        granted = os.cpu_count() or 1
    return max(1, min(granted, _container_cores() or granted))


def _container_cores() -> int | None:
    """Return the cores that a container's share of time amounts to; libraries do not ask for it."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return None  # no container, or `max`
