"""CascadedNet: the network of Ultimate Vocal Remover's VR models since 5.1, on one band.

Modules are named as in the published checkpoints. Those that take several bands, each resampled
to its own rate, are not covered.

References
----------
Takahashi, Mitsufuji: Multi-scale Multi-band DenseNets for Audio Source Separation, WASPAA 2017,
https://arxiv.org/abs/1706.09588 (the cascade of bands)
tsurumeso: vocal-remover, version 5, https://github.com/tsurumeso/vocal-remover
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from separation.engines.public.spectrum import Spectrum

# Frames of silence before and after, which the network needs around what it judges.
_CONTEXT = 64
# Along frames and bins the innermost layer is this many times smaller.
_SHRINKAGE = 16
_DILATIONS = ((4, 2), (8, 4), (12, 6))


class Convolution(nn.Module):
    """A convolution, normalised."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        size: int = 3,
        *,
        stride: int = 1,
        dilation: tuple[int, int] = (1, 1),
        is_leaky: bool = False,
    ) -> None:
        super().__init__()
        padding = (dilation[0] * (size // 2), dilation[1] * (size // 2))
        self.conv = nn.Sequential(
            nn.Conv2d(n_in, n_out, size, stride, padding, dilation, bias=False),
            nn.BatchNorm2d(n_out),
            nn.LeakyReLU() if is_leaky else nn.ReLU(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        return y


class Encoder(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv1 = Convolution(n_in, n_out, stride=2, is_leaky=True)
        self.conv2 = Convolution(n_out, n_out, is_leaky=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv2(self.conv1(x))
        return y


class Decoder(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv1 = Convolution(n_in, n_out)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        larger = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        y: torch.Tensor = self.conv1(torch.cat([larger, skip], dim=1))
        return y


class Surroundings(nn.Module):
    """Convolutions that see ever more of what is around, side by side."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.AdaptiveAvgPool2d((1, None)), Convolution(n, n, 1))
        self.conv2 = Convolution(n, n, 1)
        self.conv3, self.conv4, self.conv5 = (
            Convolution(n, n, dilation=dilation) for dilation in _DILATIONS
        )
        self.bottleneck = Convolution(5 * n, n, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = functional.interpolate(
            self.conv1(x), size=x.shape[2:], mode="bilinear", align_corners=True
        )
        seen = [mean, *(look(x) for look in (self.conv2, self.conv3, self.conv4, self.conv5))]
        y: torch.Tensor = self.bottleneck(torch.cat(seen, dim=1))
        return y


class Recurrent(nn.Module):
    """One channel, from a recurrent layer along time."""

    def __init__(self, n: int, n_bins: int, n_hidden: int) -> None:
        super().__init__()
        self.conv = Convolution(n, 1, 1)
        self.lstm = nn.LSTM(n_bins, n_hidden // 2, bidirectional=True)
        self.dense = nn.Sequential(nn.Linear(n_hidden, n_bins), nn.BatchNorm1d(n_bins), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, n, bins, frames) -> (batch, 1, bins, frames)."""
        rows = self.conv(x)[:, 0].permute(2, 0, 1)  # (frames, batch, bins)
        heard = self.lstm(rows)[0]
        dense: torch.Tensor = self.dense(heard.flatten(0, 1)).view(rows.shape)
        return dense.permute(1, 2, 0)[:, None]


class Base(nn.Module):
    """A U-Net with the two modules above in its middle."""

    def __init__(self, n_in: int, n: int, n_bins: int, n_hidden: int) -> None:
        super().__init__()
        self.enc1 = Convolution(n_in, n)
        self.enc2 = Encoder(n, 2 * n)
        self.enc3 = Encoder(2 * n, 4 * n)
        self.enc4 = Encoder(4 * n, 6 * n)
        self.enc5 = Encoder(6 * n, 8 * n)
        self.aspp = Surroundings(8 * n)
        self.dec4 = Decoder(14 * n, 6 * n)
        self.dec3 = Decoder(10 * n, 4 * n)
        self.dec2 = Decoder(6 * n, 2 * n)
        self.lstm_dec2 = Recurrent(2 * n, n_bins // 2, n_hidden)
        self.dec1 = Decoder(3 * n + 1, n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        e1 = self.enc1(x)
        e2 = self.enc2(e1)
        e3 = self.enc3(e2)
        e4 = self.enc4(e3)
        y = self.aspp(self.enc5(e4))
        y = self.dec2(self.dec3(self.dec4(y, e4), e3), e2)
        z: torch.Tensor = self.dec1(torch.cat([y, self.lstm_dec2(y)], dim=1), e1)
        return z


class CascadedNet(nn.Module):
    """Low and high half, both again with what was found, then all together: a mask.

    Parameters
    ----------
    options : CascadedOptions
    used : sequence of int
        Of 0, what the mask lets through, and 1, what it does not.
    """

    def __init__(self, options: CascadedOptions, used: Sequence[int]) -> None:
        super().__init__()
        self.used = list(used)
        self.spectrum = Spectrum(options.n_fft, options.hop_length)
        self.n_bins = options.n_fft // 2
        n, hidden, half = options.nout, options.nout_lstm, self.n_bins // 2
        self.stg1_low_band_net = nn.Sequential(
            Base(2, n // 2, half, hidden), Convolution(n // 2, n // 4, 1)
        )
        self.stg1_high_band_net = Base(2, n // 4, half, hidden // 2)
        self.stg2_low_band_net = nn.Sequential(
            Base(n // 4 + 2, n, half, hidden), Convolution(n, n // 2, 1)
        )
        self.stg2_high_band_net = Base(n // 4 + 2, n // 2, half, hidden // 2)
        self.stg3_full_band_net = Base(3 * n // 4 + 2, n, self.n_bins, hidden)
        self.out = nn.Conv2d(n, 2, 1, bias=False)
        # Only training uses it; it is in the checkpoints.
        self.aux_out = nn.Conv2d(3 * n // 4, 2, 1, bias=False)

    def forward(self, mixtures: torch.Tensor) -> torch.Tensor:
        """(batch, 2, n) -> (batch, used stems, 2, n)."""
        spectra = self.spectrum.analyse(mixtures)
        frames = spectra.shape[-1]
        missing = -frames % _SHRINKAGE
        magnitudes = functional.pad(spectra.abs(), (_CONTEXT, _CONTEXT + missing))
        loudest = magnitudes.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-8)
        mask = self.mask(magnitudes / loudest)[..., _CONTEXT : _CONTEXT + frames]
        both = torch.stack([spectra * mask, spectra * (1 - mask)], dim=1)
        return self.spectrum.synthesise(both[:, self.used], mixtures.shape[-1])

    def mask(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Magnitudes of at most 1 to a mask: (batch, 2, n_fft / 2 + 1, frames) -> the same."""
        x = magnitudes[:, :, : self.n_bins]
        low, high = x.chunk(2, dim=2)
        low1, high1 = self.stg1_low_band_net(low), self.stg1_high_band_net(high)
        low2 = self.stg2_low_band_net(torch.cat([low, low1], dim=1))
        high2 = self.stg2_high_band_net(torch.cat([high, high1], dim=1))
        found = [torch.cat(pair, dim=2) for pair in ((low1, high1), (low2, high2))]
        mask = torch.sigmoid(self.out(self.stg3_full_band_net(torch.cat([x, *found], dim=1))))
        return functional.pad(mask, (0, 0, 0, 1), mode="replicate")


@dataclass(frozen=True, kw_only=True)
class CascadedOptions:
    """What tells the VR models of one band apart, by their own names."""

    n_fft: int = 2048
    hop_length: int = 1024
    nout: int = 32
    nout_lstm: int = 128
    num_stems: int = 2

    def network(self, used: Sequence[int]) -> nn.Module:
        return CascadedNet(self, used)
