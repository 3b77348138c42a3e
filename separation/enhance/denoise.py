"""Takes noise out of speech, as a stream in constant memory."""

from __future__ import annotations

import numpy as np

from separation import catalog, weights
from separation.audio.buffer import SampleBuffer
from separation.audio.resample import Resampler
from separation.enhance.deepfilter import LOOKAHEAD, DeepFilter, DeepFilterNet
from separation.enhance.network import N_FRAMES
from separation.enhance.spectra import HOP, SAMPLE_RATE, Analysis, Synthesis
from separation.enhance.steps import FloatArray

MODEL = "deepfilternet3"

_CHUNK = N_FRAMES * HOP
# How much later a sample comes out of the network than it went in.
_DELAY = (1 + LOOKAHEAD) * HOP


class Denoiser:
    """A step (see `separation.enhance.Step`) that leaves speech and takes out what is not.

    Each channel is denoised by itself. The model hears 48 kHz: of a recording at a higher rate,
    nothing above 24 kHz comes through.

    Parameters
    ----------
    sample_rate : int, Hz
    channels : int
    device : str
        Where other models run. This one always runs on the CPU, where it takes a twentieth of
        a channel's time.

    Raises
    ------
    SeparationError
        If its weights are missing and cannot be had: see `separation.weights.install`.
    """

    def __init__(self, sample_rate: int, channels: int, *, device: str = "cpu") -> None:
        tool = catalog.tool(MODEL)
        weights.install(tool)
        network = DeepFilterNet(tool)
        self._to_model = Resampler(sample_rate, SAMPLE_RATE, channels)
        self._channels = [_Channel(network) for _ in range(channels)]
        self._to_output = Resampler(SAMPLE_RATE, sample_rate, channels)
        self._waiting = SampleBuffer(channels)
        self._n_late = _DELAY  # samples at the model's rate that come before the first
        self._n_left = 0  # samples that have gone in and not come out

    def push(self, block: FloatArray) -> FloatArray:
        """Take (channels, n) samples; return those that are ready, which may be none."""
        self._n_left += block.shape[1]
        return self._cut(self._process(self._to_model.process(block)))

    def flush(self) -> FloatArray:
        """Return the rest: exactly as many samples have come out then as went in."""
        rest = self._to_model.finish()
        # Silence follows, until the last sample has come out of a whole chunk and there is
        # something left over for the second rounding of the length.
        n_silent = _DELAY + HOP
        n_silent += -(len(self._waiting) + rest.shape[1] + n_silent) % _CHUNK
        silence = np.zeros((len(rest), n_silent), np.float32)
        ready = self._process(np.concatenate([rest, silence], axis=1))
        return self._cut(np.concatenate([ready, self._to_output.finish()], axis=1))

    def _process(self, samples: FloatArray) -> FloatArray:
        self._waiting.append(samples)
        ready = [
            self._to_output.process(self._chunk()) for _ in range(len(self._waiting) // _CHUNK)
        ]
        return np.concatenate([np.empty((len(self._channels), 0), np.float32), *ready], axis=1)

    def _chunk(self) -> FloatArray:
        chunk = self._waiting.take(_CHUNK)
        pairs = zip(self._channels, chunk, strict=True)
        denoised = np.stack([channel.push(samples) for channel, samples in pairs])
        late, self._n_late = self._n_late, 0
        return denoised[:, late:]

    def _cut(self, samples: FloatArray) -> FloatArray:
        samples = samples[:, : self._n_left]
        self._n_left -= samples.shape[1]
        return samples


class _Channel:
    def __init__(self, network: DeepFilterNet) -> None:
        self._analysis = Analysis()
        self._filter = DeepFilter(network)
        self._synthesis = Synthesis()

    def push(self, samples: FloatArray) -> FloatArray:
        return self._synthesis.push(self._filter.push(self._analysis.push(samples)))
