"""Takes steady noise out of music: what never stops for seconds, and is as broad as noise.

How loud the noise is in each bin is the least that was heard there within five seconds; tones that
last longer stand out of their neighbours and are not taken for noise. Music without noise has
nothing that steady, and stays as it is but for what is softest in it.

References
----------
Martin, Noise Power Spectral Density Estimation Based on Optimal Smoothing and Minimum Statistics,
2001. https://doi.org/10.1109/89.928915
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from separation.audio.buffer import SampleBuffer
from separation.enhance.bands import OVERLAP, Analysis, ComplexArray, Synthesis, layout
from separation.enhance.steps import FloatArray

# Frames that go through at once, a second, and how many such chunks on each side are listened to.
_N_FRAMES, _AROUND = 64, 2
# What a power is smoothed by before the least is taken, and what that is then below the mean.
_SMOOTHING, _BINS, _BIAS = 0.85, 3, 1.7
# Noise is no louder than what a fifth of the bins about it are below: music is less even.
_BESIDE_BINS, _BESIDE = 81, 20
_LEAST_GAIN = 0.2
_SILENCE = 1e-10  # of the loudest frame's power: no noise is heard in it

Powers = npt.NDArray[np.float32]


class FloorDenoiser:
    """A step (see `separation.enhance.Step`); all channels have the same gains."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._hop = layout(sample_rate).hop
        self._analysis = Analysis(self._hop, channels)
        self._synthesis = Synthesis(self._hop, channels)
        self._waiting = SampleBuffer(channels)
        self._spectra: deque[ComplexArray] = deque()  # that are not through yet
        self._least: deque[Powers] = deque(maxlen=2 * _AROUND + 1)
        self._state: npt.NDArray[np.float64] | None = None
        self._last: Powers | None = None  # the newest frame that is through
        self._n_late = Synthesis.DELAY * self._hop
        self._n_left = 0  # samples that have gone in and not come out

    def push(self, block: FloatArray) -> FloatArray:
        """Take (channels, n) samples; return those that are ready, which may be none."""
        self._n_left += block.shape[1]
        self._waiting.append(block)
        ready = [block[:, :0]]
        while len(self._waiting) >= _N_FRAMES * self._hop:
            ready.append(self._listen(_N_FRAMES))
        return np.concatenate(ready, axis=1)

    def flush(self) -> FloatArray:
        """Return the rest: exactly as many samples have come out then as went in."""
        chunk, rest = _N_FRAMES * self._hop, len(self._waiting)
        channels = self._waiting.peek(0, 0).shape[0]
        n_silent = -(rest + Synthesis.DELAY * self._hop) % chunk + Synthesis.DELAY * self._hop
        self._waiting.append(np.zeros((channels, n_silent), np.float32))
        ready, n_heard = [], rest // self._hop
        while len(self._waiting):
            ready.append(self._listen(min(max(n_heard, 0), _N_FRAMES)))
            n_heard -= _N_FRAMES
        while self._spectra:
            self._least.append(np.full(self._spectra[0].shape[2], np.inf, np.float32))
            ready.append(self._through())
        return np.concatenate(ready, axis=1)

    def _listen(self, n_whole: int) -> FloatArray:
        """Take a chunk, of which so many frames hold no end; return the samples of another one."""
        spectra = self._analysis.push(self._waiting.take(_N_FRAMES * self._hop))
        powers = _powers(spectra)
        smooth = ndimage.uniform_filter1d(powers, _BINS, axis=1)
        if self._state is None:
            self._state = _SMOOTHING * smooth[OVERLAP - 1][None]
        steady, self._state = signal.lfilter(
            [1 - _SMOOTHING], [1, -_SMOOTHING], smooth, axis=0, zi=self._state
        )
        first = 0 if self._spectra or len(self._least) else OVERLAP - 1
        totals = powers.sum(axis=1)
        is_heard = totals > _SILENCE * max(float(totals.max()), 1e-20)
        is_heard[:first] = is_heard[n_whole:] = False
        least = np.min(steady, axis=0, where=is_heard[:, None], initial=np.inf)
        self._least.append(least.astype(np.float32))
        self._spectra.append(spectra)
        if len(self._spectra) <= _AROUND:
            return self._waiting.peek(0, 0).copy()
        return self._through()

    def _through(self) -> FloatArray:
        spectra = self._spectra.popleft()
        powers = _powers(spectra)
        before = powers[:1] if self._last is None else self._last
        after = _powers(self._spectra[0][:, :1]) if self._spectra else powers[-1:]
        self._last = powers[-1:].copy()
        around = ndimage.uniform_filter1d(np.concatenate([before, powers, after]), _BINS, axis=1)
        local = (around[:-2] + around[1:-1] + around[2:]) / 3
        gains = np.clip(1 - self._noise() / np.maximum(local, 1e-20), _LEAST_GAIN, 1)
        samples = self._synthesis.push(spectra * gains.astype(np.float32))
        late, self._n_late = self._n_late, 0
        samples = samples[:, late : late + self._n_left]
        self._n_left -= samples.shape[1]
        return samples

    def _noise(self) -> Powers:
        """Return how loud the noise is in each bin."""
        least = np.min(self._least, axis=0)
        if not np.isfinite(least).all():
            return np.zeros_like(least)
        beside = ndimage.percentile_filter(least, _BESIDE, _BESIDE_BINS)
        noise: Powers = _BIAS * np.minimum(least, beside)
        return noise


def _powers(spectra: ComplexArray) -> Powers:
    power: Powers = (np.abs(spectra) ** 2).mean(axis=0)
    return power
