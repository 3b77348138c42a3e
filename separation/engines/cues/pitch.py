"""The high voices in a mixture of voices, from the pitches that sound in it.

Two pitches are looked for in each frame: the one whose harmonics stand out most, and the one that
stands out most once those are gone. Each is taken for a high or a low voice by its frequency and by
what sounded just before and after; every point of the spectrogram goes to whose harmonic is near.

References
----------
Klapuri: Multiple fundamental frequency estimation by summing harmonic amplitudes, ISMIR 2006
Virtanen: Separation of sound sources by convolutive sparse coding and harmonic masks, 2004
"""

from __future__ import annotations

import functools
import math

import torch
from torch.nn import functional

_RATE = 44_100
_N_FFT = 4096
_HOP = 1024

# Pitches that are told apart: from 75 to 900 Hz in steps of a fifth of a semitone.
_LOWEST_HZ, _HIGHEST_HZ, _STEPS_A_SEMITONE = 75.0, 900.0, 5
_N_HARMONICS = 16
_FADE = 0.86
# Where it is as likely a high voice as a low one (Hz), and how many octaves that blurs over.
MIDDLE_HZ = 225.0
BLUR_OCTAVES = 0.12
# Frames on each side that say what voice it is, and over which a pitch stands out.
_CONTEXT = 20
_NEAR = 2
# Width of a harmonic: in Hz, and of its frequency.
_WIDTH_HZ, _WIDTH_SHARE = 18.0, 0.012
# What each of the two pitches has of the sound at least, and everywhere.
_SECOND = 0.3
_EVERYWHERE = 0.02
_SILENCE = 1e-12


def high_voices_of(mixtures: torch.Tensor) -> torch.Tensor:
    """Return the high voices of (batch, 2, n) samples at 44.1 kHz, of the same shape."""
    n = mixtures.shape[-1]
    if n == 0:
        return mixtures.clone()
    window = torch.hann_window(_N_FFT, device=mixtures.device)
    flat = mixtures.reshape(-1, n)
    spectrum = torch.stft(
        flat, _N_FFT, _HOP, window=window, pad_mode="constant", return_complex=True
    ).reshape(*mixtures.shape[:2], _N_FFT // 2 + 1, -1)
    mask = high_mask(spectrum.abs().square().sum(dim=1))
    high = (mask[:, None] * spectrum).reshape(-1, *spectrum.shape[-2:])
    return torch.istft(high, _N_FFT, _HOP, window=window, length=n).reshape(mixtures.shape)


def high_mask(power: torch.Tensor) -> torch.Tensor:
    """Return what of each point of (batch, bins, frames) power belongs to high voices, 0..1."""
    white = _whitened(power)
    bins, weights = _harmonics(power.device)
    first, strength = _strongest(white, bins, weights)
    without = white * (1 - _comb(first, white.shape[1]).clamp(max=1))
    second, other = _strongest(without, bins, weights)
    is_high = _likely_high(torch.stack([first, second]), torch.stack([strength, other]), power)
    shares = torch.stack([torch.ones_like(strength), _SECOND * other / (strength + _SILENCE)])
    near = torch.stack([_comb(pitch, white.shape[1]) for pitch in (first, second)])
    claims = shares.clamp(max=1)[:, :, None] * (near + _EVERYWHERE)
    mask: torch.Tensor = (claims * is_high[:, :, None]).sum(dim=0) / claims.sum(dim=0)
    return mask


def _whitened(power: torch.Tensor) -> torch.Tensor:
    """Compress and level the spectrum, so that every harmonic counts."""
    loud = power.clamp(min=0) ** 0.25
    level = functional.avg_pool1d(loud.transpose(1, 2), 61, 1, 30).transpose(1, 2)
    floor = 0.05 * loud.amax(dim=(1, 2), keepdim=True)
    return loud / (level + floor + _SILENCE)


@functools.cache
def _pitches() -> tuple[float, ...]:
    count = round(12 * _STEPS_A_SEMITONE * math.log2(_HIGHEST_HZ / _LOWEST_HZ)) + 1
    return tuple(_LOWEST_HZ * 2 ** (k / (12 * _STEPS_A_SEMITONE)) for k in range(count))


def _harmonics(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the bins of each pitch's harmonics and of what lies between, and their weights."""
    pitches = torch.tensor(_pitches(), device=device)
    number = torch.arange(1, _N_HARMONICS + 1, device=device)
    hertz = torch.cat([pitches[:, None] * number, pitches[:, None] * (number - 0.5)], dim=1)
    fades = _FADE**number
    weights = torch.cat([fades, -fades]).expand_as(hertz)
    bins = (hertz * _N_FFT / _RATE).round().long()
    return bins.clamp(max=_N_FFT // 2), weights / fades.sum()


def _strongest(
    white: torch.Tensor, bins: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pitch of each frame, (batch, frames) in Hz, and how much it stands out."""
    stands_out = torch.zeros((len(white), len(bins), white.shape[-1]), device=white.device)
    for column in range(bins.shape[1]):  # one by one: all at once take a gigabyte
        stands_out += weights[:1, column, None] * white[:, bins[:, column]]
    size = 2 * _NEAR + 1
    steady = functional.avg_pool1d(stands_out, size, 1, _NEAR, count_include_pad=False)
    strength, index = steady.max(dim=1)
    return torch.tensor(_pitches(), device=white.device)[index], strength.clamp(min=0)


def _comb(pitch: torch.Tensor, n_bins: int) -> torch.Tensor:
    """Return how near each bin is to a harmonic, (batch, bins, frames), 0..1."""
    hertz = torch.arange(n_bins, device=pitch.device)[:, None] * (_RATE / _N_FFT)
    number = (hertz / pitch[:, None]).round().clamp(min=1)
    off = (hertz - number * pitch[:, None]).abs()
    width = _WIDTH_HZ + _WIDTH_SHARE * hertz
    return torch.exp(-((off / width) ** 2))


def _likely_high(
    pitches: torch.Tensor, strengths: torch.Tensor, power: torch.Tensor
) -> torch.Tensor:
    """Return how likely each of two pitches, (2, batch, frames), is a high voice's.

    A pitch is judged by itself and, more so, by those near it in time and in pitch: one voice does
    not change from frame to frame.
    """
    octaves = torch.log2(pitches / MIDDLE_HZ)
    loud = power.sum(dim=1).sqrt()
    weight = strengths * loud
    size = 2 * _CONTEXT + 1
    total = functional.avg_pool1d(weight, size, 1, _CONTEXT) + _SILENCE
    mean = functional.avg_pool1d(weight * octaves, size, 1, _CONTEXT) / total
    # A second voice far from the first one's mean is judged by its own.
    judged = 0.5 * (octaves + mean)
    return torch.sigmoid(judged / BLUR_OCTAVES)
