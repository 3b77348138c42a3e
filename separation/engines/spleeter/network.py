"""Spleeter in PyTorch: one U-Net a stem, on magnitude spectrograms."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from separation import weights
from separation.catalog import Model
from separation.engines import Engine, FloatArray
from separation.engines.base import BaseEngine
from separation.errors import EngineClosed

N_FFT = 4096
HOP = 1024
N_BINS = 1024  # the network sees these; 4096-point frames have 2049
CHANNELS = (16, 32, 64, 128, 256, 512)
EPSILON = 1e-10

# The mask above 11 kHz is the mean of this many bins below it. Tried on a song with voice,
# against HTDemucs: 128 gives 13.9 dB for the vocals, the mean of all bins 13.8, nothing 12.1.
N_BINS_EXTENDED = 128

# "Same" padding of a 5x5 kernel at stride 2, as TensorFlow places it: 1 before, 2 after.
_SAME = (1, 2, 1, 2)


class UNet(nn.Module):
    """The spectrogram U-Net of one stem.

    References
    ----------
    Jansson et al.: Singing Voice Separation with Deep U-Net Convolutional Networks, ISMIR 2017,
    https://openaccess.city.ac.uk/id/eprint/19289/
    Hennequin et al.: Spleeter: a fast and efficient music source separation tool with
    pre-trained models, JOSS 5(50), 2020, https://doi.org/10.21105/joss.02154
    """

    def __init__(self) -> None:
        super().__init__()
        inputs = (2, *CHANNELS[:-1])
        outputs = (*reversed(CHANNELS[:-1]), 1)
        joined = (CHANNELS[-1], *(2 * n for n in reversed(CHANNELS[:-1])))
        self.encoder = nn.ModuleList(
            nn.Conv2d(n_in, n_out, 5, stride=2)
            for n_in, n_out in zip(inputs, CHANNELS, strict=True)
        )
        self.encoder_norms = nn.ModuleList(_norm(n) for n in CHANNELS[:-1])
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(n_in, n_out, 5, stride=2)
            for n_in, n_out in zip(joined, outputs, strict=True)
        )
        self.decoder_norms = nn.ModuleList(_norm(n) for n in outputs)
        self.mask = nn.Conv2d(1, 2, 4, dilation=2, padding=3)

    def forward(self, magnitude: torch.Tensor) -> torch.Tensor:
        """Estimate the stem's magnitude from the mixture's.

        Parameters
        ----------
        magnitude : (batch, 2, frames, 1024), frames a multiple of 64

        Returns
        -------
        tensor of the same shape
        """
        skips: list[torch.Tensor] = []
        x = magnitude
        for level, convolution in enumerate(self.encoder):
            if level:
                x = functional.leaky_relu(self.encoder_norms[level - 1](x), 0.2)
            x = convolution(functional.pad(x, _SAME))  # (batch, channels, frames / 2, bins / 2)
            skips.append(x)
        skips.pop()
        for convolution, norm in zip(self.decoder, self.decoder_norms, strict=True):
            x = convolution(x)[:, :, 1:-2, 1:-2]  # (batch, channels, 2 * frames, 2 * bins)
            x = norm(functional.relu(x))
            if skips:
                x = torch.cat([skips.pop(), x], dim=1)  # (batch, 2 * channels, frames, bins)
        return torch.sigmoid(self.mask(x)) * magnitude


def _norm(n_channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(n_channels, eps=1e-3, momentum=0.01)


class SpleeterEngine(BaseEngine):
    """All stems of one Spleeter model on one device.

    The stems' squared estimates, divided by their sum, mask the mixture's spectrogram, so the
    stems add up to the mixture.
    """

    def __init__(self, model: Model, backend: str) -> None:
        super().__init__(model, backend)
        self._networks: nn.ModuleDict | None = None
        self._window = torch.hann_window(N_FFT)

    def load(self, device: str) -> None:
        if self._networks is not None:
            return
        with torch.device("meta"):
            networks = nn.ModuleDict({stem: UNet() for stem in self._model.stems})
        state = dict(weights.load_state(self._model))
        batches = (n for n in networks.state_dict() if n.endswith("num_batches_tracked"))
        state.update({name: torch.tensor(0) for name in batches})
        networks.load_state_dict(state, strict=True, assign=True)
        self._networks = networks.eval().to(device)
        self._window = self._window.to(device)

    @torch.inference_mode()
    def separate(self, mixtures: FloatArray) -> FloatArray:
        if self._networks is None:
            raise EngineClosed("The engine is not loaded.")
        batch = torch.from_numpy(mixtures).to(self._window.device)  # (batch, 2, segment)
        stems = torch.stack([self._stems(samples) for samples in batch])
        result: FloatArray = stems.cpu().numpy().astype(np.float32, copy=False)
        return result  # (batch, stems, 2, segment)

    def _stems(self, samples: torch.Tensor) -> torch.Tensor:
        if self._networks is None:
            raise EngineClosed("The engine is not loaded.")
        spectrum = torch.stft(
            samples, N_FFT, HOP, window=self._window, pad_mode="constant", return_complex=True
        )  # (2, 2049, frames)
        magnitude = spectrum[:, :N_BINS].abs().transpose(1, 2)[None]  # (1, 2, frames, 1024)
        energies = [self._networks[stem](magnitude).square() for stem in self._model.stems]
        total = torch.stack(energies).sum(dim=0) + EPSILON
        stems = []
        for energy in energies:
            mask = (energy + EPSILON / len(energies)) / total  # (1, 2, frames, 1024)
            masked = spectrum * extend_mask(mask[0].transpose(1, 2))  # (2, 2049, frames)
            stems.append(
                torch.istft(masked, N_FFT, HOP, window=self._window, length=samples.shape[-1])
            )
        return torch.stack(stems)  # (stems, 2, segment)

    def close(self) -> None:
        self._networks = None


def extend_mask(mask: torch.Tensor) -> torch.Tensor:
    """Continue a mask above the bins that the network sees.

    Parameters
    ----------
    mask : (2, 1024, frames)

    Returns
    -------
    (2, 2049, frames); masks that add up to one still do
    """
    above = mask[:, -N_BINS_EXTENDED:].mean(dim=1, keepdim=True)  # (2, 1, frames)
    return torch.cat([mask, above.expand(-1, N_FFT // 2 + 1 - N_BINS, -1)], dim=1)


def create(model: Model, backend: str) -> Engine:
    """Return an engine for this entry of the catalogue."""
    return SpleeterEngine(model, backend)
