"""Official checkpoints by `demucs.pretrained`, where a hub can be reached.

The `demucs` client sets no time limit of its own and may end its process, so it runs in one of
its own: `python -m separation.weights.hub NAME OUT`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from separation.catalog.entries import Source

HUB_TIMEOUT_S = 300


def state_dict(source: Source, folder: Path) -> dict[str, torch.Tensor]:
    """Fetch an official checkpoint in a process of its own.

    Raises
    ------
    ModelUnavailable
        If the hub cannot be reached in time.
    """
    from safetensors.torch import load_file

    from separation.weights.fetch import run_client

    out = folder / "official.safetensors"
    command = [sys.executable, "-m", __name__, source.package, str(out)]
    run_client(command, source, timeout_s=HUB_TIMEOUT_S)
    return load_file(out)


def save_official(name: str, out: Path, get_model: Callable[[str], Any]) -> None:
    """Save the state dict of the model that `get_model` returns.

    Of a bag of several networks each tensor's name begins with the number of its network.
    """
    from safetensors.torch import save_file

    bag = get_model(name)
    networks = list(getattr(bag, "models", [bag]))
    tensors = {}
    for index, network in enumerate(networks):
        before = f"{index}." if len(networks) > 1 else ""
        for key, tensor in network.state_dict().items():
            tensors[before + key] = tensor.float().contiguous()
    save_file(tensors, out)


if __name__ == "__main__":
    pretrained = importlib.import_module("demucs.pretrained")
    save_official(sys.argv[1], Path(sys.argv[2]), pretrained.get_model)
