"""Takes recordings apart into stems, as a plain library.

`plan` says which models make the stems asked for, `probe` what a recording is, `separate` does
the work in constant memory. `catalog` holds what stems and models there are; every failure is
one of `errors`.
"""

from separation import catalog, errors
from separation.audio.info import AudioInfo, AudioLimits
from separation.audio.probe import probe
from separation.parts import Part, parts_in
from separation.pipeline import SeparationResult, separate
from separation.planning import Plan, plan
from separation.progress import OnProgress

__all__ = [
    "AudioInfo",
    "AudioLimits",
    "OnProgress",
    "Part",
    "Plan",
    "SeparationResult",
    "catalog",
    "errors",
    "parts_in",
    "plan",
    "probe",
    "separate",
]
