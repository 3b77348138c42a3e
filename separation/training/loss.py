"""How far masks are from the best ones, in dB of each stem."""

from __future__ import annotations

import torch

# A stem at this level below the mixture, or lower, is not there.
_ABSENT = 1e-4
# More than 30 dB of SDR are not asked for, nor silence below -20 dB where a stem is not. With more
# asked of silence, masks of what is hard to hear vanish altogether: most stems are absent mostly.
_FLOOR, _FLOOR_ABSENT = 1e-3, 1e-2
# What a stem that is not there counts, beside one that is.
_WEIGHT_ABSENT = 0.1
# What a group counts, beside a class.
_WEIGHT_GROUP = 0.5


def errors(
    masks: torch.Tensor,
    features: torch.Tensor,
    best: torch.Tensor,
    left: torch.Tensor,
    groups: tuple[tuple[int, ...], ...],
) -> torch.Tensor:
    """Return the energy of each class's and then each group's error, (batch, classes + groups).

    Parameters
    ----------
    masks, best : (batch, classes, 2, bands, frames)
    features : (batch, 3, bands, frames)
    left : (batch, classes + groups)
    groups : indices of classes
    """
    power = torch.pow(10, features[:, None, :2])
    away = masks - best
    parts = [away, *(away[:, list(group)].sum(dim=1, keepdim=True) for group in groups)]
    return torch.cat([(power * part.square()).sum(dim=(2, 3, 4)) for part in parts], dim=1) + left


def loss_db(
    error: torch.Tensor, energy: torch.Tensor, total: torch.Tensor, n_classes: int
) -> torch.Tensor:
    """Return one number to be made small: negative SDR of the batch, taken as one song.

    Where a stem is silent for a while, what leaks into it there is an error of the song's stem, as
    it is for who listens: of each example by itself it would be nobody's. A stem that the whole
    batch is without counts by its leakage alone.

    Parameters
    ----------
    error, energy : (batch, classes + groups)
    total : (batch, 1)
        Energy of the mixtures; all of them are taken as equally loud.
    n_classes : int

    References
    ----------
    Wisdom et al.: What's All the FUSS About Free Universal Sound Separation Data?, ICASSP 2021,
    https://arxiv.org/abs/2011.00803 (thresholded SNR, and its form for silent references)
    """
    wrong, share = (error / total).mean(dim=0), (energy / total).mean(dim=0)
    is_there = share > _ABSENT
    present = 10 * torch.log10((wrong + _FLOOR * share) / share.clamp(min=1e-12))
    absent = 10 * torch.log10(wrong + _FLOOR_ABSENT)
    weight = torch.where(is_there, 1.0, _WEIGHT_ABSENT)
    weight[n_classes:] *= _WEIGHT_GROUP
    return (weight * torch.where(is_there, present, absent)).sum() / weight.sum()
