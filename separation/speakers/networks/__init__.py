"""The two networks that tell speakers apart, behind one small protocol, loaded on first use."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from separation import catalog, weights
from separation.catalog import AvailabilityStatus, Tool
from separation.engines import processor
from separation.engines.backends import Backend, has_module, resolve_device
from separation.errors import (
    InvalidRequest,
    ModelForbidden,
    OutOfMemory,
    SeparationError,
    is_out_of_memory,
)
from separation.speakers.vbx import Plda
from separation.weights import graphs

logger = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float32]

SAMPLE_RATE = 16000
CHUNK_SAMPLES = 10 * SAMPLE_RATE
CHUNK_FRAMES = 589
# Who of a chunk's three speakers speaks in a frame, by class.
POWERSET = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
# Frames of features that make one row of the trunk's output, and that row's size.
TRUNK_STRIDE = 8
TRUNK_SIZE = 2560
EMBEDDING_SIZE = 256
# Added to the variance under the root, as in training.
VARIANCE_FLOOR = 1e-7


class Networks(Protocol):
    """Segmentation and speaker embedding on one device; several threads may use them at once.

    An embedding is `project` of the mean and the deviation of those rows of `trunk` in which the
    speaker speaks: see `statistics`.
    """

    @property
    def tool(self) -> Tool:
        """The catalogue's entry."""

    @property
    def backend(self) -> str:
        """What runs them, as in `openvino-f32`."""

    @property
    def plda(self) -> Plda | None:
        """How the embeddings of speakers differ, for `vbx`, where the tool says it."""

    @property
    def batch_size(self) -> int:
        """How many chunks `segment` takes best at once; any other number works as well."""

    def segment(self, chunks: FloatArray) -> FloatArray:
        """Say who of up to three speakers speaks in each frame of each chunk.

        Parameters
        ----------
        chunks : (batch, 160000) float32, -1..1, 16 kHz mono

        Returns
        -------
        (batch, 589, 7) float32, natural logarithms of the probabilities of `POWERSET`

        References
        ----------
        Plaquet, Bredin: Powerset multi-class cross entropy loss for neural speaker diarization,
        Interspeech 2023, https://doi.org/10.21437/Interspeech.2023-205
        """

    def trunk(self, features: FloatArray) -> FloatArray:
        """Return what the embedding network sees before it pools over time.

        Parameters
        ----------
        features : (batch, frames, 80) float32, of `separation.speakers.fbank`, their mean removed

        Returns
        -------
        (batch, ceil(frames / 8), 2560) float32
        """

    def project(self, statistics: FloatArray) -> FloatArray:
        """Turn pooled statistics, (n, 5120), into embeddings, (n, 256), of any length."""

    def close(self) -> None:
        """Let go of the weights."""


BACKENDS = (
    Backend(
        "openvino-bf16",
        frozenset({"cpu"}),
        "separation.speakers.networks.compiled",
        lambda: processor.multiplies_bfloat16() and has_module("openvino"),
    ),
    Backend(
        "openvino-f32",
        frozenset({"cpu"}),
        "separation.speakers.networks.compiled",
        lambda: has_module("openvino"),
    ),
    Backend("torch-f32", frozenset(), "separation.speakers.networks.eager"),
)
_LAST = BACKENDS[-1].name

_resident: dict[tuple[str, str, str | None], Networks] = {}
# One load at a time, for want of memory; who wants what is resident does not wait for it.
_loading = threading.Lock()


def load_networks(tool: Tool, device: str = "cpu", backend: str | None = None) -> Networks:
    """Return loaded networks, kept for the life of the process.

    Weights that are missing are installed first. Calls at the same time load them once.

    Parameters
    ----------
    tool : Tool
        An entry of the catalogue whose task is `diarization`.
    device : str
        A torch device, as `cpu` or `cuda:1`; `auto` is the best that there is.
    backend : str, optional
        The one of `BACKENDS` to begin with; the best when left out.

    Raises
    ------
    InvalidRequest
        If torch does not have the device, or there is no such backend.
    ModelForbidden
        If the policy forbids the weights' licence.
    ModelUnavailable
        If the weights are missing and no source can be reached.
    WeightsMismatch
        If the weights are not what the catalogue pins.
    OutOfMemory
        If there is not enough memory for them.
    """
    state = catalog.availability(tool)
    if state.status is AvailabilityStatus.FORBIDDEN:
        raise ModelForbidden(f"The model '{tool.name}' is not available. {state.reason}")
    key = (tool.name, resolve_device(device), backend)
    resident = _resident.get(key)
    if resident is not None:
        return resident
    with _loading:
        if key not in _resident:
            weights.install(tool)
            _resident[key] = _load_best(tool, key[1], backend)
        return _resident[key]


def resident_networks() -> list[tuple[str, str, str]]:
    """Return the tool, device and backend of all loaded networks."""
    return [(tool, device, one.backend) for (tool, device, _), one in list(_resident.items())]


def close_networks() -> None:
    """Let go of all networks."""
    with _loading:
        networks = list(_resident.values())
        _resident.clear()
        for each in networks:
            each.close()


def statistics(rows: FloatArray) -> FloatArray:
    """Pool rows of `trunk`, (n, 2560), n >= 2, into the (5120,) that `project` takes."""
    variance = rows.var(axis=0, ddof=1)
    pooled = np.concatenate([rows.mean(axis=0), np.sqrt(variance + VARIANCE_FLOOR)])
    return pooled.astype(np.float32, copy=False)


def _candidates(tool: Tool, device: str, wanted: str | None) -> Iterator[Backend]:
    fitting = [each for each in BACKENDS if each.fits(device)]
    if not graphs.are_kept(tool):
        fitting = [each for each in fitting if each.name == _LAST]
    names = [each.name for each in fitting]
    if wanted is not None and wanted not in names:
        raise InvalidRequest(
            f"The model '{tool.name}' has no backend '{wanted}' on '{device}'; "
            f"it has {', '.join(names)}."
        )
    yield from fitting[names.index(wanted) if wanted else 0 :]


def _load_best(tool: Tool, device: str, wanted: str | None) -> Networks:
    from separation.speakers.networks import proof

    for backend in _candidates(tool, device, wanted):
        try:
            module = importlib.import_module(backend.module)
            networks: Networks = module.create(tool, backend.name, device)
            if backend.name != _LAST:
                proof.prove(networks)
        except (SeparationError, MemoryError) as error:
            raise error from None
        except Exception as error:  # whatever a library meets on a machine that nobody has tried
            if is_out_of_memory(error):
                raise OutOfMemory("There was not enough memory for the model.") from error
            if backend.name == _LAST:
                raise
            logger.warning("%s: stepping back from %s: %s", tool.name, backend.name, error)
            continue
        logger.info("%s runs on %s with %s", tool.name, device, backend.name)
        return networks
    raise InvalidRequest(f"The model '{tool.name}' cannot run on '{device}'.")
