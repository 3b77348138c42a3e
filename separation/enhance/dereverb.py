"""Takes the sound of the room out: what is late of it goes, what comes at once stays.

A network says of each band how much of it is the sound itself with its early reflections, 50 ms of
them (see `separation.enhance.bandnet`). All channels have the same gains: what stands where stays.
"""

from __future__ import annotations

import numpy as np

from separation import catalog, weights
from separation.audio.buffer import SampleBuffer
from separation.enhance.bandnet import LOOKAHEAD, N_FRAMES, BandNet
from separation.enhance.bands import Analysis, ComplexArray, Synthesis, layout
from separation.enhance.steps import FloatArray

MODEL = "late-reverb"


class Dereverberator:
    """A step (see `separation.enhance.Step`) that takes late reverberation out.

    Parameters
    ----------
    sample_rate : int, Hz
    channels : int
    device : str
        Where other steps run. This one runs on the CPU, where it takes a fiftieth of the time.

    Raises
    ------
    SeparationError
        If its weights are missing.
    """

    def __init__(self, sample_rate: int, channels: int, *, device: str = "cpu") -> None:
        self._layout = layout(sample_rate)
        self._network = BandNet(weights.load_arrays(catalog.tool(MODEL)))
        self._analysis = Analysis(self._layout.hop, channels)
        self._synthesis = Synthesis(self._layout.hop, channels)
        self._waiting = SampleBuffer(channels)
        self._late: ComplexArray = np.zeros(
            (channels, LOOKAHEAD, self._layout.n_bins), np.complex64
        )
        # Samples that come before the first: the gains' delay and that of the transform.
        self._n_late = (LOOKAHEAD + Synthesis.DELAY) * self._layout.hop
        self._n_left = 0  # samples that have gone in and not come out

    def push(self, block: FloatArray) -> FloatArray:
        """Take (channels, n) samples; return those that are ready, which may be none."""
        self._n_left += block.shape[1]
        return self._process(block)

    def flush(self) -> FloatArray:
        """Return the rest: exactly as many samples have come out then as went in."""
        chunk = N_FRAMES * self._layout.hop
        # Silence follows until the last sample has come out of a whole chunk.
        n_silent = (LOOKAHEAD + Synthesis.DELAY) * self._layout.hop
        n_silent += -(len(self._waiting) + n_silent) % chunk
        return self._process(np.zeros((len(self._late), n_silent), np.float32))

    def _process(self, samples: FloatArray) -> FloatArray:
        self._waiting.append(samples)
        chunk = N_FRAMES * self._layout.hop
        ready = [samples[:, :0]]
        while len(self._waiting) >= chunk:
            ready.append(self._chunk(self._waiting.take(chunk)))
        return np.concatenate(ready, axis=1)

    def _chunk(self, samples: FloatArray) -> FloatArray:
        spectra = self._analysis.push(samples)
        gains = self._network.push(self._layout.powers(spectra))
        joined = np.concatenate([self._late, spectra], axis=1)
        self._late = joined[:, N_FRAMES:].copy()
        kept = joined[:, :N_FRAMES] * self._layout.spread(gains)
        dry = self._synthesis.push(kept.astype(np.complex64, copy=False))
        late, self._n_late = min(self._n_late, dry.shape[1]), max(self._n_late - dry.shape[1], 0)
        dry = dry[:, late : late + self._n_left]
        self._n_left -= dry.shape[1]
        return dry
