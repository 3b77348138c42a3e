"""The network of HTDemucs as one traceable module, between the two transforms.

The same layers and weights as `demucs.htdemucs.HTDemucs`, laid out for speed: everything stays in
one four-dimensional layout (the waveform branch is an image of one row), normalisation per
frequency row is written out, gates are two convolutions, attention is one fused operation, and
positions are constants. On a CPU with bfloat16 this takes three quarters of the time that the
original's order of operations takes with the same kernels (docs/performance.md).

References
----------
Rouard, Massa, Défossez: Hybrid Transformers for Music Source Separation, ICASSP 2023,
https://arxiv.org/abs/2211.08553
"""

from __future__ import annotations

from typing import Any

import torch
from demucs import transformer
from torch import nn
from torch.nn import functional

from separation.engines.demucs.spectrum import N_BINS, n_frames

# Added to every deviation before dividing, as HTDemucs does.
_EPSILON = 1e-5


class HTDemucsCore(nn.Module):
    """HTDemucs without its transforms.

    Parameters
    ----------
    network : demucs.htdemucs.HTDemucs
        With its weights, in evaluation mode; they are shared, not copied, where possible.
    segment_samples : int
        The only length that the module takes.
    inner_dtype : dtype, optional
        What PyTorch rounds all but the outermost layers to, as `torch.bfloat16`.
    """

    def __init__(
        self, network: Any, segment_samples: int, inner_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.inner_dtype = inner_dtype
        self.encoder = nn.ModuleList(_Encoder(layer) for layer in network.encoder)
        self.tencoder = nn.ModuleList(_Encoder(layer) for layer in network.tencoder)
        self.decoder = nn.ModuleList(_Decoder(layer) for layer in network.decoder)
        self.tdecoder = nn.ModuleList(_Decoder(layer) for layer in network.tdecoder)
        self.transformer = _Transformer(network, segment_samples)
        rows = torch.arange(N_BINS // network.encoder[0].stride)
        embedding = network.freq_emb(rows).t()[None, :, :, None] * network.freq_emb_scale
        self.register_buffer("embedding", embedding.detach())  # (1, channels, rows, 1)

    def forward(
        self, spectrum: torch.Tensor, waveform: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Estimate the stems' spectra and what is added to them as waveforms.

        Parameters
        ----------
        spectrum : (batch, 4, bins, frames)
            Real and imaginary part of the left, then of the right channel.
        waveform : (batch, 2, segment_samples)

        Returns
        -------
        spectra : (batch, bins, frames, 4 * stems), real and imaginary parts adjacent
        waveforms : (batch, 2 * stems, segment_samples)
        """
        x, mean, deviation = _normalised(spectrum)
        xt, mean_t, deviation_t = _normalised(waveform[:, :, None])
        outer, outer_t = self.encoder[0](x) + self.embedding, self.tencoder[0](xt)
        if self.inner_dtype is None:
            x, xt = self.inner(outer, outer_t)
        else:
            with torch.autocast(x.device.type, self.inner_dtype):
                x, xt = self.inner(outer, outer_t)
        x = self.decoder[-1](x.to(outer.dtype), outer, None) * deviation + mean
        xt = self.tdecoder[-1](xt.to(outer.dtype), outer_t, waveform.shape[-1])
        return x.permute(0, 2, 3, 1), (xt * deviation_t + mean_t)[:, :, 0]

    def inner(self, x: torch.Tensor, xt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Go through all but the outermost layers; these may run in bfloat16.

        Rounding the outermost layers costs 10 dB of fidelity, all others together hardly any.
        """
        skips, lengths = [], []
        for encode, encode_t in zip(self.encoder[1:], self.tencoder[1:], strict=True):
            lengths.append(xt.shape[-1])
            x, xt = encode(x), encode_t(xt)
            skips.append((x, xt))
        x, xt = self.transformer(x, xt)
        for decode, decode_t in zip(self.decoder[:-1], self.tdecoder[:-1], strict=True):
            skip, skip_t = skips.pop()
            x, xt = decode(x, skip, None), decode_t(xt, skip_t, lengths.pop())
        return x, xt


def _normalised(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (batch, …) with mean 0 and deviation 1, and both as they were."""
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    deviation = x.std(dim=(1, 2, 3), keepdim=True)
    return (x - mean) / (_EPSILON + deviation), mean, deviation


class Convolution(nn.Module):
    """A convolution in one or two dimensions, always as one in two.

    `half` takes the first or the second half of its output channels.
    """

    def __init__(self, layer: Any, half: int | None = None) -> None:
        super().__init__()
        weight, bias = layer.weight.detach(), layer.bias.detach()
        if half is not None:
            weight, bias = weight.chunk(2)[half], bias.chunk(2)[half]
        is_flat = weight.dim() == 3
        self.weight = nn.Parameter(weight[:, :, None] if is_flat else weight, False)
        self.bias = nn.Parameter(bias, False)
        self.stride = (1, *layer.stride) if is_flat else layer.stride
        self.padding = (0, *layer.padding) if is_flat else layer.padding
        self.dilation = (1, *layer.dilation) if is_flat else layer.dilation
        self.is_transposed = isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.is_transposed:
            return functional.conv_transpose2d(x, self.weight, self.bias, self.stride)
        return functional.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation
        )


class _Gate(nn.Module):
    """A convolution and its gated linear unit."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.value, self.gate = Convolution(layer, 0), Convolution(layer, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.value(x) * torch.sigmoid(self.gate(x))
        return y


def _moments(x: torch.Tensor) -> torch.Tensor:
    """Return mean and mean square over channels and time, (2, batch, 1, rows, 1).

    For each frequency row by itself. Written out: with rows as a batch, everything would be
    transposed before and after.
    """
    moments = (x.mean(dim=(1, 3), keepdim=True), (x * x).mean(dim=(1, 3), keepdim=True))
    return torch.stack(moments)


def _inverse_deviation(mean: torch.Tensor, square: torch.Tensor, eps: float) -> torch.Tensor:
    return torch.rsqrt((square - mean * mean).clamp(min=0) + eps)


def _column(values: torch.Tensor) -> nn.Parameter:
    """(channels,) -> (channels, 1, 1)."""
    return nn.Parameter(values.detach()[:, None, None], False)


class _RowNorm(nn.Module):
    """Normalisation over channels and time, for each frequency row by itself."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = _column(layer.weight), _column(layer.bias), layer.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, square = _moments(x)
        scale = _inverse_deviation(mean, square, self.eps) * self.weight
        y: torch.Tensor = x * scale + (self.bias - mean * scale)
        return y


class _NormGate(nn.Module):
    """A convolution, normalisation over both halves of its channels, and a gated linear unit."""

    def __init__(self, layer: Any, norm: Any) -> None:
        super().__init__()
        self.value, self.gate = Convolution(layer, 0), Convolution(layer, 1)
        self.value_weight, self.gate_weight = map(_column, norm.weight.chunk(2))
        self.value_bias, self.gate_bias = map(_column, norm.bias.chunk(2))
        self.eps = norm.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value, gate = self.value(x), self.gate(x)
        mean, square = (_moments(value) + _moments(gate)) / 2
        scale = _inverse_deviation(mean, square, self.eps)
        value_scale, gate_scale = scale * self.value_weight, scale * self.gate_weight
        value = value * value_scale + (self.value_bias - mean * value_scale)
        y: torch.Tensor = value * torch.sigmoid(
            gate * gate_scale + (self.gate_bias - mean * gate_scale)
        )
        return y


class _Residual(nn.Module):
    """One residual block of a layer's `DConv`."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.narrow, self.norm = Convolution(block[0]), _RowNorm(block[1])
        self.widen, self.scale = _NormGate(block[3], block[4]), _column(block[6].scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.widen(functional.gelu(self.norm(self.narrow(x))))
        return x + self.scale * y


class _Encoder(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.stride = 1 if layer.freq else layer.stride
        self.conv, self.rewrite = Convolution(layer.conv), _Gate(layer.rewrite)
        self.residual = nn.Sequential(*(_Residual(block) for block in layer.dconv.layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, rows, n) -> (batch, more channels, rows / 4 or n / 4)."""
        missing = -x.shape[-1] % self.stride
        if missing:
            x = functional.pad(x, (0, missing))
        y: torch.Tensor = self.rewrite(self.residual(functional.gelu(self.conv(x))))
        return y


class _Decoder(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.pad, self.is_last = layer.pad, layer.last
        self.conv, self.rewrite = Convolution(layer.conv_tr), _Gate(layer.rewrite)
        self.residual = nn.Sequential(*(_Residual(block) for block in layer.dconv.layers))

    def forward(self, x: torch.Tensor, skip: torch.Tensor, length: int | None) -> torch.Tensor:
        """Undo an encoder; `length` is that of the waveform branch before it."""
        y: torch.Tensor = self.conv(self.residual(self.rewrite(x + skip)))
        if length is None:
            y = y[:, :, self.pad : -self.pad]
        else:
            y = y[..., self.pad : self.pad + length]
        return y if self.is_last else functional.gelu(y)


class _Transformer(nn.Module):
    """The cross-domain transformer, on tokens all the way."""

    def __init__(self, network: Any, segment_samples: int) -> None:
        super().__init__()
        source = network.crosstransformer
        self.up, self.up_t = network.channel_upsampler, network.channel_upsampler_t
        self.down, self.down_t = network.channel_downsampler, network.channel_downsampler_t
        self.norm, self.norm_t = source.norm_in, source.norm_in_t
        self.layers = nn.ModuleList(_Attention(layer) for layer in source.layers)
        self.layers_t = nn.ModuleList(_Attention(layer) for layer in source.layers_t)
        width, frames = self.up.out_channels, n_frames(segment_samples)
        rows, length = N_BINS, segment_samples
        for encode, encode_t in zip(network.encoder, network.tencoder, strict=True):
            rows, length = rows // encode.stride, -(-length // encode_t.stride)
        places, times = _positions(width, rows, frames, length, source.max_period)
        self.register_buffer("places", places.permute(0, 3, 2, 1).flatten(1, 2).contiguous())
        self.register_buffer("times", times.permute(1, 0, 2).contiguous())

    def forward(self, x: torch.Tensor, xt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batch, channels, rows, frames = x.shape
        x = x.permute(0, 3, 2, 1).reshape(batch, frames * rows, channels)
        xt = xt[:, :, 0].transpose(1, 2)  # (batch, times, channels)
        x = self.norm(_pointwise(self.up, x)) + self.places
        xt = self.norm_t(_pointwise(self.up_t, xt)) + self.times
        for layer, layer_t in zip(self.layers, self.layers_t, strict=True):
            x, xt = layer(x, xt), layer_t(xt, x)
        x = _pointwise(self.down, x).view(batch, frames, rows, channels).permute(0, 3, 2, 1)
        xt = _pointwise(self.down_t, xt).transpose(1, 2)[:, :, None]
        return x, xt


def _positions(width: int, rows: int, frames: int, length: int, max_period: float) -> Any:
    """Return what tells tokens of the spectrum and of the waveform where they are."""
    build: Any = transformer
    places = build.create_2d_sin_embedding(width, rows, frames, "cpu", max_period)
    times = build.create_sin_embedding(length, width, device="cpu", max_period=max_period)
    return places, times


def _pointwise(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """Apply a convolution of width 1 to tokens."""
    return functional.linear(x, layer.weight[:, :, 0], layer.bias)


class _Attention(nn.Module):
    """One layer of the transformer: tokens attend to themselves or to the other branch's."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer
        self.is_cross = hasattr(layer, "cross_attn")
        self.attention = layer.cross_attn if self.is_cross else layer.self_attn
        self.norm_before_widening = layer.norm3 if self.is_cross else layer.norm2

    def forward(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """(batch, tokens, width), (batch, other tokens, width) -> (batch, tokens, width)."""
        layer = self.layer
        asking = layer.norm1(x)
        answering = layer.norm2(other) if self.is_cross else asking
        x = x + layer.gamma_1(_attend(self.attention, asking, answering))
        widened = functional.gelu(layer.linear1(self.norm_before_widening(x)))
        y: torch.Tensor = layer.norm_out(x + layer.gamma_2(layer.linear2(widened)))
        return y


def _attend(attention: Any, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    batch, n_tokens, width = x.shape
    heads = attention.num_heads
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    query = functional.linear(x, weight[:width], bias[:width])
    pair = functional.linear(other, weight[width:], bias[width:])
    query = query.view(batch, n_tokens, heads, -1).transpose(1, 2)
    key, value = pair.view(batch, other.shape[1], 2, heads, -1).permute(2, 0, 3, 1, 4)
    y = functional.scaled_dot_product_attention(query, key, value)
    attended: torch.Tensor = attention.out_proj(y.transpose(1, 2).reshape(batch, n_tokens, width))
    return attended
