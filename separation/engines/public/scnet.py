"""SCNet: bands of a spectrogram, the higher the more compressed, and two recurrent paths.

Modules are named as in the published checkpoints, which take spectra as they are: the paper's
own program normalises them first.

References
----------
Tong et al.: SCNet: Sparse Compression Network for Music Source Separation, ICASSP 2024,
https://arxiv.org/abs/2401.13276
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from separation.engines.public.spectrum import Spectrum


class Convolutions(nn.Module):
    """Residual convolutions along time."""

    def __init__(self, n: int, depth: int, options: SCNetOptions) -> None:
        super().__init__()
        hidden, kernel = n // options.compress, options.conv_kernel
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, n),
                nn.Conv1d(n, 2 * hidden, kernel, padding=kernel // 2),
                nn.GLU(dim=1),
                nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden),
                nn.GroupNorm(1, hidden),
                nn.SiLU(),
                nn.Conv1d(hidden, n, 1),
            )
            for _ in range(depth)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Each row by itself: (batch, n, rows, frames) -> the same."""
        batch, n, rows, frames = x.shape
        y = x.transpose(1, 2).reshape(batch * rows, n, frames)
        for layer in self.layers:
            y = y + layer(y)
        return y.view(batch, rows, n, frames).transpose(1, 2)


class Compress(nn.Module):
    """Each band through a convolution with its own stride along frequency."""

    def __init__(self, n_in: int, n_out: int, options: SCNetOptions) -> None:
        super().__init__()
        self.options = options
        pairs = zip(options.band_kernel, options.band_stride, strict=True)
        self.convs = nn.ModuleList(
            nn.Conv2d(n_in, n_out, (kernel, 1), (stride, 1)) for kernel, stride in pairs
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(batch, n_in, rows, frames) -> for each band (batch, n_out, fewer rows, frames)."""
        bands = torch.split(x, self.options.heights(x.shape[2]), dim=2)
        return [self._compressed(index, band) for index, band in enumerate(bands)]

    def _compressed(self, index: int, band: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.options.band_kernel[index], self.options.band_stride[index]
        missing = kernel - 1 if stride == 1 else -band.shape[2] % stride
        before = missing // 2
        y: torch.Tensor = self.convs[index](functional.pad(band, (0, 0, before, missing - before)))
        return y


class Encoder(nn.Module):
    def __init__(self, n_in: int, n_out: int, options: SCNetOptions) -> None:
        super().__init__()
        self.SDlayer = Compress(n_in, n_out, options)
        self.conv_modules = nn.ModuleList(
            Convolutions(n_out, depth, options) for depth in options.conv_depths
        )
        self.globalconv = nn.Conv2d(n_out, n_out, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        """Return what goes on, what goes past, and the heights of the compressed bands."""
        pairs = zip(self.conv_modules, self.SDlayer(x), strict=True)
        bands = [functional.gelu(convolve(band)) for convolve, band in pairs]
        joined = torch.cat(bands, dim=2)
        return self.globalconv(joined), joined, [band.shape[2] for band in bands]


class Fusion(nn.Module):
    """What went past an encoder, added again."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * n, 2 * n, 3, padding=1)

    def forward(self, x: torch.Tensor, past: torch.Tensor) -> torch.Tensor:
        return functional.glu(self.conv((x + past).repeat(1, 2, 1, 1)), dim=1)


class Expand(nn.Module):
    """The inverse of `Compress`."""

    def __init__(self, n_in: int, n_out: int, options: SCNetOptions) -> None:
        super().__init__()
        pairs = zip(options.band_kernel, options.band_stride, strict=True)
        self.convtrs = nn.ModuleList(
            nn.ConvTranspose2d(n_in, n_out, (kernel, 1), (stride, 1)) for kernel, stride in pairs
        )

    def forward(
        self, x: torch.Tensor, compressed: Sequence[int], heights: Sequence[int]
    ) -> torch.Tensor:
        """(batch, n_in, sum of compressed, frames) -> (batch, n_out, sum of heights, frames)."""
        bands = []
        for expand, band, height in zip(
            self.convtrs, torch.split(x, list(compressed), dim=2), heights, strict=True
        ):
            expanded = expand(band)
            start = (expanded.shape[2] - height) // 2
            bands.append(expanded[:, :, start : start + height])
        return torch.cat(bands, dim=2)


class DualPath(nn.Module):
    """Recurrent layers along frequency, then along time."""

    def __init__(self, n: int, hidden: int) -> None:
        super().__init__()
        self.lstm_layers = nn.ModuleList(
            nn.LSTM(n, hidden, batch_first=True, bidirectional=True) for _ in range(2)
        )
        self.linear_layers = nn.ModuleList(nn.Linear(2 * hidden, n) for _ in range(2))
        self.norm_layers = nn.ModuleList(nn.GroupNorm(1, n) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, n, rows, frames) -> the same."""
        along_rows = self._path(0, x.transpose(2, 3)).transpose(2, 3)
        return self._path(1, along_rows)

    def _path(self, index: int, x: torch.Tensor) -> torch.Tensor:
        batch, n, others, steps = x.shape
        y = self.norm_layers[index](x).permute(0, 2, 3, 1).reshape(batch * others, steps, n)
        y = self.linear_layers[index](self.lstm_layers[index](y)[0])
        changed: torch.Tensor = x + y.view(batch, others, steps, n).permute(0, 3, 1, 2)
        return changed


class Separation(nn.Module):
    """Dual paths, by turns on frames and on their spectrum along time."""

    def __init__(self, n: int, options: SCNetOptions) -> None:
        super().__init__()
        widths = [n * (1 + index % 2) for index in range(options.num_dplayer)]
        self.dp_modules = nn.ModuleList(DualPath(width, width * options.expand) for width in widths)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, n, rows, frames) -> the same; the number of frames is even."""
        for index, path in enumerate(self.dp_modules):
            x = path(x)
            if index % 2 == 0:
                spectrum = torch.fft.rfft(x, dim=3, norm="ortho")
                x = torch.cat([spectrum.real, spectrum.imag], dim=1)
            else:
                x = torch.fft.irfft(torch.complex(*x.chunk(2, dim=1)), dim=3, norm="ortho")
        return x


class SCNet(nn.Module):
    """The network from sound to stems.

    Parameters
    ----------
    options : SCNetOptions
    used : sequence of int
        The stems of the checkpoint that are wanted.
    """

    def __init__(self, options: SCNetOptions, used: Sequence[int]) -> None:
        super().__init__()
        self.options, self.used = options, list(used)
        # Published checkpoints were trained with a rectangular window: none was named.
        self.spectrum = Spectrum(
            options.nfft,
            options.hop_size,
            is_normalized=options.normalized,
            window=torch.ones(options.nfft, device="cpu"),
        )
        dims = list(options.dims)
        last = [dims[0] * options.num_stems, *dims[1:]]
        self.encoder = nn.ModuleList(
            Encoder(n_in, n_out, options) for n_in, n_out in zip(dims[:-1], dims[1:], strict=True)
        )
        self.decoder = nn.ModuleList(
            nn.ModuleList([Fusion(n), Expand(n, n_out, options)])
            for n_out, n in reversed(list(zip(last[:-1], dims[1:], strict=True)))
        )
        self.separation_net = Separation(dims[-1], options)

    def forward(self, mixtures: torch.Tensor) -> torch.Tensor:
        """(batch, 2, n) -> (batch, used stems, 2, n)."""
        n_samples = mixtures.shape[-1]
        spectra = self.spectrum.analyse(functional.pad(mixtures, (0, self._missing(n_samples))))
        batch, _, n_bins, frames = spectra.shape
        parts = torch.view_as_real(spectra).permute(0, 1, 4, 2, 3)
        y = self._inner(parts.reshape(batch, 4, n_bins, frames))
        y = y.view(batch, self.options.num_stems, 2, 2, n_bins, frames)[:, self.used]
        estimates = torch.view_as_complex(y.permute(0, 1, 2, 4, 5, 3).contiguous())
        return self.spectrum.synthesise(estimates, n_samples)

    def _missing(self, n_samples: int) -> int:
        """Return how many samples are missing to an even number of frames; at least one is."""
        hop = self.options.hop_size
        missing = hop - n_samples % hop
        return missing if (n_samples + missing) // hop % 2 else missing + hop

    def _inner(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, 4, bins, frames) -> (batch, 4 * stems, bins, frames)."""
        past = []
        for encode in self.encoder:
            heights = self.options.heights(x.shape[2])
            x, skip, compressed = encode(x)
            past.append((skip, compressed, heights))
        x = self.separation_net(x)
        for decoder in self.decoder:
            fuse, expand = cast(nn.ModuleList, decoder)
            skip, compressed, heights = past.pop()
            x = expand(fuse(x, skip), compressed, heights)
        return x


@dataclass(frozen=True, kw_only=True)
class SCNetOptions:
    """The `model` part of a community configuration, by its own names."""

    num_stems: int
    dims: Sequence[int]
    band_SR: Sequence[float]
    band_stride: Sequence[int]
    band_kernel: Sequence[int]
    conv_depths: Sequence[int]
    num_dplayer: int
    nfft: int = 4096
    hop_size: int = 1024
    normalized: bool = True
    compress: int = 4
    conv_kernel: int = 3
    expand: int = 1

    def network(self, used: Sequence[int]) -> nn.Module:
        return SCNet(self, used)

    def heights(self, rows: int) -> list[int]:
        """Return how many rows of a spectrogram each of the three bands has."""
        low = math.ceil(rows * self.band_SR[0])
        middle = math.ceil(rows * (self.band_SR[0] + self.band_SR[1]))
        return [low, middle - low, rows - middle]
