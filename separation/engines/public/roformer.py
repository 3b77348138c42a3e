"""BS-RoFormer and Mel-Band RoFormer: attention along time and along bands, and masks.

Modules are named as in the published checkpoints, which were trained with what
`lucidrains/BS-RoFormer` was in 2023 and 2024: without residual streams, without value residuals.

References
----------
Lu, Wang, Kong, Hung: Music Source Separation with Band-Split RoPE Transformer, ICASSP 2024,
https://arxiv.org/abs/2309.02612
Wang, Lu, Won: Mel-Band RoFormer for Music Source Separation, 2023,
https://arxiv.org/abs/2310.01809
Su et al.: RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021,
https://arxiv.org/abs/2104.09864
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from separation.engines.public.bands import SPLIT, Indices, mel_bands, split_bands
from separation.engines.public.spectrum import Spectrum

_CHANNELS = 2


class RMSNorm(nn.Module):
    """Vectors at length sqrt(width), times a gain for each component."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = width**0.5
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = functional.normalize(x, dim=-1) * self.scale * self.gamma
        return y


class Rotary(nn.Module):
    """Turns neighbouring components of a vector by angles that grow with its place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.freqs = nn.Parameter(torch.empty(width // 2), requires_grad=False)

    def forward(self, n: int) -> torch.Tensor:
        """Return cosines and sines, (2, n, width / 2)."""
        places = torch.arange(n, device=self.freqs.device, dtype=self.freqs.dtype)
        angles = torch.outer(places, self.freqs)
        return torch.stack([angles.cos(), angles.sin()])


def _turned(x: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Turn pairs of components: (…, n, width), (2, n, width / 2) -> (…, n, width)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = turn
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2)


class Attention(nn.Module):
    """Self-attention with places turned in and a gate for each head."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        inner = heads * head_width
        self.heads = heads
        self.rotary_embed = Rotary(head_width)
        self.norm = RMSNorm(width)
        self.to_qkv = nn.Linear(width, 3 * inner, bias=False)
        self.to_gates = nn.Linear(width, heads)
        self.to_out = nn.Sequential(nn.Linear(inner, width, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, n, width) -> (batch, n, width)."""
        x = self.norm(x)
        query, key, value = (
            self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        )  # (batch, heads, n, head_width) each
        turn = self.rotary_embed(x.shape[1])
        attended = functional.scaled_dot_product_attention(
            _turned(query, turn), _turned(key, turn), value
        )
        gates = self.to_gates(x).transpose(1, 2)[..., None].sigmoid()  # (batch, heads, n, 1)
        y: torch.Tensor = self.to_out((attended * gates).transpose(1, 2).flatten(2))
        return y


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        # Where training had dropout, so that the numbers in the tensors' names are the same.
        self.net = nn.Sequential(
            RMSNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Identity(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.net(x)
        return y


class Transformer(nn.Module):
    """Layers of attention and feed-forward, along one axis."""

    def __init__(
        self, width: int, depth: int, heads: int, head_width: int, *, has_norm: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([Attention(width, heads, head_width), FeedForward(width)])
            for _ in range(depth)
        )
        self.norm = RMSNorm(width) if has_norm else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            attend, widen = cast(nn.ModuleList, layer)
            x = x + attend(x)
            x = x + widen(x)
        y: torch.Tensor = self.norm(x)
        return y


class BandSplit(nn.Module):
    """One vector for each band and frame."""

    def __init__(self, width: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.to_features = nn.ModuleList(
            nn.Sequential(RMSNorm(size), nn.Linear(size, width)) for size in sizes
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, frames, sum of sizes) -> (batch, frames, bands, width)."""
        parts = torch.split(x, self.sizes, dim=-1)
        pairs = zip(self.to_features, parts, strict=True)
        return torch.stack([feature(part) for feature, part in pairs], dim=-2)


class MaskEstimator(nn.Module):
    """One stem's mask, band by band."""

    def __init__(self, width: int, sizes: Sequence[int], n_hidden: int, hidden_width: int) -> None:
        super().__init__()
        self.to_freqs = nn.ModuleList(
            nn.Sequential(_perceptron(width, n_hidden, hidden_width, 2 * size), nn.GLU(dim=-1))
            for size in sizes
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, frames, bands, width) -> (batch, frames, sum of sizes)."""
        pairs = zip(self.to_freqs, x.unbind(dim=-2), strict=True)
        return torch.cat([estimate(band) for estimate, band in pairs], dim=-1)


def _perceptron(width: int, n_hidden: int, hidden_width: int, n_out: int) -> nn.Sequential:
    widths = [width, *[hidden_width] * n_hidden, n_out]
    layers: list[nn.Module] = []
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


class RoFormer(nn.Module):
    """What both kinds have in common; they differ in their bands and in three details.

    Parameters
    ----------
    bands : sequence of int arrays
        The bins of each band; all bins are in one at least.
    spectrum : Spectrum
    used : sequence of int
        The stems of the checkpoint whose masks are wanted; only they have weights here.
    width, depth, heads, head_width : int
        Of the transformers.
    time_depth, band_depth : int
        Layers of attention along time, and along bands, in each of `depth` blocks.
    mask_hidden, mask_width : int
        Hidden layers of a mask estimator, and their width.
    has_inner_norms : bool
        Whether each transformer ends with a normalisation, or the last one only.
    """

    bins: torch.Tensor
    n_bands_of_bin: torch.Tensor

    def __init__(
        self,
        bands: Sequence[Indices],
        spectrum: Spectrum,
        *,
        used: Sequence[int],
        width: int,
        depth: int,
        heads: int,
        head_width: int,
        time_depth: int,
        band_depth: int,
        mask_hidden: int,
        mask_width: int,
        has_inner_norms: bool,
    ) -> None:
        super().__init__()
        self.spectrum = spectrum
        self.layers = nn.ModuleList(
            nn.ModuleList(
                Transformer(width, n, heads, head_width, has_norm=has_inner_norms)
                for n in (time_depth, band_depth)
            )
            for _ in range(depth)
        )
        self.final_norm = nn.Identity() if has_inner_norms else RMSNorm(width)
        sizes = [2 * _CHANNELS * len(band) for band in bands]
        self.band_split = BandSplit(width, sizes)
        self.mask_estimators = nn.ModuleDict(
            {str(index): MaskEstimator(width, sizes, mask_hidden, mask_width) for index in used}
        )
        bins = torch.cat([torch.from_numpy(band) for band in bands])
        counts = torch.bincount(bins, minlength=spectrum.n_bins).float()
        self.register_buffer("bins", bins, persistent=False)
        self.register_buffer("n_bands_of_bin", counts[:, None], persistent=False)

    def forward(self, mixtures: torch.Tensor) -> torch.Tensor:
        """(batch, 2, n) -> (batch, used stems, 2, n)."""
        spectra = self.spectrum.analyse(mixtures)  # (batch, 2, n_bins, frames)
        # Channels lie within a bin, real and imaginary parts within a channel.
        picked = torch.view_as_real(spectra[:, :, self.bins]).permute(0, 3, 2, 1, 4)
        x = self.band_split(picked.flatten(2))  # (batch, frames, bands, width)
        batch, frames, n_bands, width = x.shape
        for block in self.layers:
            along_time, along_bands = cast(nn.ModuleList, block)
            x = x.transpose(1, 2).reshape(batch * n_bands, frames, width)
            x = along_time(x).view(batch, n_bands, frames, width).transpose(1, 2)
            x = along_bands(x.reshape(batch * frames, n_bands, width))
            x = x.view(batch, frames, n_bands, width)
        x = self.final_norm(x)
        stems = [self._stem(estimate(x), spectra) for estimate in self.mask_estimators.values()]
        return self.spectrum.synthesise(torch.stack(stems, dim=1), mixtures.shape[-1])

    def _stem(self, mask: torch.Tensor, spectra: torch.Tensor) -> torch.Tensor:
        """Apply a mask, the mean of those of the bands that share a bin."""
        batch, frames, _ = mask.shape
        parts = mask.view(batch, frames, len(self.bins), _CHANNELS, 2).permute(0, 3, 2, 1, 4)
        whole = torch.zeros(*spectra.shape, 2, dtype=mask.dtype, device=mask.device)
        whole.index_add_(2, self.bins, parts)
        return spectra * torch.view_as_complex(whole) / self.n_bands_of_bin


@dataclass(frozen=True, kw_only=True)
class _Options:
    """The `model` part of a community configuration, by its own names."""

    dim: int
    depth: int
    num_stems: int
    stft_hop_length: int
    stft_n_fft: int = 2048
    time_transformer_depth: int = 1
    freq_transformer_depth: int = 1
    dim_head: int = 64
    heads: int = 8
    mask_estimator_depth: int = 2
    mlp_expansion_factor: int = 4

    def build(
        self, bands: Sequence[Indices], used: Sequence[int], *, mask_hidden: int, is_mel: bool
    ) -> RoFormer:
        return RoFormer(
            bands,
            Spectrum(self.stft_n_fft, self.stft_hop_length),
            used=used,
            width=self.dim,
            depth=self.depth,
            heads=self.heads,
            head_width=self.dim_head,
            time_depth=self.time_transformer_depth,
            band_depth=self.freq_transformer_depth,
            mask_hidden=mask_hidden,
            mask_width=self.dim * self.mlp_expansion_factor,
            has_inner_norms=is_mel,
        )


@dataclass(frozen=True, kw_only=True)
class BSOptions(_Options):
    """Of a BS-RoFormer; `freqs_per_bands` are the bins of each band."""

    freqs_per_bands: Sequence[int] = SPLIT

    def network(self, used: Sequence[int]) -> nn.Module:
        bands = split_bands(self.freqs_per_bands)
        # Here the last layer counts as one of the depth, in Mel-Band RoFormer it does not.
        return self.build(bands, used, mask_hidden=self.mask_estimator_depth - 1, is_mel=False)


@dataclass(frozen=True, kw_only=True)
class MelOptions(_Options):
    """Of a Mel-Band RoFormer; `sample_rate` (Hz) is that of its bands."""

    num_bands: int = 60
    sample_rate: int = 44100

    def network(self, used: Sequence[int]) -> nn.Module:
        bands = mel_bands(self.num_bands, self.stft_n_fft, self.sample_rate)
        return self.build(bands, used, mask_hidden=self.mask_estimator_depth, is_mel=True)
