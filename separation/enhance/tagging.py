"""Hears what a stretch of a recording is: speech, singing or music, by YAMNet.

References
----------
Hershey et al., CNN Architectures for Large-Scale Audio Classification, 2017.
https://arxiv.org/abs/1609.09430
Gemmeke et al., Audio Set: An Ontology and Human-Labeled Dataset for Audio Events, 2017 (the 521
classes; https://github.com/tensorflow/models/tree/master/research/audioset/yamnet).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino

from separation import catalog, weights
from separation.enhance.steps import FloatArray

if TYPE_CHECKING:
    import torch

MODEL = "yamnet"

SAMPLE_RATE = 16000
WINDOW = 15600  # samples, 0.975 s

_GRAPH, _WEIGHTS = "yamnet.xml", "yamnet.bin"
# Classes that are speech, singing (rapping and humming too), and music with all its instruments.
_SPEECH, _SINGING, _MUSIC = slice(0, 6), slice(24, 33), slice(132, 277)

# Windows are heard at this level, but not at more than so much gain.
_LEVEL, _MOST_GAIN = 0.1, 1000.0
_SETTINGS = {
    "INFERENCE_PRECISION_HINT": "f32",
    "INFERENCE_NUM_THREADS": "1",
    "NUM_STREAMS": "1",
    "ENABLE_CPU_PINNING": "NO",
}


@dataclass(frozen=True, slots=True)
class Tags:
    """How likely each is heard, 0..1."""

    speech: float
    singing: float
    music: float


class Tagger:
    """The network; of use to one thread at a time.

    Raises
    ------
    SeparationError
        If its weights are missing and cannot be had: see `separation.weights.install`.
    """

    def __init__(self) -> None:
        tool = catalog.tool(MODEL)
        weights.install(tool)
        files = weights.load_graphs(tool)
        core = openvino.Core()
        model = core.read_model(files[_GRAPH], files[_WEIGHTS])
        self._request = core.compile_model(model, "CPU", _SETTINGS).create_infer_request()

    def tags(self, samples: FloatArray) -> Tags:
        """Return what is heard in (WINDOW,) samples at SAMPLE_RATE."""
        level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
        heard = samples * np.float32(min(_LEVEL / max(level, 1e-9), _MOST_GAIN))
        (scores,) = self._request.infer({0: heard}).values()
        groups = (scores[0, group].max() for group in (_SPEECH, _SINGING, _MUSIC))
        return Tags(*(float(score) for score in groups))


def convert(files: Mapping[str, Path]) -> dict[str, torch.Tensor]:
    """Return the graph and its weights as OpenVINO reads them, each as a tensor of bytes.

    It reads the original, TensorFlow Lite, from a file only.
    """
    import torch

    (path,) = files.values()
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / _GRAPH
        openvino.save_model(openvino.Core().read_model(path), graph, compress_to_fp16=False)
        return {
            name: torch.frombuffer(
                bytearray((graph.with_name(name)).read_bytes()), dtype=torch.uint8
            )
            for name in (_GRAPH, _WEIGHTS)
        }
