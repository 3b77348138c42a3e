"""Kaldi's filter banks, which the embedding network hears."""

from __future__ import annotations

import kaldi_native_fbank
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

N_BINS = 80
FRAME_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
_SAMPLE_RATE = 16000
# The network was trained on samples of 16 bit, not -1..1.
_SCALE = 32768


class FilterBank:
    """Logarithmic mel energies of a recording, as it comes.

    Frame `i` covers the samples `160 * i` to `160 * i + 400`; what is shorter than a frame at the
    end is left out, so `n` samples make `1 + (n - 400) // 160` frames. Options as in WeSpeaker:
    Hamming window, no dither, no energy.

    References
    ----------
    Povey et al.: The Kaldi Speech Recognition Toolkit, ASRU 2011.
    """

    def __init__(self) -> None:
        options = kaldi_native_fbank.FbankOptions()
        options.frame_opts.samp_freq = _SAMPLE_RATE
        options.frame_opts.dither = 0
        options.frame_opts.window_type = "hamming"
        options.frame_opts.snip_edges = True
        options.mel_opts.num_bins = N_BINS
        options.use_energy = False
        options.energy_floor = 0.0
        self._fbank = kaldi_native_fbank.OnlineFbank(options)
        self._n_taken = 0

    def feed(self, samples: FloatArray) -> FloatArray:
        """Take the next samples, (n,) float32, -1..1, 16 kHz; return (frames, 80) so far whole.

        Not a number counts as silence, and infinity as the loudest sample.
        """
        limited = np.nan_to_num(samples, nan=0, posinf=1, neginf=-1)
        self._fbank.accept_waveform(_SAMPLE_RATE, (limited * _SCALE).tolist())
        n_new = self._fbank.num_frames_ready - self._n_taken
        frames = np.empty((n_new, N_BINS), np.float32)
        for i in range(n_new):
            frames[i] = self._fbank.get_frame(self._n_taken + i)
        self._n_taken += n_new
        self._fbank.pop(n_new)
        return frames


def filter_bank(samples: FloatArray) -> FloatArray:
    """Return the (frames, 80) logarithmic mel energies of a whole piece; see `FilterBank`."""
    return FilterBank().feed(samples)
