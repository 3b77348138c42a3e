"""The network of `separation.enhance.bandnet` in PyTorch, to be trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from separation.enhance.bandnet import N_FEATURES

N_HIDDEN = 32


# An error so far below what is wanted is as good as none: else all there is to learn is to change
# nothing, for the sake of examples that need no change.
_CLOSE = 0.02


class BandNet(nn.Module):
    """Gains from the features of bands; its parameters are those that `enhance.bandnet` reads."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(N_FEATURES, N_HIDDEN),
            nn.Tanh(),
            nn.Linear(N_HIDDEN, N_HIDDEN),
            nn.Tanh(),
            (last := nn.Linear(N_HIDDEN, 1)),
        )
        nn.init.constant_(last.bias, 1.5)  # begin with changing little

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return gains (batch, frames, bands) of (batch, frames, bands, N_FEATURES)."""
        return torch.sigmoid(self.layers(features))[..., 0]


def weights_of(net: BandNet) -> dict[str, np.ndarray]:
    """Return the parameters as half-precision arrays, as they are shipped."""
    return {
        name: value.detach().numpy().astype(np.float16) for name, value in net.state_dict().items()
    }


def error_db(statistics: torch.Tensor, gains: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Return the error of each example's spectra in dB relative to what is wanted, (batch,).

    `statistics` are those of `examples.Examples`, (batch, 3, frames, bands).
    """
    power = 10 ** statistics[:, 0] * sizes
    wanted = (statistics[:, 2] * power).sum((1, 2))
    errors = (gains**2 - 2 * gains * statistics[:, 1] + statistics[:, 2]) * power
    return 10 * torch.log10(errors.sum((1, 2)) / wanted.clamp_min(1e-12) + _CLOSE)


def shape_error(statistics: torch.Tensor, gains: torch.Tensor) -> torch.Tensor:
    """Return how far compressed magnitudes are off, (batch,): what is soft counts too."""
    level = 10 ** (0.15 * (statistics[:, 0] - statistics[:, 0].amax((1, 2), keepdim=True)))
    wanted = statistics[:, 2].clamp_min(1e-6) ** 0.15
    return (level * (gains.clamp_min(1e-4) ** 0.3 - wanted)).abs().mean((1, 2))
