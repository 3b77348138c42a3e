"""What the stems of a model leave of the recording, and who takes it."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import numpy.typing as npt

from separation.errors import InvalidRequest

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

# Shares change from one stretch of so many samples to the next, 23 ms at 44.1 kHz. Shares by the
# sample would modulate the residual into noise; one share a segment would fill a stem's pauses.
_STRETCH = 1024
# What the rest stem claims where no stem claims anything: far below 24 bits.
_FLOOR = 1e-9

# Samples at a time, so that what is in work stays in the processor's cache.
_CHUNK = 16384
# Times full scale: what is farther beyond need not be told apart, and 32 bits hold this.
_BEYOND = 32

# Sums of what is louder may be more than float32 holds.
_LOUDEST = 1e30
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
    """Divide what a segment's stems leave of it among them, by their level.

    A silent stem stays silent. The level is the mean magnitude over short stretches, of all
    channels together, interpolated in between. Measured with HTDemucs (docs/exactness.md), equal
    shares gain 0.01 dB of SDR and lift silent stems by 15; these gain as much and lift nothing.

    Parameters
    ----------
    stems : (stems, channels, samples) float32, finite
        Changed in place.
    mixture : (channels, samples) float32
    rest : int
        The stem that takes what no stem has any claim to.

    Returns
    -------
    (stems, channels, samples) float32
        They add up to the mixture within float rounding; where float32 cannot hold that, they are
        left as they were, and what is left falls to the rest stem later.

    References
    ----------
    Wisdom et al.: Differentiable Consistency Constraints for Improved Deep Speech Enhancement,
    ICASSP 2019, https://arxiv.org/abs/1811.08521 ("mixture consistency")
    """
    if max(np.abs(stems).max(), np.abs(mixture).max()) > _LOUDEST:
        return stems
    shares = _shares(stems, rest)  # (stems, stretches + 2)
    rising = (np.arange(_STRETCH, dtype=np.float32) + 0.5) / np.float32(_STRETCH)
    for index in range(0, shares.shape[1] - 1, _CHUNK // _STRETCH):
        ends = shares[:, index : index + _CHUNK // _STRETCH + 1, None]
        # Each share holds in the middle of its stretch, and changes evenly to the next one's.
        share = (ends[:, :-1] + (ends[:, 1:] - ends[:, :-1]) * rising).reshape(len(stems), 1, -1)
        begin = index * _STRETCH - _STRETCH // 2
        start, stop = max(begin, 0), min(begin + share.shape[-1], mixture.shape[-1])
        chunk = stems[..., start:stop]
        left = mixture[..., start:stop] - chunk.sum(axis=0)
        chunk += share[..., start - begin : stop - begin] * left
    return stems


def _shares(stems: FloatArray, rest: int) -> FloatArray:
    """Return each stem's share of all levels, a column a stretch, the outer ones twice."""
    starts = np.arange(0, stems.shape[-1], _STRETCH)
    level = np.add.reduceat(np.abs(stems).sum(axis=1), starts, axis=1) / np.float32(_STRETCH)
    level[rest] += np.float32(_FLOOR)
    return np.pad(level / level.sum(axis=0), ((0, 0), (1, 1)), mode="edge")


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
    integers = np.empty(stems.shape, np.int32)
    whole = np.empty(mixture.shape, np.int32)
    n_clipped = np.zeros(len(stems), np.int64)
    for start in range(0, mixture.shape[-1], _CHUNK):
        at = np.s_[..., start : start + _CHUNK]
        # All stems together can hold so much of a recording that is beyond full scale.
        whole[at] = _rounded(mixture[at], bits, _BEYOND if rest is None else len(stems))
        steps = _rounded(stems[at], bits, _BEYOND)
        n_clipped += _n_outside(steps, bits)
        _fit(steps, whole[at], bits, rest)
        integers[at] = steps
    return integers, whole, n_clipped.tolist()


def part_steps(
    stems: FloatArray, whole: IntArray, bits: int, rest: int | None
) -> tuple[IntArray, list[int]]:
    """Round what a stem was taken apart into to integers that add up to that stem's own.

    Unlike those of a recording, whose sums with others are files seldom, any of these may be
    added up into a file: where that would pass full scale, all of them give way.

    Parameters
    ----------
    stems : (stems, channels, samples) float32
    whole : (channels, samples) int32, within full scale
        The stem that they are parts of.
    bits : int
        16 or 24.
    rest : int, optional
        As of `whole_steps`.

    Returns
    -------
    integers : (stems, channels, samples) int32
        Within full scale; with a rest, the sum of any of them is too.
    n_clipped : list of int
        For each stem, how many of its samples were beyond full scale.
    """
    integers = np.empty(stems.shape, np.int32)
    n_clipped = np.zeros(len(stems), np.int64)
    for start in range(0, whole.shape[-1], _CHUNK):
        at = np.s_[..., start : start + _CHUNK]
        steps = _rounded(stems[at], bits, _BEYOND)
        n_clipped += _n_outside(steps, bits)
        _fit(steps, whole[at], bits, rest)
        if rest is not None:
            _fit_sums(steps, whole[at], bits, rest)
        integers[at] = steps
    return integers, n_clipped.tolist()


def _rounded(samples: FloatArray, bits: int, beyond: int) -> IntArray:
    """Round floats to steps of full scale, up to `beyond` times full scale."""
    full = 2 ** (bits - 1)
    with np.errstate(over="ignore"):
        steps = samples * np.float32(full)
    np.rint(steps, out=steps)
    lowest, highest = np.float32(-beyond * full), np.float32(beyond * (full - 1))
    if int(highest) > beyond * (full - 1):
        highest = np.nextafter(highest, np.float32(0))
    if _is_outside(steps, float(lowest), float(highest)):
        np.clip(steps, lowest, highest, out=steps)
    return steps.astype(np.int32)


def _is_outside(values: npt.NDArray[Any], lowest: float, highest: float) -> bool:
    return bool(values.min() < lowest or values.max() > highest)


def _n_outside(steps: IntArray, bits: int) -> IntArray:
    """Count, for each stem, the samples beyond full scale."""
    full = 2 ** (bits - 1)
    if not _is_outside(steps, -full, full - 1):
        return np.zeros(len(steps), np.int32)
    outside = (steps < -full) | (steps > full - 1)
    return np.asarray(np.count_nonzero(outside, axis=(1, 2)), np.int32)


def _fit(steps: IntArray, whole: IntArray, bits: int, rest: int | None) -> None:
    """Limit steps in place, and let them add up to the whole if there is a rest."""
    full = 2 ** (bits - 1)
    inside = np.clip(whole, -full, full - 1)
    lowest, highest = np.maximum(inside - full + 1, -full), np.minimum(inside + full, full - 1)
    np.clip(steps, lowest, highest, out=steps)
    if rest is None:
        return
    left = whole - steps.sum(axis=0, dtype=np.int32)
    for index in (rest, *(i for i in range(len(steps)) if i != rest)):
        taken = np.clip(steps[index] + left, lowest, highest)
        left -= taken - steps[index]
        steps[index] = taken
        if not left.any():
            return


def _fit_sums(steps: IntArray, whole: IntArray, bits: int, rest: int) -> None:
    """Change steps in place, so that the sum of any of them is in range.

    Where those above zero, or those below, pass full scale together, all move towards shares of
    the whole by their magnitude: these have its sign, and no sum of them is beyond it. They move
    as far as would be needed if each kept its sign, which is a little farther than they must. The
    steps of one sample must add up to the whole, and they still do.
    """
    full = 2 ** (bits - 1)
    if np.abs(steps).sum(axis=0).max(initial=0) < full:
        return
    above, below = np.maximum(steps, 0).sum(axis=0), np.minimum(steps, 0).sum(axis=0)
    is_loud = (above > full - 1) | (below < -full)  # (channels, n)
    if not is_loud.any():
        return
    loud, parent = steps[:, is_loud].astype(np.float64), whole[is_loud].astype(np.float64)
    magnitude = np.abs(loud)
    shares = parent * magnitude / magnitude.sum(axis=0)  # (stems, k)
    # Rounding may add one step a stem.
    room = full - 1 - len(steps)
    kept = np.ones(len(parent))
    for side, limit in ((above, np.maximum(parent, 0)), (-below, np.maximum(-parent, 0))):
        beyond = side[is_loud] - limit
        share = np.clip((room - limit) / np.maximum(beyond, 1), 0, 1)
        kept = np.where(beyond > 0, np.minimum(kept, share), kept)
    moved = np.trunc(shares + kept * (loud - shares)).astype(np.int32)
    moved[rest] += whole[is_loud] - moved.sum(axis=0, dtype=np.int32)
    steps[:, is_loud] = moved
