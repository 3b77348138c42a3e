"""HTDemucs of other sizes, and bags of several, each of which makes a stem of its own.

References
----------
Rouard, Massa, Défossez: Hybrid Transformers for Music Source Separation, ICASSP 2023,
https://arxiv.org/abs/2211.08553
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from demucs.htdemucs import HTDemucs
from torch import nn


class Bag(nn.Module):
    """Networks side by side, named `0`, `1`, ….

    Parameters
    ----------
    options : HTDemucsOptions
    used : sequence of int
        The stems that are wanted. Of several networks the n-th makes the n-th stem, as its
        authors weighted them; a single one makes all.
    """

    def __init__(self, options: HTDemucsOptions, used: Sequence[int]) -> None:
        super().__init__()
        self.used = list(used)
        self.is_single = options.n_networks == 1
        wanted = [0] if self.is_single else self.used
        self.networks = nn.ModuleDict({str(index): options.single() for index in wanted})

    def forward(self, mixtures: torch.Tensor) -> torch.Tensor:
        """(batch, 2, n) -> (batch, used stems, 2, n)."""
        if self.is_single:
            stems: torch.Tensor = self.networks["0"](mixtures)[:, self.used]
            return stems
        made = [self.networks[str(index)](mixtures)[:, index] for index in self.used]
        return torch.stack(made, dim=1)


@dataclass(frozen=True, kw_only=True)
class HTDemucsOptions:
    """Of the networks' constructor, by its names; `segment_samples` is what they take at most."""

    num_stems: int
    segment_samples: int
    n_networks: int = 1
    channels: int = 48
    bottom_channels: int = 0
    dconv_mode: int = 3
    depth: int = 4
    t_layers: int = 5
    sample_rate: int = 44100

    def network(self, used: Sequence[int]) -> nn.Module:
        return Bag(self, used)

    def renamed(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Put checkpoints' names below those of the bag's networks."""
        before = "networks.0." if self.n_networks == 1 else "networks."
        return {before + name: tensor for name, tensor in tensors.items()}

    def single(self) -> nn.Module:
        network: nn.Module = HTDemucs(
            sources=[str(index) for index in range(self.num_stems)],
            channels=self.channels,
            bottom_channels=self.bottom_channels,
            dconv_mode=self.dconv_mode,
            depth=self.depth,
            t_layers=self.t_layers,
            samplerate=self.sample_rate,
            segment=Fraction(self.segment_samples, self.sample_rate),
        )
        return network
