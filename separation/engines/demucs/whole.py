"""HTDemucs from waveform to waveforms on one device, transforms included."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from separation.engines.demucs import spectrum
from separation.engines.demucs.core import Convolution, HTDemucsCore
from separation.engines.demucs.spectrum import HOP, N_FFT, PAD


class WholeDemucs(nn.Module):
    """The core between transforms in PyTorch, without any step that waits for the device.

    `torch.istft` looks at its window before each transform, which a CUDA graph cannot hold.

    Parameters
    ----------
    network : demucs.htdemucs.HTDemucs
    segment_samples : int
    inner_dtype : dtype, optional
        See `HTDemucsCore`; the weights are rounded once, not in each call.
    """

    analysis: torch.Tensor
    synthesis: torch.Tensor

    def __init__(
        self, network: Any, segment_samples: int, inner_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.core = HTDemucsCore(network, segment_samples, inner_dtype)
        if inner_dtype is not None:
            _round_inner_weights(self.core, inner_dtype)
        self.register_buffer("analysis", torch.from_numpy(spectrum.ANALYSIS))
        self.register_buffer("synthesis", torch.from_numpy(spectrum.SYNTHESIS))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Take segments apart: (batch, 2, n) float32 -> (batch, stems, 2, n) float32."""
        batch, channels, n_samples = waveform.shape
        spectra, waveforms = self.core(self._spectrum(waveform), waveform)
        stems: torch.Tensor = waveforms.float() + self._waveforms(spectra.float(), n_samples)
        return stems.view(batch, -1, channels, n_samples)

    def _spectrum(self, waveform: torch.Tensor) -> torch.Tensor:
        batch, channels, n_samples = waveform.shape
        frames = spectrum.n_frames(n_samples)
        padding = (PAD, frames * HOP - n_samples + PAD)
        windows = functional.pad(waveform, padding, mode="reflect").unfold(-1, N_FFT, HOP)
        spectra = torch.fft.rfft(windows * self.analysis)[..., :-1]  # (batch, 2, frames, bins)
        parts = torch.view_as_real(spectra).permute(0, 1, 4, 3, 2)
        return parts.reshape(batch, 2 * channels, -1, frames)

    def _waveforms(self, spectra: torch.Tensor, n_samples: int) -> torch.Tensor:
        batch, n_bins, frames, _ = spectra.shape
        parts = spectra.view(batch, n_bins, frames, -1, 2).permute(0, 3, 2, 1, 4).contiguous()
        windows = torch.fft.irfft(torch.view_as_complex(parts), n=2 * n_bins) * self.synthesis
        quarters = windows.view(batch, -1, frames, 4, HOP)
        added = quarters.new_zeros(batch, quarters.shape[1], frames + 3, HOP)
        for quarter in range(4):
            added[:, :, quarter : quarter + frames] += quarters[:, :, :, quarter]
        waveforms: torch.Tensor = added.flatten(2)[..., PAD : PAD + n_samples]
        return waveforms


def _round_inner_weights(core: HTDemucsCore, dtype: torch.dtype) -> None:
    """Round what is multiplied; normalisations keep float32."""
    inner = [*core.encoder[1:], *core.tencoder[1:], *core.decoder[:-1], *core.tdecoder[:-1]]
    multiplying = (Convolution, nn.Conv1d, nn.Linear, nn.MultiheadAttention)
    for part in (*inner, core.transformer):
        for module in part.modules():
            if isinstance(module, multiplying):
                for parameter in module.parameters(recurse=False):
                    parameter.data = parameter.data.to(dtype)
