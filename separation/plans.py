"""What is done to make stems: model passes in order, and sums and differences of their stems."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from separation.catalog import Model, Stem
from separation.residual import Residual

Samples = npt.NDArray[Any]  # floats of any precision, or int32 steps of full scale


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of a model over the recording, or over a stem that a pass before it made.

    `native` are the model's own stems that are wanted, in the model's order.
    """

    model: Model
    native: tuple[str, ...]
    residual: Residual = Residual.KEEP

    @property
    def rest(self) -> int | None:
        """Which of `native` takes what the others leave of the input; None if nobody does."""
        if self.residual is Residual.KEEP:
            return None
        return self.native.index(self.model.rest)


@dataclass(frozen=True, slots=True)
class Plan:
    """The passes that make the stems asked for, and what becomes of their output.

    `passes` starts with that of the root model, which takes the recording; each other one takes a
    stem that is known by then. `stems` is what was asked for, in that order. `derived` are made
    of the recording and native stems, for who asked or for a pass, each behind those that it is
    made of. `residual` says who takes what the native stems of a pass leave of its input.
    """

    passes: tuple[Pass, ...]
    stems: tuple[str, ...]
    derived: tuple[Stem, ...] = ()
    residual: Residual = Residual.KEEP

    @property
    def model(self) -> Model:
        """The root model."""
        return self.passes[0].model

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model, in the order of the passes."""
        return tuple(one.model for one in self.passes)

    @property
    def native(self) -> tuple[str, ...]:
        """The stems that models make, in the order of the passes, within one of the model."""
        return tuple(name for one in self.passes for name in one.native)

    def with_residual(self, residual: Residual) -> Plan:
        """Return the plan with this setting; all but KEEP take all stems of each model."""
        is_kept = residual is Residual.KEEP
        passes = tuple(
            replace(one, residual=residual, native=one.native if is_kept else one.model.stems)
            for one in self.passes
        )
        return replace(self, passes=passes, residual=residual)

    def blocks(self, stems: Samples) -> list[Samples]:
        """Return the native stems of each pass, of an array whose first axis is `native`."""
        ends = np.cumsum([len(one.native) for one in self.passes])
        return np.split(stems, ends[:-1])

    def value(self, name: str, values: Mapping[str, Samples]) -> Samples:
        """Return the samples of a stem, native or derived.

        Parameters
        ----------
        name : str
            A stem of the plan; the empty name is the recording.
        values : mapping of str to (channels, n) array
            The recording, and the native stems that are known by now.
        """
        if name in values:
            return values[name]
        stem = next(one for one in self.derived if one.name == name)
        return total(stem, lambda term: self.value(term, values))


def total(stem: Stem, value: Callable[[str], Samples]) -> Samples:
    """Return the sum or the difference that a derived stem is, of the values of its terms.

    Integers are added as they are, floats in double precision.
    """
    if stem.plus:
        return _sum(stem.plus, value)
    return _wide(value(stem.parent)) - _sum(stem.minus, value)


def _sum(names: Sequence[str], value: Callable[[str], Samples]) -> Samples:
    first, *others = names
    added = _wide(value(first))
    for name in others:
        added = added + value(name)
    return added


def _wide(samples: Samples) -> Samples:
    return samples if samples.dtype == np.int32 else samples.astype(np.float64)
