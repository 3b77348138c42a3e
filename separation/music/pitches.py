"""Basic Pitch's network in OpenVINO: which notes sound and begin, 86 times a second.

The network hears two seconds at a time; what is near the ends of these is left out, as its authors
do, so that a recording goes through in windows that overlap.

References
----------
Bittner et al.: A lightweight instrument-agnostic model for polyphonic note transcription and
multipitch estimation, ICASSP 2022. https://arxiv.org/abs/2203.09893
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from separation.audio.buffer import SampleBuffer
from separation.catalog import Tool
from separation.music.sound import SAMPLE_RATE, FloatArray
from separation.weights import load_graphs

# Piano keys; the lowest is A0.
N_PITCHES = 88
LOWEST_PITCH = 21

_HOP = 256
_WINDOW = 43_844
# Frames left out at each end of a window.
_N_MARGIN = 15
# Of a window, and of these the ones that are used.
_N_FRAMES = 172
N_USED = _N_FRAMES - 2 * _N_MARGIN
# From window to window.
STEP = _WINDOW - 2 * _N_MARGIN * _HOP

_INPUT = "serving_default_input_2:0"
_NOTES, _ONSETS = "StatefulPartitionedCall:1", "StatefulPartitionedCall:2"
_SETTINGS = {
    "INFERENCE_PRECISION_HINT": "f32",  # else what the processor prefers, bfloat16 among it
    # The network is small: more threads would cost more than they gain.
    "INFERENCE_NUM_THREADS": "1",
    "NUM_STREAMS": "1",
    "ENABLE_CPU_PINNING": "NO",
}


def time_s(frame: float) -> float:
    """Return when a frame is: windows lie a little closer than their frames say."""
    window, within = divmod(frame, N_USED)
    return (window * STEP + within * _HOP) / SAMPLE_RATE


class PitchNetwork:
    """The network, compiled for this CPU; of use to one thread at a time."""

    def __init__(self, tool: Tool) -> None:
        # Only here: who reads a result from another process needs no network.
        import openvino

        core = openvino.Core()
        (graph,) = load_graphs(tool).values()
        model = core.read_model(graph)
        model.reshape({_INPUT: [1, _WINDOW, 1]})
        self._request = core.compile_model(model, "CPU", _SETTINGS).create_infer_request()

    def hear(self, window: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Take (43844,) samples at 22,050 Hz.

        Returns
        -------
        two arrays (142, 88), 0..1
            How much each note sounds, and how much it begins.
        """
        self._request.infer({_INPUT: window[None, :, None]})
        used = slice(_N_MARGIN, -_N_MARGIN)
        sounding, beginning = (
            np.array(self._request.get_tensor(name).data[0, used]) for name in (_NOTES, _ONSETS)
        )
        return sounding, beginning


class Pitches:
    """A stream of one channel into what the network hears of it."""

    def __init__(self, network: PitchNetwork) -> None:
        self._network = network
        self._waiting = SampleBuffer(1)
        self._waiting.append(np.zeros((1, _N_MARGIN * _HOP), np.float32))
        self._n_samples = 0
        self._n_heard = 0

    def push(self, samples: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Take (n,) samples at 22,050 Hz; yield what `hear` returns for each window."""
        self._n_samples += len(samples)
        self._waiting.append(samples[None])
        while len(self._waiting) >= _WINDOW:
            yield self._hear()

    def finish(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield the rest, up to the last frame that begins before the end."""
        while (n_left := self._n_samples - self._n_heard) > 0:
            n_missing = max(0, _WINDOW - len(self._waiting))
            self._waiting.append(np.zeros((1, n_missing), np.float32))
            n_frames = min(N_USED, -(-n_left // _HOP))
            sounding, beginning = self._hear()
            yield sounding[:n_frames], beginning[:n_frames]

    def _hear(self) -> tuple[FloatArray, FloatArray]:
        heard = self._network.hear(self._waiting.peek(0, _WINDOW)[0])
        self._waiting.drop(STEP)
        self._n_heard += STEP
        return heard
