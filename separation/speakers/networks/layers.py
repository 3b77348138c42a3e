"""Both networks in PyTorch, from their papers; the tensors are named as `state` names them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# Of the band-pass filters: 25 ms, every 0.6 ms.
N_FILTERS = 80
FILTER_TAPS = 251
FILTER_STRIDE = 10
_CHANNELS = 60
_HIDDEN = 128
_LSTM_LAYERS = 4
N_CLASSES = 7

# Of the ResNet34: channels and blocks of its four stages.
_STAGES = ((32, 3), (64, 4), (128, 6), (256, 3))


class Segmentation(nn.Module):
    """Who of three speakers speaks when: SincNet, four bidirectional LSTM layers, a classifier.

    The filters of SincNet are taken as they are: what made them matters to training only.

    References
    ----------
    Ravanelli, Bengio: Speaker Recognition from Raw Waveform with SincNet, SLT 2018,
    https://arxiv.org/abs/1808.00158
    Bredin, Laurent: End-to-end speaker segmentation for overlap-aware resegmentation,
    Interspeech 2021, https://arxiv.org/abs/2104.04045
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm1d(1, affine=True)
        self.filters = nn.Conv1d(1, N_FILTERS, FILTER_TAPS, stride=FILTER_STRIDE, bias=False)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(n_in, _CHANNELS, 5) for n_in in (N_FILTERS, _CHANNELS)
        )
        self.norms = nn.ModuleList(
            nn.InstanceNorm1d(n, affine=True) for n in (N_FILTERS, _CHANNELS, _CHANNELS)
        )
        self.lstm = nn.LSTM(_CHANNELS, _HIDDEN, _LSTM_LAYERS, bidirectional=True, batch_first=True)
        self.linears = nn.ModuleList(nn.Linear(n, _HIDDEN) for n in (2 * _HIDDEN, _HIDDEN))
        self.classifier = nn.Linear(_HIDDEN, N_CLASSES)

    def forward(self, chunks: torch.Tensor) -> torch.Tensor:
        """(batch, samples) -> (batch, frames, 7) logarithms of probabilities."""
        x = self.filters(self.norm(chunks[:, None])).abs()  # (batch, 80, 15975)
        x = self._pooled(x, 0)  # (batch, 80, 5325)
        for level, convolution in enumerate(self.convolutions, start=1):
            x = self._pooled(convolution(x), level)  # (batch, 60, 1773), then (batch, 60, 589)
        x, _ = self.lstm(x.transpose(1, 2))  # (batch, 589, 256)
        for linear in self.linears:
            x = functional.leaky_relu(linear(x))  # (batch, 589, 128)
        return functional.log_softmax(self.classifier(x), dim=-1)

    def _pooled(self, x: torch.Tensor, level: int) -> torch.Tensor:
        return functional.leaky_relu(self.norms[level](functional.max_pool1d(x, 3)))


class Trunk(nn.Module):
    """A ResNet34 over filter banks, up to its pooling; normalisation is part of the convolutions.

    References
    ----------
    He et al.: Deep Residual Learning for Image Recognition, CVPR 2016,
    https://arxiv.org/abs/1512.03385
    Wang et al.: WeSpeaker: a research and production oriented speaker embedding learning
    toolkit, ICASSP 2023, https://arxiv.org/abs/2210.17016
    """

    def __init__(self) -> None:
        super().__init__()
        n_channels = _STAGES[0][0]
        self.stem = nn.Conv2d(1, n_channels, 3, padding=1)
        blocks = []
        for stage, (n_out, n_blocks) in enumerate(_STAGES):
            for index in range(n_blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(_Block(n_channels, n_out, stride))
                n_channels = n_out
        self.blocks = nn.ModuleList(blocks)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, frames, 80) -> (batch, ceil(frames / 8), 2560)."""
        x = functional.relu(self.stem(features.transpose(1, 2)[:, None]))  # (batch, 32, 80, frames)
        for block in self.blocks:
            x = block(x)
        return x.flatten(1, 2).transpose(1, 2)  # of (batch, 256, 10, frames / 8)


class _Block(nn.Module):
    """Two convolutions beside a way around them."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1)
        is_same = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if is_same else nn.Conv2d(n_in, n_out, 1, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner: torch.Tensor = self.second(functional.relu(self.first(x)))
        return functional.relu(inner + self.shortcut(x))
