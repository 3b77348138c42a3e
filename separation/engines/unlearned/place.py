"""The voice or instrument in front of a stereo mixture, from where its sound stands.

Each point of the spectrogram is turned so that the place of the front falls on one axis. What lies
on it belongs to the front; what stands apart from it (other places, rooms, doubles) shows on the
other axis, and as much of it is taken to lie on the first as well. A multichannel Wiener filter of
these two local Gaussian sources makes the front.

References
----------
Avendano, Jot: A frequency-domain approach to multichannel upmix, J. Audio Eng. Soc. 52(7/8), 2004
Barry, Lawlor, Coyle: Sound source separation: azimuth discrimination and resynthesis, DAFx 2004
Duong, Vincent, Gribonval: Under-determined reverberant audio source separation using a full-rank
spatial covariance model, IEEE TASLP 18(7), 2010, https://doi.org/10.1109/TASL.2010.2050716
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

_N_FFT = 8192
_HOP = 2048

# Of the power of what stands around, how much lies on the axis of the front for each on the other.
SPREAD = 2.0
# Of the power of the front, how much its room puts on the other axis.
ROOM = 0.03
# Frames and bins on each side over which powers are averaged.
_NEAR = (2, 1)

# Places that are told apart, and how far from the middle a front may be (radians).
_N_PLACES = 91  # odd: one of them is the middle itself
_PLACE_STEP = 0.5 * math.pi / (_N_PLACES - 1)
_MIDDLE_WIDTH = 0.35
_SILENCE = 1e-12


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
    front = torch.stack(_masks(turned), dim=1) * turned
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


def _masks(turned: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what of each axis of (batch, 2, bins, frames) is the front's."""
    on, off = (_averaged(turned[:, axis].abs().square()) for axis in range(2))
    scale = 1 - SPREAD * ROOM
    front = ((on - SPREAD * off) / scale).clamp(min=0)
    around = ((off - ROOM * on) / scale).clamp(min=0)
    return (
        front / (front + SPREAD * around + _SILENCE),
        ROOM * front / (ROOM * front + around + _SILENCE),
    )


def _averaged(power: torch.Tensor) -> torch.Tensor:
    frames, bins = _NEAR
    size = (2 * bins + 1, 2 * frames + 1)
    return functional.avg_pool2d(power[:, None], size, 1, (bins, frames), count_include_pad=False)[
        :, 0
    ]
