"""The files of pyannote's community-1, renamed to the tensors of `separation.speakers`.

The checkpoints are pickles of the library that made them. They are read as tensors only: its few
classes become empty ones, and any other is refused.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from separation.errors import WeightsMismatch
from separation.speakers.networks import EMBEDDING_SIZE, TRUNK_SIZE
from separation.speakers.networks.layers import Segmentation, Trunk
from separation.speakers.vbx import Plda

SEGMENTATION = "segmentation/pytorch_model.bin"
EMBEDDING = "embedding/pytorch_model.bin"
PLDA = "plda/plda.npz"
PLDA_INPUT = "plda/xvec_transform.npz"

# Of SincNet's filters, in Hz.
_LEAST_LOW_HZ = 50
_LEAST_BAND_HZ = 50
_SAMPLE_RATE = 16000
_NORM_EPSILON = 1e-5  # of PyTorch's batch normalisation

_SEGMENTATION_RULES = [
    (re.compile(r"sincnet\.wav_norm1d\.(.+)"), "norm.{}", None),
    (re.compile(r"sincnet\.conv1d\.([12])\.(.+)"), "convolutions.{}.{}", 1),
    (re.compile(r"sincnet\.norm1d\.(\d)\.(.+)"), "norms.{}.{}", 0),
    (re.compile(r"linear\.(\d)\.(.+)"), "linears.{}.{}", 0),
]
_FILTERS = "sincnet.conv1d.0.filterbank."
# Where the blocks of each of the ResNet's four stages begin.
_FIRST_BLOCKS = (0, 3, 7, 13)

Tensors = dict[str, torch.Tensor]


class _Ignored:
    """What a checkpoint says about how it was trained."""

    def __init__(self, *_: Any) -> None:
        pass


_PICKLED: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    torch.torch_version.TorchVersion,
    *(
        (type(name.rpartition(".")[2], (_Ignored,), {}), name)
        for name in (
            "pyannote.audio.core.model.Introspection",
            "pyannote.audio.core.task.Problem",
            "pyannote.audio.core.task.Resolution",
            "pyannote.audio.core.task.Specifications",
        )
    ),
]


def convert(files: Mapping[str, Path]) -> Tensors:
    """Join both checkpoints and the PLDA into one state dict.

    Parameters
    ----------
    files : mapping
        The files' names in the repository -> path.

    Returns
    -------
    dict of str to tensor
        `segmentation.…`, `trunk.…`, `projection.…` in float32 and `plda.…` in float64.

    Raises
    ------
    WeightsMismatch
        If a file holds something else than tensors, or those of another network.
    """
    segmentation = _segmentation(_checkpoint(files[SEGMENTATION]))
    trunk, projection = _embedding(_checkpoint(files[EMBEDDING]))
    return {
        **_below("segmentation.", _checked(segmentation, Segmentation, SEGMENTATION)),
        **_below("trunk.", _checked(trunk, Trunk, EMBEDDING)),
        **_below("projection.", projection),
        **_below("plda.", _plda(files[PLDA], files[PLDA_INPUT])),
    }


def _checkpoint(path: Path) -> Tensors:
    name = "/".join(path.parts[-2:])
    try:
        with torch.serialization.safe_globals(_PICKLED):
            state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        return {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        raise WeightsMismatch(f"The file {name} does not hold a network's tensors.") from error


def _segmentation(state: Tensors) -> Tensors:
    try:
        parts = ("low_hz_", "band_hz_", "n_", "window_")
        tensors = {"filters.weight": filters(*(state[_FILTERS + part] for part in parts))}
    except KeyError as error:
        raise WeightsMismatch(f"The file {SEGMENTATION} lacks {error.args[0]}.") from error
    for name, tensor in state.items():
        if name.startswith(("lstm.", "classifier.")):
            tensors[name] = tensor
        for pattern, template, first in _SEGMENTATION_RULES:
            if match := pattern.fullmatch(name):
                number = [] if first is None else [int(match[1]) - first]
                tensors[template.format(*number, match[match.re.groups])] = tensor
    return tensors


def filters(
    low_hz: torch.Tensor, band_hz: torch.Tensor, times: torch.Tensor, window: torch.Tensor
) -> torch.Tensor:
    """Compute SincNet's band-pass filters, in phase and in quadrature.

    Parameters
    ----------
    low_hz, band_hz : (40, 1)
        Lower edge and width, as learned: above the least ones, and of either sign.
    times, window : (1, 125), (125,)
        Of the half before the centre: 2 pi t in s, and the window.

    Returns
    -------
    (80, 1, 251)

    References
    ----------
    Ravanelli, Bengio: Speaker Recognition from Raw Waveform with SincNet, SLT 2018,
    https://arxiv.org/abs/1808.00158
    Pariente, Cornell, Deleforge, Vincent: Filterbank design for end-to-end speech separation,
    ICASSP 2020, https://arxiv.org/abs/1910.10400
    """
    low = _LEAST_LOW_HZ + low_hz.abs()
    high = (low + _LEAST_BAND_HZ + band_hz.abs()).clamp(_LEAST_LOW_HZ, _SAMPLE_RATE / 2)
    scale = window / (times * (high - low))  # (40, 125); one in the centre of the first kind
    even = ((times * high).sin() - (times * low).sin()) * scale
    odd = ((times * low).cos() - (times * high).cos()) * scale
    in_phase = torch.cat([even, torch.ones_like(low), even.flip(1)], dim=1)
    in_quadrature = torch.cat([odd, torch.zeros_like(low), -odd.flip(1)], dim=1)
    return torch.cat([in_phase, in_quadrature])[:, None]  # (80, 1, 251)


def _embedding(state: Tensors) -> tuple[Tensors, Tensors]:
    try:
        trunk = _folded(state, "stem", "resnet.conv1", "resnet.bn1")
        for name in state:
            if match := re.fullmatch(r"resnet\.layer(\d)\.(\d+)\.conv1\.weight", name):
                trunk.update(_block(state, int(match[1]), int(match[2])))
        projection = {key: state[f"resnet.seg_1.{key}"] for key in ("weight", "bias")}
    except (KeyError, IndexError) as error:
        raise WeightsMismatch(f"The file {EMBEDDING} is of another network.") from error
    if projection["weight"].shape != (EMBEDDING_SIZE, 2 * TRUNK_SIZE):
        raise WeightsMismatch(f"The file {EMBEDDING} is of another network.")
    return trunk, projection


def _block(state: Tensors, stage: int, index: int) -> Tensors:
    theirs = f"resnet.layer{stage}.{index}"
    ours = f"blocks.{_FIRST_BLOCKS[stage - 1] + index}"
    tensors = {
        **_folded(state, f"{ours}.first", f"{theirs}.conv1", f"{theirs}.bn1"),
        **_folded(state, f"{ours}.second", f"{theirs}.conv2", f"{theirs}.bn2"),
    }
    if f"{theirs}.shortcut.0.weight" in state:
        around = (f"{theirs}.shortcut.0", f"{theirs}.shortcut.1")
        tensors.update(_folded(state, f"{ours}.shortcut", *around))
    return tensors


def _folded(state: Tensors, name: str, convolution: str, norm: str) -> Tensors:
    """Make one convolution of a convolution and the normalisation that follows it."""
    weight = state[f"{convolution}.weight"].double()
    keys = ("weight", "bias", "running_mean", "running_var")
    gain, shift, mean, variance = (state[f"{norm}.{key}"].double() for key in keys)
    scale = gain / (variance + _NORM_EPSILON).sqrt()
    return {
        f"{name}.weight": (weight * scale[:, None, None, None]).float(),
        f"{name}.bias": (shift - mean * scale).float(),
    }


def _plda(path: Path, input_path: Path) -> Tensors:
    try:
        with (
            np.load(path, allow_pickle=False) as own,
            np.load(input_path, allow_pickle=False) as to,
        ):
            arrays = {
                "center": to["mean1"],
                "lda": to["lda"],
                "lda_center": to["mean2"],
                "mean": own["mu"],
                "transform": own["tr"],
                "between": own["psi"],
            }
            arrays = {name: np.asarray(value, np.float64) for name, value in arrays.items()}
    except (KeyError, ValueError, OSError) as error:
        raise WeightsMismatch(f"The files {PLDA} and {PLDA_INPUT} hold no PLDA.") from error
    Plda.from_arrays(arrays)
    if len(arrays["lda"]) != EMBEDDING_SIZE:
        raise WeightsMismatch(f"The file {PLDA_INPUT} is for other embeddings.")
    return {name: torch.from_numpy(value) for name, value in arrays.items()}


def _checked(tensors: Tensors, network: type[nn.Module], file: str) -> Tensors:
    with torch.device("meta"):
        expected = {name: value.shape for name, value in network().state_dict().items()}
    if {name: value.shape for name, value in tensors.items()} != expected:
        raise WeightsMismatch(f"The file {file} is of another network.")
    return {name: value.float() for name, value in tensors.items()}


def _below(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}
