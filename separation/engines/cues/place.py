"""The voice or instrument in front of a stereo mixture, from where its sound stands.

Each point of the spectrogram is turned so that the place of the front falls on one axis. What lies
on it belongs to the front; what stands apart from it (other places, rooms, doubles) shows on the
other axis. How much of each axis is the front's is told from how much stands aside near by, in the
neighbourhood and in the whole segment, and from how loud the point is: weights of these cues that
gave the least error on the project's own training mixtures (`separation.training.voices`).

References
----------
Avendano, Jot: A frequency-domain approach to multichannel upmix, J. Audio Eng. Soc. 52(7/8), 2004
Barry, Lawlor, Coyle: Sound source separation: azimuth discrimination and resynthesis, DAFx 2004
Duong, Vincent, Gribonval: Under-determined reverberant audio source separation using a full-rank
spatial covariance model, IEEE TASLP 18(7), 2010, https://doi.org/10.1109/TASL.2010.2050716
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch.nn import functional

_N_FFT = 4096
_HOP = 1024

# Frames and bins on each side over which what stands aside is compared with what does not.
_NEIGHBOURHOODS = ((0, 0), (2, 1), (8, 6), (20, 60))
# What each cue counts, in the order of `_cues`, for the axis of the front and for the other one.
_WEIGHTS = (
    (-3.09, -0.13, -0.75, -0.23, -2.76, -1.92, 1.64, 0.18, 0.77)
    + (0.12, -1.75, -1.85, -1.70, 4.11, 0.23, 0.13, 0.93, -0.01),
    (-2.59, 0.31, -2.59, -1.15, -1.00, -1.44, 2.80, 0.44, 0.07)
    + (0.00, -2.65, -0.78, -1.38, 2.37, 2.16, -0.19, 1.48, -1.29),
)
# Of which nothing stands aside but less than this share is the front's, whatever the weights say:
# all of a recording in mono is.
_ASIDE_AT_LEAST = 1e-3

# Places that are told apart, and how far from the middle a front may be (radians).
_N_PLACES = 91  # odd: one of them is the middle itself
_PLACE_STEP = 0.5 * math.pi / (_N_PLACES - 1)
_MIDDLE_WIDTH = 0.35
_SILENCE = 1e-20


def front_of(mixtures: torch.Tensor) -> torch.Tensor:
    """Return what stands in front of (batch, 2, n) samples, of the same shape."""
    n = mixtures.shape[-1]
    if n == 0:
        return mixtures.clone()
    window = torch.hann_window(_N_FFT, device=mixtures.device)
    flat = mixtures.reshape(-1, n)
    spectrum = torch.stft(
        flat, _N_FFT, _HOP, window=window, pad_mode="constant", return_complex=True
    ).reshape(*mixtures.shape[:2], _N_FFT // 2 + 1, -1)
    place = _place(spectrum)
    turned = _turned(spectrum, place)
    front = _masks(turned) * turned
    back = _turned(front, -place).reshape(-1, *spectrum.shape[-2:])
    return torch.istft(back, _N_FFT, _HOP, window=window, length=n).reshape(mixtures.shape)


def _turned(spectrum: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Turn (batch, 2, bins, frames) by (batch,) angles: a source at the angle lies on the first."""
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    left, right = spectrum[:, 0], spectrum[:, 1]
    return torch.stack([cosine * left + sine * right, cosine * right - sine * left], dim=1)


def _place(spectrum: torch.Tensor) -> torch.Tensor:
    """Return the angle, (batch,), at which most is heard near the middle: 0 left, pi/2 right."""
    left, right = spectrum[:, 0], spectrum[:, 1]
    cross = (left * right.conj()).real
    power = left.abs().square(), right.abs().square()
    angle = 0.5 * torch.atan2(2 * cross, power[0] - power[1]).clamp(min=0)
    weight = (power[0] + power[1]).sqrt() * (cross > 0)
    index = (angle / _PLACE_STEP).round().long().clamp(0, _N_PLACES - 1)
    heard = torch.zeros((len(spectrum), _N_PLACES), device=spectrum.device)
    heard.scatter_add_(1, index.flatten(1), weight.flatten(1))
    heard = functional.avg_pool1d(heard[:, None], 5, 1, 2)[:, 0]
    places = torch.arange(_N_PLACES, device=spectrum.device) * _PLACE_STEP
    near = torch.exp(-(((places - math.pi / 4) / _MIDDLE_WIDTH) ** 2))
    # Where nothing is heard on both sides the front is in the middle.
    best = (heard * near + _SILENCE * near).argmax(dim=1)
    return places[best]


def _masks(turned: torch.Tensor) -> torch.Tensor:
    """Return what of each axis of (batch, 2, bins, frames) is the front's, of that shape, 0..1."""
    on, off = turned[:, 0].abs().square(), turned[:, 1].abs().square()
    weights = torch.tensor(_WEIGHTS, device=turned.device)
    score = torch.zeros((2, *on.shape), device=turned.device)
    for index, cue in enumerate(_cues(on, off)):
        score += weights[:, index, None, None, None] * cue
    near_on, near_off = _averaged(on, *_NEIGHBOURHOODS[1]), _averaged(off, *_NEIGHBOURHOODS[1])
    aside = (near_off / (_ASIDE_AT_LEAST * near_on + _SILENCE)).clamp(max=1)
    return (1 - torch.sigmoid(-score) * aside).transpose(0, 1)


def _cues(on: torch.Tensor, off: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the cues from the powers on both axes, (batch, bins, frames): logarithms of ratios."""
    total = on + off
    floor = 1e-9 * total.mean(dim=(1, 2), keepdim=True) + _SILENCE
    yield torch.ones_like(on)
    aside = [
        _ratio(_averaged(off, *size), _averaged(on, *size), floor, 6) / 3
        for size in _NEIGHBOURHOODS
    ]
    yield from aside
    all_off, all_on = (power.sum(dim=(1, 2), keepdim=True) for power in (off, on))
    overall = _ratio(all_off, all_on, floor, 6) / 3
    yield overall
    near = _averaged(total, 1, 1)
    among_bins = _ratio(near, _averaged(total, 1, 40), floor, 8) / 3
    yield among_bins
    yield _ratio(near, _averaged(total, 40, 1), floor, 8) / 3
    loud = _ratio(near, total.mean(dim=(1, 2), keepdim=True), floor, 8) / 4
    yield loud
    yield from (cue.square() for cue in aside)
    yield aside[1] * aside[2]
    yield aside[1] * among_bins
    yield aside[1] * overall
    yield aside[2] * loud
    yield aside[1] * loud


def _ratio(
    one: torch.Tensor, other: torch.Tensor, floor: torch.Tensor, highest: float
) -> torch.Tensor:
    return torch.log((one + floor) / (other + floor)).clamp(-12, highest)


def _averaged(power: torch.Tensor, frames: int, bins: int) -> torch.Tensor:
    """Average over that many frames and bins on each side, as far as there are any."""
    over_frames = _running_mean(power, frames)
    return _running_mean(over_frames.transpose(1, 2), bins).transpose(1, 2)


def _running_mean(values: torch.Tensor, reach: int) -> torch.Tensor:
    if reach == 0:
        return values
    n = values.shape[-1]
    sums = functional.pad(values.double().cumsum(dim=-1), (1, 0))
    at = torch.arange(n, device=values.device)
    last, first = (at + reach + 1).clamp(max=n), (at - reach).clamp(min=0)
    return ((sums[..., last] - sums[..., first]) / (last - first)).float().clamp(min=0)
