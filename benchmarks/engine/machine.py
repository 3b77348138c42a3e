"""What the figures were measured on."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from benchmarks.songs import ROOT
from separation.engines import processor

_PACKAGES = ("demucs", "torch", "openvino", "numpy", "av")


def describe() -> dict[str, Any]:
    """Return machine, date and versions, and how busy the machine was before."""
    gigabytes = psutil.virtual_memory().total / 1024**3
    has_bfloat16 = processor.multiplies_bfloat16()
    machine = f"{_processor()}, {processor.usable_cores()} cores, {gigabytes:.0f} GiB"
    return {
        "machine": f"{machine}, {'with' if has_bfloat16 else 'without'} bfloat16",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": _commit(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    except OSError:
        return None
    return outcome.stdout.strip() or None
