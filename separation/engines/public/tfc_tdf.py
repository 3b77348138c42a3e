"""MDX23C: a U-Net of convolutions and of dense layers along frequency (TFC-TDF, third version).

Modules are named as in the published checkpoints.

References
----------
Kim, Lee, Jung: Sound Demixing Challenge 2023 Music Demixing Track Technical Report: TFC-TDF-UNet
v3, 2023, https://arxiv.org/abs/2306.09382
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from separation.engines.public.spectrum import Spectrum
from separation.errors import InvalidRequest


class Block(nn.Module):
    """Convolutions around dense layers along frequency, and a way past all of them."""

    def __init__(
        self, n_in: int, n_out: int, n_bins: int, bottleneck: int, options: MDX23COptions
    ) -> None:
        super().__init__()
        norm, act = options.norm_layer, options.activation
        narrow = n_bins // bottleneck
        self.tfc1 = nn.Sequential(
            norm(n_in), act(), nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        )
        self.tdf = nn.Sequential(
            norm(n_out),
            act(),
            nn.Linear(n_bins, narrow, bias=False),
            norm(n_out),
            act(),
            nn.Linear(narrow, n_bins, bias=False),
        )
        self.tfc2 = nn.Sequential(
            norm(n_out), act(), nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        )
        self.shortcut = nn.Conv2d(n_in, n_out, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.tfc1(x)
        z: torch.Tensor = self.tfc2(y + self.tdf(y)) + self.shortcut(x)
        return z


class Blocks(nn.Module):
    def __init__(self, n_in: int, n_out: int, n_bins: int, options: MDX23COptions) -> None:
        super().__init__()
        n_inputs = [n_in, *[n_out] * (options.num_blocks_per_scale - 1)]
        self.blocks = nn.ModuleList(
            Block(n, n_out, n_bins, options.bottleneck_factor, options) for n in n_inputs
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class Scale(nn.Module):
    """A step to another resolution: `convolution` has a stride of its kernel's size."""

    def __init__(self, n_in: int, convolution: nn.Module, options: MDX23COptions) -> None:
        super().__init__()
        self.conv = nn.Sequential(options.norm_layer(n_in), options.activation(), convolution)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        return y


class Encoder(nn.Module):
    def __init__(self, n: int, n_bins: int, options: MDX23COptions) -> None:
        super().__init__()
        scale = (options.scale[0], options.scale[1])
        narrower = nn.Conv2d(n, n + options.growth, scale, stride=scale, bias=False)
        self.tfc_tdf = Blocks(n, n, n_bins, options)
        self.downscale = Scale(n, narrower, options)


class Decoder(nn.Module):
    def __init__(self, n: int, n_bins: int, options: MDX23COptions) -> None:
        super().__init__()
        scale = (options.scale[0], options.scale[1])
        wider = nn.ConvTranspose2d(n + options.growth, n, scale, stride=scale, bias=False)
        self.upscale = Scale(n + options.growth, wider, options)
        self.tfc_tdf = Blocks(2 * n, n, n_bins, options)


class MDX23C(nn.Module):
    """The network from sound to stems.

    Parameters
    ----------
    options : MDX23COptions
    used : sequence of int
        The stems of the checkpoint that are wanted.
    """

    def __init__(self, options: MDX23COptions, used: Sequence[int]) -> None:
        super().__init__()
        self.options, self.used = options, list(used)
        self.spectrum = Spectrum(options.n_fft, options.hop_length)
        n_parts, n = 4 * options.num_subbands, options.num_channels  # 2 channels, each complex
        height = options.dim_f // options.num_subbands
        sizes = [
            (n + level * options.growth, height // options.scale[1] ** level)
            for level in range(options.num_scales + 1)
        ]
        self.first_conv = nn.Conv2d(n_parts, n, 1, bias=False)
        self.encoder_blocks = nn.ModuleList(Encoder(*size, options) for size in sizes[:-1])
        self.bottleneck_block = Blocks(sizes[-1][0], *sizes[-1], options)
        self.decoder_blocks = nn.ModuleList(
            Decoder(*size, options) for size in reversed(sizes[:-1])
        )
        self.final_conv = nn.Sequential(
            nn.Conv2d(n + n_parts, n, 1, bias=False),
            options.activation(),
            nn.Conv2d(n, options.num_stems * n_parts, 1, bias=False),
        )

    def forward(self, mixtures: torch.Tensor) -> torch.Tensor:
        """(batch, 2, n) -> (batch, used stems, 2, n)."""
        n_samples = mixtures.shape[-1]
        padded = functional.pad(mixtures, (0, self._missing(n_samples)))
        spectra = self.spectrum.analyse(padded)[:, :, : self.options.dim_f]
        batch, _, dim_f, frames = spectra.shape
        parts = torch.view_as_real(spectra).permute(0, 1, 4, 2, 3)  # (batch, 2, 2, dim_f, frames)
        x = parts.reshape(batch, 4 * self.options.num_subbands, -1, frames)
        y = self._inner(x).view(batch, self.options.num_stems, 2, 2, dim_f, frames)[:, self.used]
        estimates = torch.view_as_complex(y.permute(0, 1, 2, 4, 5, 3).contiguous())
        above = self.spectrum.n_bins - dim_f
        whole = functional.pad(estimates, (0, 0, 0, above))
        return self.spectrum.synthesise(whole, padded.shape[-1])[..., :n_samples]

    def _missing(self, n_samples: int) -> int:
        """Return how many samples are missing to a number of frames that can be halved enough."""
        unit: int = self.options.scale[0] ** self.options.num_scales
        frames = n_samples // self.options.hop_length + 1
        wanted = -(-frames // unit) * unit
        return max(0, (wanted - 1) * self.options.hop_length - n_samples)

    def _inner(self, mixture: torch.Tensor) -> torch.Tensor:
        """(batch, parts, bins, frames) -> (batch, stems * parts, bins, frames)."""
        first = self.first_conv(mixture)
        x = first.transpose(-1, -2)
        skips = []
        for block in self.encoder_blocks:
            encoder = cast(Encoder, block)
            x = encoder.tfc_tdf(x)
            skips.append(x)
            x = encoder.downscale(x)
        x = self.bottleneck_block(x)
        for block in self.decoder_blocks:
            decoder = cast(Decoder, block)
            x = torch.cat([decoder.upscale(x), skips.pop()], dim=1)
            x = decoder.tfc_tdf(x)
        x = x.transpose(-1, -2) * first
        y: torch.Tensor = self.final_conv(torch.cat([mixture, x], dim=1))
        return y


@dataclass(frozen=True, kw_only=True)
class MDX23COptions:
    """The `audio` and `model` parts of a community configuration, by their own names."""

    num_stems: int
    n_fft: int
    hop_length: int
    dim_f: int
    num_subbands: int
    num_scales: int
    scale: Sequence[int]
    num_blocks_per_scale: int
    num_channels: int
    growth: int
    bottleneck_factor: int
    norm: str
    act: str

    def network(self, used: Sequence[int]) -> nn.Module:
        return MDX23C(self, used)

    def norm_layer(self, n: int) -> nn.Module:
        if self.norm == "InstanceNorm":
            return nn.InstanceNorm2d(n, affine=True)
        if self.norm == "BatchNorm":
            return nn.BatchNorm2d(n)
        if self.norm.startswith("GroupNorm"):
            return nn.GroupNorm(int(self.norm.removeprefix("GroupNorm")), n)
        raise InvalidRequest(f"MDX23C has no normalisation '{self.norm}'.")

    def activation(self) -> nn.Module:
        kinds: dict[str, Any] = {"gelu": nn.GELU, "relu": nn.ReLU}
        if self.act in kinds:
            module: nn.Module = kinds[self.act]()
            return module
        if self.act.startswith("elu"):
            return nn.ELU(float(self.act.removeprefix("elu")))
        raise InvalidRequest(f"MDX23C has no activation '{self.act}'.")
