"""Models behind one small protocol, each imported on first use."""

from __future__ import annotations

import importlib
import threading
from typing import Protocol

import numpy as np
import numpy.typing as npt

from separation import batching, catalog, weights
from separation.catalog import AvailabilityStatus, Model
from separation.errors import InvalidRequest, ModelForbidden

FloatArray = npt.NDArray[np.float32]


class Engine(Protocol):
    """A model that takes segments apart, a batch at a time.

    `separation.batching` is the only caller of `separate` in a process: it forms the batches.
    """

    @property
    def info(self) -> Model:
        """The model's entry in the catalogue."""

    @property
    def backend(self) -> str:
        """What runs the model, as in `torch-eager`."""

    @property
    def lanes(self) -> int:
        """How many calls of `separate` may run at the same time, each from its own thread."""

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The sizes that one call takes without waste, ascending; `(1,)` on a CPU."""

    def load(self, device: str) -> None:
        """Read the weights onto a torch device; a second call does nothing."""

    def separate(self, mixtures: FloatArray) -> FloatArray:
        """Take a batch of segments apart, each by itself.

        Parameters
        ----------
        mixtures : (batch, 2, segment_samples) float32, -1..1, at the model's own sample rate
            Contiguous; `batch` is one of `batch_sizes`. Left as it is.

        Returns
        -------
        (batch, n_stems, 2, segment_samples) float32, stems in the model's order
            An array that the engine does not touch again.
        """

    def close(self) -> None:
        """Let go of the weights."""


_resident: dict[tuple[str, str], Engine] = {}
_lock = threading.Lock()


def create_engine(model: Model) -> Engine:
    """Import the engine that the catalogue names for `model`; no weights are read."""
    module = importlib.import_module(model.engine)
    engine: Engine = module.create(model)
    return engine


def load_engine(model: Model, device: str = "cpu", backend: str | None = None) -> Engine:
    """Return a loaded engine, kept for the life of the process.

    Weights that are missing are installed first. Calls at the same time load a model once.

    Raises
    ------
    InvalidRequest
        If torch does not have the device, or there is no such backend.
    ModelForbidden
        If the policy forbids the model's licence.
    ModelUnavailable
        If the weights are missing and no source can be reached.
    WeightsMismatch
        If the weights are not what the catalogue pins.
    """
    if backend is not None:
        raise InvalidRequest(f"There is no backend '{backend}'.")
    state = catalog.availability(model)
    if state.status is AvailabilityStatus.FORBIDDEN:
        raise ModelForbidden(f"The model '{model.name}' is not available. {state.reason}")
    _check_device(device)
    key = (model.name, device)
    with _lock:
        if key not in _resident:
            weights.install(model)
            engine = create_engine(model)
            engine.load(device)
            _resident[key] = engine
        return _resident[key]


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InvalidRequest(f"The device '{device}' is not available here.") from error


def close_engines() -> None:
    """Let go of every resident engine."""
    with _lock:
        for engine in _resident.values():
            batching.close_queue(engine)
            engine.close()
        _resident.clear()
