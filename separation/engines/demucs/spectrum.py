"""The transforms around the network of HTDemucs, in NumPy.

With these, a process that runs the network elsewhere need not load PyTorch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

N_FFT = 4096
HOP = N_FFT // 4
N_BINS = N_FFT // 2  # the highest is left out
PAD = HOP // 2 * 3

_WINDOW: FloatArray = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
_SCALE = np.float32(np.sqrt(N_FFT))  # of normalised transforms, as in `torch.stft`
# Four squared windows, a hop apart, add up to this everywhere.
_ENVELOPE = np.float32(1.5)
ANALYSIS: FloatArray = _WINDOW / _SCALE
SYNTHESIS: FloatArray = _WINDOW * (_SCALE / _ENVELOPE)


def n_frames(n_samples: int) -> int:
    """Return how many frames a segment has."""
    return -(-n_samples // HOP)


def spectrum_of(waveforms: FloatArray) -> FloatArray:
    """Transform segments to the spectra that the network takes.

    Parameters
    ----------
    waveforms : (batch, 2, n_samples) float32

    Returns
    -------
    (batch, 4, N_BINS, frames) float32
        Real and imaginary part of the left, then of the right channel.
    """
    batch, channels, n_samples = waveforms.shape
    frames = n_frames(n_samples)
    padding = (PAD, frames * HOP - n_samples + PAD)
    padded = np.pad(waveforms, ((0, 0), (0, 0), padding), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=-1)[..., ::HOP, :]
    spectra = np.fft.rfft(windows * ANALYSIS)[..., :-1]  # (batch, 2, frames, bins)
    parts = np.ascontiguousarray(spectra).view(np.float32)
    parts = parts.reshape(batch, channels, frames, N_BINS, 2).transpose(0, 1, 4, 3, 2)
    return np.ascontiguousarray(parts).reshape(batch, 2 * channels, N_BINS, frames)


def waveforms_of(spectra: FloatArray, n_samples: int) -> FloatArray:
    """Transform the network's spectra back.

    Parameters
    ----------
    spectra : (N_BINS, frames, 2 * channels) float32
        Real and imaginary parts adjacent, contiguous.
    n_samples : int
        Length of the segment.

    Returns
    -------
    (channels, n_samples) float32
    """
    n_bins, frames, _ = spectra.shape
    by_channel = np.ascontiguousarray(spectra.view(np.complex64).transpose(2, 1, 0))
    windows = np.fft.irfft(by_channel, n=2 * n_bins, axis=-1)  # (channels, frames, N_FFT)
    windows *= SYNTHESIS
    quarters = windows.reshape(-1, frames, 4, HOP)
    added = np.zeros((len(quarters), frames + 3, HOP), np.float32)
    for quarter in range(4):
        added[:, quarter : quarter + frames] += quarters[:, :, quarter]
    return added.reshape(len(added), -1)[:, PAD : PAD + n_samples]
