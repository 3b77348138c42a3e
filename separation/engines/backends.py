"""The ways in which models are run, and which of them is taken where."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from separation.errors import InvalidRequest, OutOfMemory, SeparationError, is_out_of_memory

if TYPE_CHECKING:
    from separation.catalog import Model
    from separation.engines import Engine

logger = logging.getLogger(__name__)

REFERENCE = "torch-eager"


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to run a kind of model.

    `devices` are torch's kinds of devices; empty means any. `module` is imported when it is
    needed, and its `create(model, backend)` returns an engine.
    """

    name: str
    devices: frozenset[str]
    module: str
    is_supported: Callable[[], bool] = lambda: True

    def fits(self, device: str) -> bool:
        """Say whether it can be tried on a device, as `cpu` or `cuda:1`."""
        kind = device.partition(":")[0]
        return (not self.devices or kind in self.devices) and self.is_supported()


def has_module(name: str) -> bool:
    """Say whether a package is installed, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # there in part, or kept out by an importer
        return False


def resolve_device(device: str) -> str:
    """Return the device that is meant, and make sure that there is one.

    Parameters
    ----------
    device : str
        A torch device, as `cpu`, `cuda:1` or `mps`; `auto` is the best that there is.

    Raises
    ------
    InvalidRequest
        If torch does not have the device.
    """
    if device == "cpu":
        return device  # without PyTorch, which takes a second to import
    if device == "auto":
        return _best_device()
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InvalidRequest(f"The device '{device}' is not available here.") from error
    return device


def _best_device() -> str:
    if Path("/dev/nvidiactl").exists() or sys.platform in {"win32", "darwin"}:
        import torch

        if torch.cuda.is_available():
            return "cuda"
        if torch.backends.mps.is_available():
            return "mps"
    return "cpu"


def candidates(model: Model, device: str, wanted: str | None) -> Iterator[Backend]:
    """Yield the backends to try, best first, from the wanted one on down.

    Raises
    ------
    InvalidRequest
        If there is no backend of that name for the model, or it cannot run on the device.
    """
    known: tuple[Backend, ...] = importlib.import_module(model.engine).BACKENDS
    fitting = [backend for backend in known if backend.fits(device)]
    names = [backend.name for backend in fitting]
    if wanted is None:
        yield from fitting
    elif wanted in names:
        yield from fitting[names.index(wanted) :]
    else:
        raise InvalidRequest(
            f"The model '{model.name}' has no backend '{wanted}' on '{device}'; "
            f"it has {', '.join(names)}."
        )


def prepare(model: Model) -> Engine | None:
    """Make ready what the first load of installed weights on this machine's CPU would have to.

    Returns
    -------
    Engine or None
        What was loaded for it, for the caller to close; None if there was nothing to do.
    """
    return None if is_prepared(model) else load_best(model, "cpu")


def is_prepared(model: Model, device: str = "cpu", wanted: str | None = None) -> bool:
    """Say whether a load of installed weights takes seconds only, as all but the first do.

    Raises
    ------
    InvalidRequest
        See `candidates`.
    """
    from separation.engines import proof

    first = next(candidates(model, device, wanted))
    return first.name == REFERENCE or proof.is_known(model, first.name, device)


def load_best(model: Model, device: str, wanted: str | None = None) -> Engine:
    """Return a loaded engine of the first backend that works and proves itself.

    Raises
    ------
    InvalidRequest
        See `candidates`.
    SeparationError
        If the weights are wrong or missing, or there is not enough memory.
    """
    from separation.engines import proof

    for backend in candidates(model, device, wanted):
        try:
            engine: Engine = importlib.import_module(backend.module).create(model, backend.name)
            engine.load(device)
            proof.prove(engine, device)
        except (SeparationError, MemoryError) as error:
            raise error from None
        except Exception as error:  # whatever a library meets on a machine that nobody has tried
            if is_out_of_memory(error):
                raise OutOfMemory("There was not enough memory for the model.") from error
            if backend.name == REFERENCE:
                raise
            logger.warning("%s: stepping back from %s: %s", model.name, backend.name, error)
            continue
        logger.info("%s runs on %s with %s", model.name, device, backend.name)
        return engine
    raise InvalidRequest(f"The model '{model.name}' cannot run on '{device}'.")
