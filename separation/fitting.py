"""Samples of stems as readers of their files will see them: exact sums, pass by pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from separation.engines import FloatArray
from separation.plans import Pass, Plan, Samples
from separation.residual import exact_floats, part_steps, whole_steps


@dataclass(slots=True)
class Fitted:
    """The recording (its name is empty) and all native stems; what was beyond full scale."""

    values: dict[str, Samples] = field(default_factory=dict)
    n_clipped: dict[str, int] = field(default_factory=dict)

    def add(self, one: Pass, native: Samples, n_clipped: Sequence[int]) -> None:
        # Where two models make a stem, the pass that comes first is meant.
        for name, samples, n in zip(one.native, native, n_clipped, strict=True):
            self.values.setdefault(name, samples)
            self.n_clipped.setdefault(name, n)


def fitted(plan: Plan, stems: FloatArray, mixture: FloatArray, bits: int | None) -> Fitted:
    """Fit the stems of each pass to what it took apart, that of the root to the recording.

    Stems that are not written are fitted too: each is the same whatever else is asked for.

    Parameters
    ----------
    plan : Plan
    stems : (native stems, channels, samples) float32
    mixture : (channels, samples) float32
    bits : int, optional
        16 or 24; None for floats.

    Returns
    -------
    Fitted
        Of int32 steps of full scale, or of floats.
    """
    found = Fitted()
    root, *children = zip(plan.passes, plan.blocks(stems), strict=True)
    one, block = root
    if bits is None:
        found.values[""] = mixture.astype(np.float64)
        found.add(one, _floats(one, block, mixture), [0] * len(block))
    else:
        steps, found.values[""], n_clipped = whole_steps(block, mixture, bits, one.rest)
        found.add(one, steps, n_clipped)
    for one, block in children:
        parent = plan.value(one.model.input, found.values)
        if bits is None:
            found.add(one, _floats(one, block, parent.astype(np.float32)), [0] * len(block))
        else:
            found.add(one, *part_steps(block, parent, bits, one.rest))
    return found


def _floats(one: Pass, stems: FloatArray, whole: FloatArray) -> FloatArray:
    return stems if one.rest is None else exact_floats(stems, whole, one.rest)
