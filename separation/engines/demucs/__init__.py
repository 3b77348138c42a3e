"""HTDemucs, and the ways to run it."""

from separation.engines import processor
from separation.engines.backends import REFERENCE, Backend, has_module

_HERE = __name__
_CPU = frozenset({"cpu"})


def _has_openvino_and_bfloat16() -> bool:
    return has_module("openvino") and processor.multiplies_bfloat16()


# Best first. What they gain is in docs/performance.md.
BACKENDS = (
    Backend("cuda-bf16", frozenset({"cuda"}), f"{_HERE}.cuda"),
    Backend("openvino-bf16", _CPU, f"{_HERE}.openvino", _has_openvino_and_bfloat16),
    Backend("torch-bf16", _CPU, f"{_HERE}.tuned", processor.multiplies_bfloat16),
    Backend("openvino-f32", _CPU, f"{_HERE}.openvino", lambda: has_module("openvino")),
    Backend("torch-f32", frozenset({"cpu", "cuda", "mps"}), f"{_HERE}.tuned"),
    Backend(REFERENCE, frozenset(), f"{_HERE}.eager"),
)
