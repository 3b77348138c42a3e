"""DeepFilterNet 3 in OpenVINO: a second of a stream at a time, what it remembers carried on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from separation.enhance.graphs import NEXT
from separation.enhance.steps import FloatArray

# Spectra that go through at once: one second.
N_FRAMES = 100

# How many spectra of the past the convolutions see, in the place of the graphs' own padding.
_PAST = {"feat_erb": 2, "feat_spec": 2, "c0": 4}

_SETTINGS = {
    "INFERENCE_PRECISION_HINT": "f32",  # else what the processor prefers, bfloat16 among it
    # Spectrum waits for spectrum in it: more threads would cost more than they gain.
    "INFERENCE_NUM_THREADS": "1",
    "NUM_STREAMS": "1",
    "ENABLE_CPU_PINNING": "NO",
}

# What a graph remembers of one channel: recurrent states and past spectra, by the input's name.
Memory = dict[str, FloatArray]


class Graph:
    """One of the network's graphs, compiled for this CPU; of use to one thread at a time."""

    def __init__(self, core: Any, content: bytes) -> None:
        model = core.read_model(content)
        self._times: dict[str, int] = {}  # the axis of time, of each input that has one
        self._shapes: dict[str, list[int]] = {}  # of what is remembered
        shapes = {port.any_name: self._shape(port) for port in model.inputs}
        model.reshape(shapes)
        self._request = core.compile_model(model, "CPU", _SETTINGS).create_infer_request()

    def _shape(self, port: Any) -> list[int]:
        """Return the fixed shape of an input, and note what is remembered of it."""
        name, sizes = port.any_name, list(port.partial_shape)
        times = [axis for axis, size in enumerate(sizes) if size.is_dynamic]
        shape = [1 if size.is_dynamic else size.get_length() for size in sizes]
        if times:
            self._times[name] = times[0]
            shape[times[0]] = _PAST.get(name, 0)
        self._shapes[name] = list(shape)
        if times:
            shape[times[0]] += N_FRAMES
        return shape

    def memory(self) -> Memory:
        """Return what there is to remember before the start: nothing."""
        return {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}

    def run(self, inputs: Mapping[str, FloatArray], memory: Memory) -> dict[str, FloatArray]:
        """Return the outputs for N_FRAMES spectra; `memory` is carried on to the next ones."""
        given = dict(memory)
        for name, values in inputs.items():
            axis = self._times[name]
            given[name] = np.concatenate([memory[name], values], axis=axis)
            kept = np.arange(N_FRAMES, N_FRAMES + memory[name].shape[axis])
            memory[name] = given[name].take(kept, axis=axis)
        results = self._request.infer(given)
        outputs = {port.any_name: np.array(value) for port, value in results.items()}
        for name in memory.keys() - inputs.keys():
            memory[name] = outputs.pop(NEXT + name)
        return outputs
