"""Spectrograms in bands: what a network of masks sees, and how its masks become sound."""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt
import torch

SAMPLE_RATE = 44_100

# Of the mean power of all bands: what lies below is silence.
_QUIET = 1e-7


class Bands:
    """Neighbouring bins in bands: single ones where they are wide apart in pitch, many above.

    Parameters
    ----------
    n_fft, hop : int
        In samples.
    n_bands : int
    top_hz : float
        Upper end of the last band; above it its mask holds.
    """

    def __init__(self, n_fft: int, hop: int, n_bands: int, top_hz: float) -> None:
        self.n_fft, self.hop, self.n_bands = n_fft, hop, n_bands
        n_bins = n_fft // 2 + 1
        edges = band_edges(n_bands, round(top_hz / SAMPLE_RATE * n_fft))
        widths = np.diff(np.append(edges[:-1], n_bins))
        self._index = torch.repeat_interleave(torch.arange(n_bands), torch.from_numpy(widths))
        self._n_single = int(np.argmax(widths > 1))
        bands = torch.arange(self._n_single, n_bands)[:, None]
        self._wide = (self._index[self._n_single :] == bands).float()  # (wide bands, bins)
        self._window = torch.hann_window(n_fft)

    def to(self, device: str | torch.device) -> Bands:
        """Move what it computes with onto a device."""
        self._index, self._window = self._index.to(device), self._window.to(device)
        self._wide = self._wide.to(device)
        return self

    def spectrum(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the complex spectrogram, (..., bins, frames), of (..., n) samples."""
        flat = samples.reshape(-1, samples.shape[-1])
        spectrum = torch.stft(
            flat,
            self.n_fft,
            self.hop,
            window=self._window,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.reshape(*samples.shape[:-1], *spectrum.shape[-2:])

    def samples(self, spectrum: torch.Tensor, n: int) -> torch.Tensor:
        """Return (..., n) samples of (..., bins, frames)."""
        flat = spectrum.reshape(-1, *spectrum.shape[-2:])
        samples = torch.istft(flat, self.n_fft, self.hop, window=self._window, length=n)
        return samples.reshape(*spectrum.shape[:-2], n)

    def pooled(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sums of (..., bins, frames) over each band, (..., bands, frames)."""
        wide = self._wide @ values[..., self._n_single :, :]
        return torch.cat([values[..., : self._n_single, :], wide], dim=-2)

    def spread(self, masks: torch.Tensor) -> torch.Tensor:
        """Return what holds in each bin, (..., bins, frames), of (..., bands, frames)."""
        return masks.index_select(masks.ndim - 2, self._index)

    def features(self, spectrum: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the network sees of a stereo spectrogram, and the power in each band.

        Levels are in tens of dB, relative to the mean of the segment: the network hears no
        loudness. The third feature is how alike both channels are, -1..1.

        Parameters
        ----------
        spectrum : (..., 2, bins, frames) complex

        Returns
        -------
        features : (..., 3, bands, frames)
        power : (..., 2, bands, frames)
        """
        parts = torch.view_as_real(spectrum)
        left, right = parts[..., 0, :, :, :], parts[..., 1, :, :, :]
        products = [(a * b).sum(dim=-1) for a, b in ((left, left), (right, right), (left, right))]
        parts = torch.stack(products, dim=-3)
        pooled = self.pooled(parts)
        power, cross = pooled[..., :2, :, :], pooled[..., 2:, :, :]
        mean = power.mean(dim=(-3, -2, -1), keepdim=True) + 1e-20
        level = torch.log10(power / mean + _QUIET)
        both = power.prod(dim=-3, keepdim=True).sqrt()
        alike = cross / (both + _QUIET * mean)
        return torch.cat([level, alike], dim=-3), power


@functools.cache
def band_edges(n_bands: int, top: int) -> npt.NDArray[np.int64]:
    """Return the first bin of each band, and the end of the last one.

    Bands are one bin wide up to where a geometric scale from there to `top` has steps of a bin.

    Raises
    ------
    ValueError
        If there are more bands than bins.
    """
    if n_bands > top:
        raise ValueError("There are more bands than bins.")
    n_single = next(
        n
        for n in range(n_bands)
        if (n_bands - n) * math.log1p(1 / max(n, 1)) >= math.log(top / max(n, 1))
    )
    ratio = (top / max(n_single, 1)) ** (1 / (n_bands - n_single))
    above = [max(n_single, 1) * ratio**step for step in range(1, n_bands - n_single + 1)]
    edges = [*range(n_single + 1), *(round(edge) for edge in above)]
    for index in range(1, len(edges)):
        edges[index] = max(edges[index], edges[index - 1] + 1)
    return np.array(edges, np.int64)
