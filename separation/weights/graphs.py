"""ONNX graphs as installed weights: each file is kept whole, as a tensor of bytes.

A catalogue entry names this module as its converter; `load_graphs` gives the files back, verified.
Neither that nor `load_arrays`, for weights that are arrays, needs PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from separation.weights.cache import verified

if TYPE_CHECKING:
    import torch

    from separation.catalog.entries import Package


def convert(files: Mapping[str, Path]) -> dict[str, torch.Tensor]:
    """Return each file's bytes under its name."""
    import torch

    return {
        name: torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        for name, path in files.items()
    }


def are_kept(package: Package) -> bool:
    """Say whether the package's files are graphs that are kept whole."""
    return package.converter == __name__


def load_graphs(package: Package) -> Mapping[str, bytes]:
    """Read the installed files; see `load_arrays`."""
    arrays = load_arrays(package)
    return {name: np.asarray(data, np.uint8).tobytes() for name, data in arrays.items()}


def load_arrays(package: Package) -> dict[str, npt.NDArray[np.float32]]:
    """Read the installed weights without PyTorch, verified by their checksum.

    Raises
    ------
    ModelUnavailable
        If they are not installed.
    WeightsMismatch
        If they were changed since.
    """
    from safetensors.numpy import load_file

    return load_file(verified(package))
