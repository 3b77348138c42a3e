"""From runs to the figures that are reported."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.engine.runs import Run

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, and how far they lie apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def ratios(peers: Sequence[float], ours: Sequence[float]) -> list[float]:
    """Return, round by round, how many times as long the peer took.

    Each round has its own: what else the machine did meanwhile it did to both.
    """
    return [peer / own for peer, own in zip(peers, ours, strict=True)]


def row(
    *,
    backend: str,
    preset: str,
    audio_s: float,
    runs: Sequence[Run],
    peers: Sequence[Run],
    sdr_db: Sequence[float],
    fidelity_db: float | None,
    floor_s: float,
) -> Row:
    """Return what is reported of one contestant on one song.

    Parameters
    ----------
    backend, preset : str
    audio_s : float
    runs, peers : sequence of Run
        Its own and the peer's, of the same rounds.
    sdr_db : sequence of float
        Against the true stems, mean over these; one for each round in which it was measured.
    fidelity_db : float, optional
        Of the worst stem against the reference; None for the reference itself and the peer.
    floor_s : float
        The least time that the work can take.
    """
    walls_s = [run.wall_s for run in runs]
    wall = Spread.of([wall_s / audio_s for wall_s in walls_s])
    wall_ratio = Spread.of(ratios([peer.wall_s for peer in peers], walls_s))
    cpu_ratio = Spread.of(ratios([peer.cpu_s for peer in peers], [run.cpu_s for run in runs]))
    sdr = Spread.of(sdr_db)
    return {
        "backend": backend,
        "preset": preset,
        "audio_s": audio_s,
        "rounds": len(runs),
        "wall_ratio_to_peer": round(wall_ratio.median, 3),
        "wall_ratio_range": [round(wall_ratio.low, 3), round(wall_ratio.high, 3)],
        "cpu_ratio_to_peer": round(cpu_ratio.median, 3),
        "fidelity_db": None if fidelity_db is None else round(fidelity_db, 1),
        "sdr_db": round(sdr.median, 3),
        "sdr_range_db": [round(sdr.low, 3), round(sdr.high, 3)],
        "peak_mb": round(max(run.peak_mb for run in runs)),
        "wall_s_per_s": round(wall.median, 4),
        "wall_s_per_s_range": [round(wall.low, 4), round(wall.high, 4)],
        "cpu_s_per_s": round(statistics.median(run.cpu_s for run in runs) / audio_s, 4),
        "load_s": round(statistics.median(run.load_s for run in runs), 2),
        "floor_wall_s_per_s": round(floor_s / audio_s, 4),
        "share_of_floor": round(floor_s / statistics.median(walls_s), 3),
    }


def worst(sdrs_db: Mapping[str, float]) -> float:
    """Return the SDR of the stem that has the lowest."""
    return min(sdrs_db.values())
