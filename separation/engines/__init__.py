"""Models behind one small protocol, each imported on first use."""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np
import numpy.typing as npt

from separation import batching, catalog, weights
from separation.catalog import AvailabilityStatus, Model
from separation.engines import backends
from separation.errors import ModelForbidden

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
            Contiguous; `batch` is one of `batch_sizes`. Left as it is. A model with an `input`
            takes segments of any length: they are as long as those of the root model.

        Returns
        -------
        (batch, n_stems, 2, as many samples) float32, stems in the model's order
            An array that the engine does not touch again.

        Raises
        ------
        EngineClosed
            If it is not loaded, or not any more.
        """

    def close(self) -> None:
        """Let go of the weights."""


_resident: dict[tuple[str, str, str | None], Engine] = {}
# One load at a time, for want of memory; who wants what is resident does not wait for it.
_loading = threading.Lock()


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
    state = catalog.availability(model)
    if state.status is AvailabilityStatus.FORBIDDEN:
        raise ModelForbidden(f"The model '{model.name}' is not available. {state.reason}")
    key = (model.name, backends.resolve_device(device), backend)
    resident = _resident.get(key)
    if resident is not None:
        return resident
    with _loading:
        if key not in _resident:
            if model.has_weights:
                weights.install(model)
            _resident[key] = backends.load_best(model, key[1], backend)
        return _resident[key]


def is_prepared(model: Model, device: str = "cpu", backend: str | None = None) -> bool:
    """Say whether `load_engine` takes seconds only, and not half a minute as on its first call."""
    key = (model.name, backends.resolve_device(device), backend)
    return key in _resident or backends.is_prepared(model, key[1], backend)


def resident_engines() -> list[tuple[str, str, str]]:
    """Return the model, device and backend of each loaded engine."""
    return [(model, device, one.backend) for (model, device, _), one in list(_resident.items())]


def close_engines() -> None:
    """Let go of every resident engine; separations under way end with EngineClosed."""
    with _loading:
        engines = list(_resident.values())
        _resident.clear()
        for engine in engines:
            batching.close_queue(engine)
            engine.close()
