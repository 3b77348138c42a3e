"""The network of our own child models: masks on bands of a spectrogram that add up to one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network looks like.

    Parameters
    ----------
    classes : sequence of str
        What the masks are for, in order.
    n_fft, hop : int
        Of the spectrogram, in samples.
    n_bands : int
        Divisible by `patch[0] * 2 ** (len(widths) - 1)`.
    top_hz : float
        Above it the highest band's mask holds.
    patch : (int, int)
        How many bands and frames become one place of the first level.
    widths : sequence of int
        Channels of each level; each has half the bands of the one before.
    time_strides : sequence of int
        By how much each level but the first has fewer frames than the one before.
    hidden : int
        Units of the recurrent layer, each way.
    n_blocks : int
        At each level, on the way down and on the way up.
    """

    classes: tuple[str, ...]
    n_fft: int
    hop: int
    n_bands: int
    top_hz: float
    patch: tuple[int, int]
    widths: tuple[int, ...]
    time_strides: tuple[int, ...]
    hidden: int
    n_blocks: int

    @property
    def frames_multiple(self) -> int:
        """How many frames, or a multiple of them, the network takes."""
        frames = self.patch[1]
        for stride in self.time_strides:
            frames *= stride
        return frames

    @classmethod
    def of(cls, values: dict[str, object]) -> Shape:
        """Return the shape that `dataclasses.asdict` made these values of."""
        lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **lists})  # type: ignore[arg-type]


class Block(nn.Module):
    """Two convolutions over time and frequency, then one mixing of all frequencies.

    References
    ----------
    Choi et al.: Investigating U-Nets with various Intermediate Blocks for Spectrogram-based
    Singing Voice Separation, ISMIR 2020, https://arxiv.org/abs/1912.02591 (TFC-TDF)
    """

    def __init__(self, n_channels: int, n_bands: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_channels, n_channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(n_channels)
        self.second = nn.Conv2d(n_channels, n_channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(n_channels)
        narrow = max(8, n_bands // 4)
        self.inwards = nn.Linear(n_bands, narrow)
        self.outwards = nn.Linear(narrow, n_bands)
        self.across_norm = nn.BatchNorm2d(n_channels)
        nn.init.zeros_(self.second_norm.weight)
        nn.init.zeros_(self.across_norm.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take and return (batch, channels, bands, frames)."""
        y = functional.relu(self.first_norm(self.first(x)))
        x = x + self.second_norm(self.second(y))
        batch, n_channels, n_bands, n_frames = x.shape
        # With channels last in memory this is a view, and the product one large matrix's.
        rows = x.permute(0, 2, 3, 1).reshape(batch, n_bands, n_frames * n_channels)
        narrow = functional.relu(self.inwards.weight @ rows + self.inwards.bias[:, None])
        rows = self.outwards.weight @ narrow + self.outwards.bias[:, None]
        across = rows.reshape(batch, n_bands, n_frames, n_channels).permute(0, 3, 1, 2)
        return functional.relu(x + self.across_norm(across))


class MaskNet(nn.Module):
    """A U-Net with a recurrent layer over time in its middle.

    References
    ----------
    Jansson et al.: Singing Voice Separation with Deep U-Net Convolutional Networks, ISMIR 2017,
    https://openaccess.city.ac.uk/id/eprint/19289/
    """

    N_FEATURES = 3  # level left, level right, coherence

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        check_shape(shape)
        self.shape = shape
        kernel = (2 * shape.patch[0], 2 * shape.patch[1])
        padding = (shape.patch[0] // 2, shape.patch[1] // 2)
        bands = [shape.n_bands // shape.patch[0] >> level for level in range(len(shape.widths))]
        self.input_norm = nn.BatchNorm1d(shape.n_bands * self.N_FEATURES)
        self.stem = nn.Conv2d(
            self.N_FEATURES, shape.widths[0], kernel, stride=shape.patch, padding=padding
        )
        steps = list(zip(shape.widths[:-1], shape.widths[1:], shape.time_strides, strict=True))
        self.encoder = nn.ModuleList(
            _blocks(width, n, shape.n_blocks) for width, n in zip(shape.widths, bands, strict=True)
        )
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, (2, stride), stride=(2, stride)) for a, b, stride in steps
        )
        deep = shape.widths[-1] * bands[-1]
        self.to_time = nn.Linear(deep, 2 * shape.hidden)
        self.over_time = nn.GRU(
            2 * shape.hidden, shape.hidden, batch_first=True, bidirectional=True
        )
        self.from_time = nn.Linear(2 * shape.hidden, deep)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, a, (2, stride), stride=(2, stride)) for a, b, stride in steps
        )
        self.join = nn.ModuleList(nn.Conv2d(2 * a, a, 1) for a, _, _ in steps)
        self.decoder = nn.ModuleList(
            _blocks(width, n, shape.n_blocks)
            for width, n in zip(shape.widths[:-1], bands[:-1], strict=True)
        )
        n_masks = 2 * len(shape.classes)
        self.head = nn.ConvTranspose2d(
            shape.widths[0], n_masks, kernel, stride=shape.patch, padding=padding
        )
        self.fine = nn.Conv2d(n_masks + self.N_FEATURES, n_masks, 3, padding=1)
        nn.init.zeros_(self.fine.weight)
        nn.init.zeros_(self.fine.bias)  # type: ignore[arg-type]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the masks of each class.

        Parameters
        ----------
        features : (batch, 3, bands, frames)
            Frames are a multiple of `shape.frames_multiple`.

        Returns
        -------
        (batch, classes, 2, bands, frames), 0..1; over all classes they add up to one
        """
        batch, n, n_bands, n_frames = features.shape
        flat = features.reshape(batch, n * n_bands, n_frames)
        normal = self.input_norm(flat).reshape(batch, n, n_bands, n_frames)
        normal = normal.contiguous(memory_format=torch.channels_last)
        x = self.stem(normal)
        skips: list[torch.Tensor] = []
        for level, blocks in enumerate(self.encoder):
            if level:
                x = self.down[level - 1](x)
            x = blocks(x)
            skips.append(x)
        x = skips.pop()
        x = x + self._over_time(x)
        for level in reversed(range(len(self.up))):
            x = torch.cat([self.up[level](x), skips.pop()], dim=1)
            x = self.decoder[level](self.join[level](x))
        rough = self.head(x)
        logits = rough + self.fine(torch.cat([rough, normal], dim=1))
        masks: torch.Tensor = logits.float().reshape(batch, -1, 2, n_bands, n_frames)
        return masks.softmax(dim=1)

    def _over_time(self, x: torch.Tensor) -> torch.Tensor:
        batch, n_channels, n_bands, n_frames = x.shape
        flat = x.permute(0, 3, 1, 2).reshape(batch, n_frames, n_channels * n_bands)
        y, _ = self.over_time(functional.relu(self.to_time(flat)))
        back: torch.Tensor = self.from_time(y).reshape(batch, n_frames, n_channels, n_bands)
        return back.permute(0, 2, 3, 1)


def _blocks(n_channels: int, n_bands: int, n: int) -> nn.Sequential:
    return nn.Sequential(*(Block(n_channels, n_bands) for _ in range(n)))


def on_device(network: MaskNet, device: str) -> MaskNet:
    """Return the network on a device, its weights in the order that convolutions like."""
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def check_shape(shape: Shape) -> None:
    """Raise ValueError for a shape that no network can have."""
    divisor = shape.patch[0] * 2 ** (len(shape.widths) - 1)
    if shape.n_bands % divisor or len(shape.time_strides) != len(shape.widths) - 1:
        raise ValueError("The bands, widths and strides of the network do not fit each other.")
