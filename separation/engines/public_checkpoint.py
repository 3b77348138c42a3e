"""Published checkpoints, whatever they were saved with, as tensors alone.

They are pickles, most of them, of programs that are not here. They are read as tensors only: the
few classes that lie beside them become empty ones, and any other is refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from separation.engines.public.networks import Tensors, fitted
from separation.errors import WeightsMismatch

__all__ = ["convert", "fitted"]

# Under which of these a checkpoint keeps its tensors; none if it is nothing but them.
_PLACES = ("state_dict", "model_state_dict", "best_state", "state")
# What some trainers put before each name.
_PREFIXES = ("model.", "module.")


class _Ignored:
    """What a checkpoint says about how it was made."""

    def __init__(self, *_: Any) -> None:
        pass


# Of those that `demucs` writes: the class, and a length as a fraction.
_PICKLED: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (type(name.rpartition(".")[2], (_Ignored,), {}), name)
    for name in ("demucs.htdemucs.HTDemucs", "demucs.hdemucs.HDemucs", "fractions.Fraction")
]


def convert(files: Mapping[str, Path]) -> Tensors:
    """Read a checkpoint, or several that belong together.

    Parameters
    ----------
    files : mapping
        Name -> path of a `.ckpt`, `.pth`, `.pt`, `.bin`, `.th` or `.safetensors` file. Of several
        each tensor's name begins with the number of its file, in the catalogue's order.

    Returns
    -------
    dict of str to tensor

    Raises
    ------
    WeightsMismatch
        If a file holds something else than tensors.
    """
    states = [_state(name, path) for name, path in files.items()]
    if len(states) == 1:
        return states[0]
    return {
        f"{index}.{name}": tensor
        for index, state in enumerate(states)
        for name, tensor in state.items()
    }


def _state(name: str, path: Path) -> Tensors:
    try:
        if name.endswith(".safetensors"):
            content: Any = load_file(path)
        else:
            with torch.serialization.safe_globals(_PICKLED):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError) as error:
        raise _not_tensors(name) from error
    for place in _PLACES:
        if isinstance(content, Mapping) and isinstance(content.get(place), Mapping):
            content = content[place]
    if not isinstance(content, Mapping) or not content:
        raise _not_tensors(name)
    if not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise _not_tensors(name)
    return _without_prefix(dict(content))


def _without_prefix(state: Tensors) -> Tensors:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _not_tensors(name: str) -> WeightsMismatch:
    return WeightsMismatch(f"The file {name} does not hold a network's tensors alone.")
