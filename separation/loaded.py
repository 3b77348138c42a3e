"""What this process holds in memory, for whoever looks after it."""

from __future__ import annotations

import functools
import platform
import sys
from contextlib import suppress
from pathlib import Path

from separation.engines import resident_engines


def loaded_models() -> list[dict[str, str]]:
    """Return each loaded model, with its device, the device's name and what runs it there."""
    found = list(resident_engines())
    # Not loaded for a process that has never listened to speakers.
    networks = sys.modules.get("separation.speakers.networks")
    if networks is not None:
        found += networks.resident_networks()
    return [
        {"model": model, "device": device, "device_name": _name(device), "backend": backend}
        for model, device, backend in found
    ]


@functools.cache
def _name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
