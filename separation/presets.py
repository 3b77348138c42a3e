"""Named choices between speed and quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from separation.audio.overlap import Grid
from separation.catalog import Model
from separation.errors import InvalidRequest

MAX_SHIFTS = 16


@dataclass(frozen=True, slots=True)
class Preset:
    """How segments are laid over a recording.

    `overlap` is a share of a segment, the model's own where it is None; `shifts` is how many
    grids of segments are averaged, each at the price of a whole separation.
    """

    overlap: float | None = None
    shifts: int = 1


PRESETS: Mapping[str, Preset] = {
    "fast": Preset(overlap=0.1),
    "balanced": Preset(),
    "best": Preset(shifts=2),
}
DEFAULT = "balanced"


def grid(
    model: Model, preset: str = DEFAULT, overlap: float | None = None, shifts: int | None = None
) -> Grid:
    """Return where the segments lie; what is given singly wins over the preset.

    Raises
    ------
    InvalidRequest
        If there is no such preset, or a value is out of its range.
    """
    if preset not in PRESETS:
        raise InvalidRequest(f"There is no preset '{preset}'; there are {', '.join(PRESETS)}.")
    if overlap is not None and not 0 <= overlap <= 0.5:
        raise InvalidRequest("The overlap must be between 0 and 0.5.")
    if shifts is not None and not 1 <= shifts <= MAX_SHIFTS:
        raise InvalidRequest(f"There may be 1 to {MAX_SHIFTS} shifts.")
    chosen = PRESETS[preset]
    shares = (overlap, chosen.overlap, model.overlap)
    return Grid(
        segment=model.segment_samples,
        overlap=next(share for share in shares if share is not None),
        shifts=chosen.shifts if shifts is None else shifts,
    )
