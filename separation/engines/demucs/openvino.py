"""HTDemucs in OpenVINO, on the CPU: without PyTorch once it has been exported."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino

from separation import weights
from separation.catalog import Model
from separation.engines import Engine, FloatArray, processor, proof
from separation.engines.base import BaseEngine
from separation.engines.demucs.spectrum import spectrum_of, waveforms_of
from separation.errors import EngineClosed
from separation.process import run_aside

logger = logging.getLogger(__name__)

_PRECISIONS = {"openvino-bf16": "bf16", "openvino-f32": "f32"}
# More threads on one segment gain less and less; with more cores, segments go side by side.
_THREADS_A_SEGMENT = 4


class OpenVinoDemucs(BaseEngine):
    """HTDemucs compiled for this CPU.

    In bfloat16 the outermost layers stay in float32 (see `export`).
    """

    def __init__(self, model: Model, backend: str) -> None:
        super().__init__(model, backend)
        self._streams = max(1, processor.usable_cores() // _THREADS_A_SEGMENT)
        self._compiled: Any = None
        # Requests that nobody uses now, as many as segments can be in the network.
        self._idle: SimpleQueue[Any] = SimpleQueue()

    @property
    def lanes(self) -> int:
        # One more than can run: its transforms are computed meanwhile.
        return self._streams + 1

    def load(self, device: str) -> None:
        if self._compiled is not None:
            return
        # The same lock as for installing: what is prepared belongs to the weights.
        with weights.install_lock(self._model):
            self._compiled = _compile(self._model, _PRECISIONS[self._backend], self._streams)
        for _ in range(self._streams):
            self._idle.put(self._compiled.create_infer_request())

    def separate(self, mixtures: FloatArray) -> FloatArray:
        if self._compiled is None:
            raise EngineClosed("The engine is not loaded.")
        return np.stack([self._separate(mixture) for mixture in mixtures])

    def _separate(self, mixture: FloatArray) -> FloatArray:
        n_samples = mixture.shape[-1]
        spectrum = spectrum_of(mixture[None])
        request = self._idle.get()
        try:
            results = request.infer([spectrum, mixture[None]], share_inputs=True)
            spectra, waveforms = results[0][0], results[1][0]
        finally:
            self._idle.put(request)
        waveforms += waveforms_of(spectra, n_samples)
        stems: FloatArray = waveforms.reshape(len(self._model.stems), -1, n_samples)
        return stems

    def close(self) -> None:
        self._compiled, self._idle = None, SimpleQueue()


def _compile(model: Model, precision: str, n_streams: int) -> Any:
    core, network = openvino.Core(), _exported(model)
    folder = weights.derived_dir(model) / "compiled"
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": str(n_streams),
        "INFERENCE_NUM_THREADS": str(processor.usable_cores()),
        # Pinned, two processes would sit on the same cores (docs/performance.md).
        "ENABLE_CPU_PINNING": "NO",
    }
    try:
        compiled = core.compile_model(network, "CPU", {**settings, "CACHE_DIR": str(folder)})
    except RuntimeError as error:
        # OpenVINO gives up where it can neither read what it kept nor remove it.
        logger.warning("%s: compiling without the cache: %s", model.name, error)
        return core.compile_model(network, "CPU", settings)
    _let_others_read(folder)
    return compiled


def _let_others_read(folder: Path) -> None:
    for blob in folder.glob("*.blob"):  # which only their owner's group can read
        with contextlib.suppress(OSError):  # another user's own
            blob.chmod(0o644)


def _exported(model: Model) -> Path:
    """Return the exported network; made by a process of its own, which loads PyTorch."""
    name = f"network-{proof.CODE_VERSION}-{openvino.__version__.split('-')[0]}.xml"
    path = weights.derived_dir(model) / name
    if not path.is_file():
        run_aside("separation.engines.demucs.export", model.name, str(path))
    return path


def create(model: Model, backend: str) -> Engine:
    """Return an engine for this entry of the catalogue."""
    return OpenVinoDemucs(model, backend)
