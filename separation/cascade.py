"""A segment through all passes of a plan: the root model's stems, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from separation.apart import Apart, Pair
from separation.batching import Recording, Ticket
from separation.engines import FloatArray
from separation.plans import Pass, Plan

# Waits, in the caller's way, for what an engine makes of segments.
Results = Callable[[Ticket], list[FloatArray]]


class Cascade:
    """Takes a segment apart, and its stems again, each by the model of its pass.

    A child hears its parent as the pass before returned it, before segments are crossfaded. So
    one segment at a time is in memory, whatever is asked for.

    Parameters
    ----------
    plan : Plan
    recordings : sequence of Recording
        Open places in the queues of the engines, one for each of the plan's models.
    """

    def __init__(self, plan: Plan, recordings: Sequence[Recording]) -> None:
        self._plan = plan
        self._recordings = recordings
        self.root = _apart(plan.passes[0])
        self._children = [(one, _apart(one)) for one in plan.passes[1:]]

    def stems(
        self,
        mixture: FloatArray,
        pairs: Sequence[Pair],
        estimates: Sequence[FloatArray],
        results: Results,
    ) -> FloatArray:
        """Return all native stems of a segment.

        Parameters
        ----------
        mixture : (channels, segment) float32
        pairs : sequence of Pair
            What `root.pairs` returned for it.
        estimates : sequence of (root model's stems, 2, segment) float32
            One a pair; may be changed.
        results : callable
            Waits for a ticket of a child's.

        Returns
        -------
        (native stems, channels, segment) float32, always finite
        """
        first = self.root.stems(mixture, pairs, estimates)
        if not self._children:
            return first
        blocks = [first]
        values = {"": mixture} | dict(zip(self._plan.passes[0].native, first, strict=True))
        for (one, apart), recording in zip(self._children, self._recordings[1:], strict=True):
            parent = self._plan.value(one.model.input, values).astype(np.float32, copy=False)
            block = _through(parent, apart, recording, results)
            blocks.append(block)
            values = dict(zip(one.native, block, strict=True)) | values
        return np.concatenate(blocks)


def _apart(one: Pass) -> Apart:
    return Apart(one.model, one.native, one.residual)


def _through(
    parent: FloatArray, apart: Apart, recording: Recording, results: Results
) -> FloatArray:
    pairs = apart.pairs(parent)
    ticket = recording.submit([pair.mixture for pair in pairs])
    try:
        return apart.stems(parent, pairs, results(ticket))
    finally:
        ticket.release()
