"""How far found turns are from true ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate

from benchmarks.speakers.contestant import Turns

# pyannote.metrics takes the whole width that is left out around a boundary.
COLLAR_S = 0.5


@dataclass(frozen=True, slots=True)
class Case:
    """One recording: who spoke when, and what was found."""

    reference: Turns
    found: Turns
    duration_s: float


@dataclass(frozen=True, slots=True)
class Score:
    """How a set came out; rates in percent of the speech, `jer` over speakers.

    `der` has no collar, `der_collar` one of 0.25 s on each side; both count overlaps.
    `miss`, `false_alarm` and `confusion` add up to `der`. `exact` and `within_one` count
    recordings by how many speakers were found.
    """

    recordings: int
    der: float
    der_collar: float
    jer: float
    miss: float
    false_alarm: float
    confusion: float
    exact: int
    within_one: int


def score(cases: Iterable[Case]) -> Score:
    """Return how recordings came out, all together: their errors are added up before dividing."""
    # Typed in part only.
    metrics: Any = (DiarizationErrorRate, JaccardErrorRate)
    der, collared, jer = metrics[0](), metrics[0](collar=COLLAR_S), metrics[1]()
    differences = []
    for case in cases:
        reference, found = annotation(case.reference), annotation(case.found)
        scored = Timeline([Segment(0, case.duration_s)])
        for metric in (der, collared, jer):
            metric(reference, found, uem=scored)
        differences.append(abs(len(reference.labels()) - len(found.labels())))
    total = der["total"] / 100
    return Score(
        recordings=len(differences),
        der=100 * abs(der),
        der_collar=100 * abs(collared),
        jer=100 * abs(jer),
        miss=der["missed detection"] / total,
        false_alarm=der["false alarm"] / total,
        confusion=der["confusion"] / total,
        exact=sum(difference == 0 for difference in differences),
        within_one=sum(difference <= 1 for difference in differences),
    )


def annotation(turns: Turns) -> Annotation:
    """Return turns as pyannote has them."""
    made = Annotation()
    for start, end, speaker in turns:
        if end > start:
            segment = Segment(start, end)
            made[segment, made.new_track(segment)] = speaker
    return made


def matched(reference: Turns, found: Turns) -> dict[str, str]:
    """Return for each true speaker the found one who fits best, none of them twice."""
    mapping = DiarizationErrorRate().optimal_mapping(annotation(reference), annotation(found))
    return {str(true): str(name) for name, true in mapping.items()}
