"""The transform between sound and spectrogram that the public networks share."""

from __future__ import annotations

import torch
from torch import nn


class Spectrum(nn.Module):
    """A centred short-time Fourier transform and its inverse.

    Parameters
    ----------
    n_fft, hop : int
        In samples.
    is_normalized : bool
        Whether spectra are divided by the root of the window's length.
    window : tensor of (n_fft,), optional
        A periodic Hann window without it.
    """

    window: torch.Tensor

    def __init__(
        self,
        n_fft: int,
        hop: int,
        *,
        is_normalized: bool = False,
        window: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.n_fft, self.hop, self.is_normalized = n_fft, hop, is_normalized
        # Made on the CPU also where a network is built without memory for its weights.
        made = torch.hann_window(n_fft, device="cpu") if window is None else window
        self.register_buffer("window", made, persistent=False)

    @property
    def n_bins(self) -> int:
        return self.n_fft // 2 + 1

    def analyse(self, sound: torch.Tensor) -> torch.Tensor:
        """(…, n) -> complex (…, n_bins, frames)."""
        *around, n_samples = sound.shape
        spectrum = torch.stft(
            sound.reshape(-1, n_samples),
            self.n_fft,
            self.hop,
            window=self.window,
            normalized=self.is_normalized,
            return_complex=True,
        )
        return spectrum.view(*around, *spectrum.shape[-2:])

    def synthesise(self, spectrum: torch.Tensor, n_samples: int) -> torch.Tensor:
        """Complex (…, n_bins, frames) -> (…, n_samples)."""
        *around, n_bins, frames = spectrum.shape
        sound = torch.istft(
            spectrum.reshape(-1, n_bins, frames),
            self.n_fft,
            self.hop,
            window=self.window,
            normalized=self.is_normalized,
            length=n_samples,
        )
        return sound.view(*around, n_samples)
