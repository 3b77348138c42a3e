"""From an entry of the catalogue to the network that its checkpoint holds."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from separation.catalog import Model
from separation.errors import WeightsMismatch

_HERE = "separation.engines.public"
_OPTIONS = {
    "bs-roformer": (f"{_HERE}.roformer", "BSOptions"),
    "mel-band-roformer": (f"{_HERE}.roformer", "MelOptions"),
    "mdx23c": (f"{_HERE}.tfc_tdf", "MDX23COptions"),
    "scnet": (f"{_HERE}.scnet", "SCNetOptions"),
    "vr": (f"{_HERE}.cascaded", "CascadedOptions"),
    "htdemucs": (f"{_HERE}.htdemucs", "HTDemucsOptions"),
}
ARCHITECTURES = frozenset(_OPTIONS)
_N_NAMED = 3  # of tensors that do not fit, in a message

Tensors = dict[str, torch.Tensor]


class Options(Protocol):
    """The settings of one architecture; they build its network."""

    @property
    def num_stems(self) -> int: ...

    def network(self, used: Sequence[int]) -> nn.Module: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """What a checkpoint gives, and what becomes of it.

    `outputs` has a stem's name for each output of the network, empty where it is not wanted;
    several of one name are added. The stem of the model that is no output is the rest: the sound
    that went in, less all others.
    """

    options: Options
    outputs: tuple[str, ...]

    @property
    def used(self) -> tuple[int, ...]:
        return tuple(index for index, name in enumerate(self.outputs) if name)

    @classmethod
    def of(cls, model: Model) -> Layout:
        """Read the `network` table of an entry.

        Raises
        ------
        TypeError, KeyError, ValueError
            If the entry is wrong.
        """
        network: Mapping[str, Any] = model.network
        module, name = _OPTIONS[network["architecture"]]
        options: Options = getattr(importlib.import_module(module), name)(**network["options"])
        layout = cls(options, tuple(network["outputs"]))
        left = [stem for stem in model.stems if stem not in layout.outputs]
        unknown = set(layout.outputs) - {"", *model.stems}
        if len(layout.outputs) != options.num_stems or len(left) > 1 or unknown:
            raise ValueError(f"The outputs of '{model.name}' do not fit its stems.")
        return layout

    def build(self, used: Sequence[int] | None = None) -> nn.Module:
        """Build the network without memory for its weights, with what is used alone."""
        with torch.device("meta"):
            return self.options.network(self.used if used is None else used)


def fitted(model: Model, tensors: Tensors) -> Tensors:
    """Return the tensors of a checkpoint that the model needs.

    Raises
    ------
    WeightsMismatch
        If the checkpoint is not one of exactly this network.
    """
    layout = Layout.of(model)
    renamed = getattr(layout.options, "renamed", None)
    if renamed is not None:
        tensors = renamed(tensors)
    whole = layout.build(range(layout.options.num_stems)).state_dict()
    _check(model, whole, tensors)
    return _apart({name: tensors[name] for name in layout.build().state_dict()})


def _apart(tensors: Tensors) -> Tensors:
    """Give each tensor memory of its own, which checkpoints share where layers did."""
    seen: set[int] = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        if place in seen:
            tensors[name] = tensor.clone()
        seen.add(place)
    return tensors


def _check(model: Model, expected: Mapping[str, torch.Tensor], got: Tensors) -> None:
    problems = [f"lacks {name}" for name in expected if name not in got]
    problems += [f"has {name}" for name in got if name not in expected]
    problems += [
        f"has {name} in {tuple(got[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in got and got[name].shape != tensor.shape
    ]
    if problems:
        more = len(problems) - _N_NAMED
        tail = f", and {more} more" if more > 0 else ""
        raise WeightsMismatch(
            f"The checkpoint is not that of '{model.name}': it "
            f"{', '.join(problems[:_N_NAMED])}{tail}."
        )


def load(model: Model, state: Tensors) -> tuple[Layout, nn.Module]:
    """Build the network around installed tensors, strictly, in float32.

    Raises
    ------
    WeightsMismatch
        If they are not exactly those of the network.
    """
    layout = Layout.of(model)
    network = layout.build()
    _check(model, network.state_dict(), state)
    tensors = {n: t.float() if t.is_floating_point() else t for n, t in state.items()}
    network.load_state_dict(tensors, strict=True, assign=True)
    return layout, network.eval()
