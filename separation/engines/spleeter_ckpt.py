"""Spleeter's checkpoints, renamed to the tensors of `separation.engines.spleeter`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from separation.errors import WeightsMismatch

# The checkpoints are pickled dicts of numpy arrays: these, and nothing else, may be unpickled.
# The first is written under the name that it had when they were made.
_reconstruct = cast(Callable[..., Any], np.empty(0).__reduce__()[0])
_PICKLED: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_reconstruct, "numpy.core.multiarray._reconstruct"),
    np.ndarray,
    np.dtype,
    np.dtypes.Float32DType,
]

_RULES = [
    (re.compile(r"down(\d)_conv\.1\.(.+)"), "encoder.{}.{}", 1),
    (re.compile(r"down(\d)_act\.0\.(.+)"), "encoder_norms.{}.{}", 1),
    (re.compile(r"up([1-6])\.0\.(.+)"), "decoder.{}.{}", 1),
    (re.compile(r"up([1-6])\.3\.(.+)"), "decoder_norms.{}.{}", 1),
]
# The network takes the innermost layer before its normalisation, which is therefore never used.
_UNUSED = "down6_act."


def convert(files: Mapping[str, Path]) -> dict[str, torch.Tensor]:
    """Join the checkpoints of both stems into one state dict.

    Parameters
    ----------
    files : mapping
        `<stem>.ckpt` -> path, one for each stem.

    Returns
    -------
    dict of str to tensor
        float32 tensors, each named `<stem>.<tensor>`.

    Raises
    ------
    WeightsMismatch
        If a checkpoint holds a tensor of an unknown name.
    """
    tensors = {}
    for file_name, path in files.items():
        with torch.serialization.safe_globals(_PICKLED):
            arrays = torch.load(path, map_location="cpu", weights_only=True)
        for name, array in arrays.items():
            if not name.startswith(_UNUSED):
                stem = file_name.removesuffix(".ckpt")
                tensors[f"{stem}.{_renamed(name)}"] = torch.from_numpy(np.array(array))
    return tensors


def _renamed(name: str) -> str:
    if name.startswith("up7.0."):
        return name.replace("up7.0.", "mask.")
    for pattern, template, first in _RULES:
        if match := pattern.fullmatch(name):
            return template.format(int(match[1]) - first, match[2])
    raise WeightsMismatch(f"The Spleeter checkpoint holds an unknown tensor, {name}.")
