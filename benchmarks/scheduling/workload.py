"""Who orders what, and how long the work on it takes."""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_RECORDED = Path(__file__).parent / "run_times.json"
_PREVIEW_SHARE = 0.2
PREVIEW_S = 30.0
# Songs: half of them between two and a half and five minutes; now and then an hour.
_MEDIAN_S, _SPREAD, _LONGEST_S = 210.0, 0.5, 3600.0


@dataclass(frozen=True)
class Order:
    at_s: float
    workspace: int
    audio_s: float
    run_s: float

    @property
    def is_preview(self) -> bool:
        return self.audio_s <= PREVIEW_S


class RunTimes:
    """Recorded run times, between which lies a straight line; `speed` divides them."""

    def __init__(self, speed: float) -> None:
        recorded = json.loads(_RECORDED.read_text())
        # A worker loads the model once.
        self._points: list[tuple[float, float]] = sorted(
            (float(job["audio_s"]), (float(job["run_s"]) - recorded["start_s"]) / speed)
            for job in recorded["jobs"]
        )

    def of(self, audio_s: float) -> float:
        points = self._points
        for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
            if audio_s <= x1:
                return y0 + (y1 - y0) * (audio_s - x0) / (x1 - x0)
        (x0, y0), (x1, y1) = points[-2:]
        return y1 + (y1 - y0) * (audio_s - x1) / (x1 - x0)


def orders(
    rng: random.Random, run_times: RunTimes, *, n_orders: int, n_workers: int, load: float
) -> Iterator[Order]:
    """Orders at random moments that keep `load` of the workers busy.

    There are twice as many workspaces as workers, and some order much more than others: the n-th
    as much as the first divided by the root of n.
    """
    lengths = [_length(rng) for _ in range(n_orders)]
    work_s = [run_times.of(length) for length in lengths]
    per_second = load * n_workers / (sum(work_s) / n_orders)
    n_workspaces = max(20, 2 * n_workers)
    weights = [(rank + 1) ** -0.5 for rank in range(n_workspaces)]
    who = rng.choices(range(n_workspaces), weights, k=n_orders)
    now = 0.0
    for workspace, audio_s, run_s in zip(who, lengths, work_s, strict=True):
        now += rng.expovariate(per_second)
        yield Order(now, workspace, audio_s, run_s)


def _length(rng: random.Random) -> float:
    if rng.random() < _PREVIEW_SHARE:
        return PREVIEW_S
    length = rng.lognormvariate(math.log(_MEDIAN_S), _SPREAD)
    return min(_LONGEST_S, max(PREVIEW_S + 1, length))
