"""What the engines have in common."""

from __future__ import annotations

from separation.catalog import Model


class BaseEngine:
    """An engine that knows its model and backend, and takes one segment at a time.

    Parameters
    ----------
    model : Model
    backend : str
        Its name, as its package lists it.
    """

    def __init__(self, model: Model, backend: str) -> None:
        self._model = model
        self._backend = backend

    @property
    def info(self) -> Model:
        return self._model

    @property
    def backend(self) -> str:
        return self._backend

    @property
    def lanes(self) -> int:
        return 1

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        return (1,)
