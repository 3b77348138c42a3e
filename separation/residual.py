"""What the stems of a model leave of the recording, and who takes it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from separation.errors import InvalidRequest

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

# Shares change from one stretch of so many samples to the next, 23 ms at 44.1 kHz. Shares by the
# sample would modulate the residual into noise; one share a segment would fill a stem's pauses.
_STRETCH = 1024
# What the rest stem claims where no stem claims anything: far below 24 bits.
_FLOOR = 1e-9

_FLOAT_MAX = float(np.finfo(np.float32).max)


class Residual(enum.StrEnum):
    """Who takes the recording minus the sum of the model's stems.

    SPREAD: every stem, by its level. REST: the model's rest stem, as the catalogue names it.
    KEEP: nobody; the stems are what the network returned and do not add up.
    """

    SPREAD = "spread"
    REST = "rest"
    KEEP = "keep"

    @classmethod
    def of(cls, name: str) -> Residual:
        """Return the one of that name.

        Raises
        ------
        InvalidRequest
            If there is none.
        """
        if name not in set(cls):
            known = ", ".join(cls)
            raise InvalidRequest(f"There is no residual setting '{name}'; there are {known}.")
        return cls(name)


def spread(stems: FloatArray, mixture: FloatArray, rest: int) -> FloatArray:
    """Divide what a segment's stems leave of it among them; see `spread_tensors`."""
    import torch

    shared = spread_tensors(torch.from_numpy(stems), torch.from_numpy(mixture), rest)
    if not torch.isfinite(shared.sum()):
        return stems  # samples that float32 hardly holds; what is left falls to the rest stem
    result: FloatArray = shared.numpy()
    return result


def spread_tensors(stems: torch.Tensor, mixture: torch.Tensor, rest: int) -> torch.Tensor:
    """Divide what a segment's stems leave of it among them, by their level.

    A silent stem stays silent. The level is the mean magnitude over short stretches and all
    channels, interpolated in between. Measured with HTDemucs, mean SDR in dB (docs/exactness.md):
    equal shares gain 0.01 and lift silent stems by 15, these gain as much and lift nothing.

    Parameters
    ----------
    stems : (stems, channels, samples) float32, finite
    mixture : (channels, samples) float32
    rest : int
        The stem that takes what no stem has any claim to.

    Returns
    -------
    (stems, channels, samples) float32 that add up to the mixture within float rounding

    References
    ----------
    Wisdom et al.: Differentiable Consistency Constraints for Improved Deep Speech Enhancement,
    ICASSP 2019, https://arxiv.org/abs/1811.08521 ("mixture consistency")
    """
    import torch
    from torch.nn import functional

    with torch.inference_mode():
        n_samples = stems.shape[-1]
        level = stems.abs().mean(dim=1)[None]  # (1, stems, samples)
        level = functional.pad(level, (0, -n_samples % _STRETCH))
        level = functional.avg_pool1d(level, _STRETCH)  # (1, stems, stretches)
        level[0, rest] += _FLOOR
        shares = level / level.sum(dim=1, keepdim=True)
        shares = functional.interpolate(shares, scale_factor=float(_STRETCH), mode="linear")
        shares = shares[0, :, None, :n_samples]  # (stems, 1, samples)
        return stems + shares * (mixture - stems.sum(dim=0))


def exact_floats(stems: FloatArray, mixture: FloatArray, rest: int) -> FloatArray:
    """Give the rest stem what the others leave, to the last bit that float32 holds.

    Parameters
    ----------
    stems : (stems, channels, samples) float32
    mixture : (channels, samples) float32
    rest : int

    Returns
    -------
    (stems, channels, samples) float32
    """
    exact = stems.copy()
    others = np.delete(stems, rest, axis=0).sum(axis=0, dtype=np.float64)
    exact[rest] = np.clip(mixture - others, -_FLOAT_MAX, _FLOAT_MAX)
    return exact


def whole_steps(
    stems: FloatArray, mixture: FloatArray, bits: int, rest: int | None
) -> tuple[IntArray, IntArray, list[int]]:
    """Round stems to integers that add up to the rounded recording.

    A loud recording minus one stem can pass full scale, where an integer file would cut it off
    and both would no longer add up. The stem gives way instead, towards silence and not beyond.

    Parameters
    ----------
    stems : (stems, channels, samples) float32
    mixture : (channels, samples) float32
    bits : int
        16 or 24.
    rest : int, optional
        The stem that takes the others' rounding, and first what they cannot hold; without it
        stems are rounded each for itself.

    Returns
    -------
    integers : (stems, channels, samples) int32, within full scale
    whole : (channels, samples) int32
        The recording; beyond full scale where that is.
    n_clipped : list of int
        For each stem, how many of its samples were beyond full scale.
    """
    full = 2 ** (bits - 1)
    n_stems = len(stems)
    with np.errstate(over="ignore"):
        steps = np.rint(stems * np.float32(full))
        whole = np.rint(mixture * np.float32(full))
    outside = (steps < -full) | (steps > full - 1)
    n_clipped = [int(n) for n in np.count_nonzero(outside, axis=(1, 2))]
    beyond = n_stems * full
    whole = np.clip(whole, -beyond, beyond - n_stems).astype(np.int32)
    inside = np.clip(whole, -full, full - 1)
    lowest, highest = np.maximum(inside - full + 1, -full), np.minimum(inside + full, full - 1)
    integers = np.clip(steps, lowest, highest).astype(np.int32)
    if rest is None:
        return integers, whole, n_clipped
    left = whole - integers.sum(axis=0, dtype=np.int32)
    for index in (rest, *(i for i in range(n_stems) if i != rest)):
        taken = np.clip(integers[index] + left, lowest, highest)
        left -= taken - integers[index]
        integers[index] = taken
        if not left.any():
            break
    return integers, whole, n_clipped
