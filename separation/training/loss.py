"""How far masks are from the best ones, and what of it is made small."""

from __future__ import annotations

import torch

# How much of what is remembered stays with each batch.
_MEMORY = 0.99
# More than 30 dB of SDR are not asked for, nor of a stem that is never there silence below -40 dB.
_FLOOR, _LEAST = 1e-3, 1e-4
# What a group counts, beside a class.
_WEIGHT_GROUP = 0.5
# How much of the song's error stands beside the batch's.
_OF_THE_SONG = 0.3


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


class SongLoss:
    """What is made small: the SDR in dB of a batch, with something of the song that it is part of.

    The song are the examples of the last hundred batches or so. A batch by itself is too short for
    an SDR: a stem that it has a trace of would weigh as much as one that fills it, and what leaks
    while a stem is silent would be nobody's error. The song's SDR by itself would let the few
    examples that are hopeless drown the others.

    Parameters
    ----------
    n_classes, n_groups : int
        The groups come after the classes, and count half.
    device : str

    References
    ----------
    Wisdom et al.: What's All the FUSS About Free Universal Sound Separation Data?, ICASSP 2021,
    https://arxiv.org/abs/2011.00803 (thresholds: what is good enough, and silent references)
    """

    def __init__(self, n_classes: int, n_groups: int, device: str = "cpu") -> None:
        self._n_classes = n_classes
        self._n_batches = 0
        self._weight = torch.ones(n_classes + n_groups, device=device)
        self._weight[n_classes:] = _WEIGHT_GROUP
        self._wrong = self._share = torch.zeros(n_classes + n_groups, device=device)

    def __call__(
        self, error: torch.Tensor, energy: torch.Tensor, total: torch.Tensor
    ) -> torch.Tensor:
        """Return one number, and remember the batch.

        Parameters
        ----------
        error, energy : (batch, classes + groups)
        total : (batch, 1)
            Energy of the mixtures; all of them are taken as equally loud.
        """
        wrong, share = (error / total).mean(dim=0), (energy / total).mean(dim=0)
        self._n_batches += 1
        keep = min(_MEMORY, 1 - 1 / self._n_batches)
        self._wrong = keep * self._wrong + (1 - keep) * wrong.detach()
        self._share = keep * self._share + (1 - keep) * share
        usual = self._wrong + _FLOOR * self._share + _LEAST
        level = 10 * torch.log10(wrong / usual + _OF_THE_SONG)
        return (self._weight * level).sum() / self._weight.sum()

    @property
    def sdr_db(self) -> float:
        """The mean of the classes' SDR in the song so far."""
        wrong, share = self._wrong[: self._n_classes], self._share[: self._n_classes]
        is_there = share > _LEAST
        return float(10 * torch.log10(share[is_there] / wrong[is_there]).mean())
