"""Networks of masks in files: their weights, with their shape."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from separation import weights
from separation.catalog.entries import Package
from separation.engines.masknet.network import MaskNet, Shape, on_device
from separation.errors import WeightsMismatch


def load_network(entry: Package, device: str) -> MaskNet:
    """Return the network of a model or tool of the catalogue, ready to run on a device.

    Raises
    ------
    ModelUnavailable
        If its weights are not on this machine.
    WeightsMismatch
        If they are not the pinned ones.
    """
    return on_device(read_network(weights.verified(entry)).eval(), device)


def read_network(path: Path) -> MaskNet:
    """Return the network in a file of weights.

    Raises
    ------
    WeightsMismatch
        If the file does not say of which shape it is.
    """
    network = MaskNet(read_shape(path))
    state = {name: t.float() for name, t in load_file(path).items()}
    counters = (n for n in network.state_dict() if n.endswith("num_batches_tracked"))
    network.load_state_dict({**state, **{name: torch.tensor(0) for name in counters}})
    return network


def read_shape(path: Path) -> Shape:
    """Return the shape of the network in a file of weights.

    Raises
    ------
    WeightsMismatch
        If the file does not say.
    """
    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get("shape")
    if text is None:
        raise WeightsMismatch(f"{path.name} does not say which network it is of.")
    return Shape.of(json.loads(text))


def write_weights(network: MaskNet, path: Path, **metadata: str) -> None:
    """Write a network's weights, matrices in half precision, with its shape."""
    state = {name: t for name, t in network.state_dict().items() if t.is_floating_point()}
    kept = {name: (t.half() if t.ndim > 1 else t).contiguous() for name, t in state.items()}
    save_file(kept, path, {**metadata, "shape": json.dumps(asdict(network.shape))})
