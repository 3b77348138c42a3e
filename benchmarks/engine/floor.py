"""The least time that a machine can need: `python -m benchmarks.engine.floor` prints JSON.

Operations of the network over what the machine reaches in a plain matrix product. The transforms,
normalisations and everything else that is not a product count for nothing.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from separation.audio.overlap import Grid

if TYPE_CHECKING:
    import torch

# Their weights stay in float32 in every backend that rounds (separation/engines/demucs/core.py).
_OUTERMOST = ("encoder.0.", "tencoder.0.", "decoder.3.", "tdecoder.3.")

# Large enough for the full speed, and short enough to be left alone by other processes at times.
_MATRIX = 1024
_TRIAL_S = 3.0


@dataclass(frozen=True, slots=True)
class Operations:
    """Multiplications and additions for one segment: of the outermost layers, and of the rest."""

    outer: float
    inner: float

    @property
    def total(self) -> float:
        return self.outer + self.inner


@dataclass(frozen=True, slots=True)
class Peaks:
    """Operations a second in a matrix product; `bf16` rounds its inputs to bfloat16."""

    f32: float
    bf16: float

    def or_better(self, other: Peaks) -> Peaks:
        """Return the higher of each: a peak is what was reached at all."""
        return Peaks(max(self.f32, other.f32), max(self.bf16, other.bf16))


def n_segments(grid: Grid, n_samples: int) -> int:
    """Return how many segments a recording is cut into."""
    last = 0
    while grid.start(last) + grid.segment < n_samples:
        last += 1
    return last + 1 if n_samples else 0


def floor_s(operations: Operations, peaks: Peaks, *, rounds: bool) -> float:
    """Return the least seconds for a segment.

    Parameters
    ----------
    operations : Operations
    peaks : Peaks
    rounds : bool
        Whether all but the outermost layers are rounded to bfloat16.
    """
    inner_peak = peaks.bf16 if rounds else peaks.f32
    return operations.outer / peaks.f32 + operations.inner / inner_peak


def convolution_operations(layer: Any, inputs: torch.Tensor, output: torch.Tensor) -> float:
    """Return the operations of a convolution, also of a transposed one."""
    # Each value of the output takes one kernel; transposed, each of the input meets one.
    places = inputs if layer.transposed else output
    return 2.0 * int(layer.weight[0].numel()) * places.numel()


def attention_operations(batch: int, n_asking: int, n_answering: int, width: int) -> float:
    """Return the operations of multi-head attention, with its four projections."""
    projections = 2 * width * width * (2 * n_asking + 2 * n_answering)
    scores_and_sum = 2 * 2 * n_asking * n_answering * width
    return float(batch * (projections + scores_and_sum))


def count(network: torch.nn.Module, segment: torch.Tensor) -> Operations:
    """Count while the network takes one segment, (1, 2, segment_samples), apart.

    PyTorch's own counter does not see the attention of the fused kernels.
    """
    import torch

    counted = {True: 0.0, False: 0.0}
    hooks = []

    def watch(name: str, module: torch.nn.Module) -> None:
        def add(module: Any, inputs: Any, keywords: Any, output: Any) -> None:
            if isinstance(module, torch.nn.MultiheadAttention):
                asking, answering = inputs[:2] if len(inputs) > 1 else _named(inputs, keywords)
                batch, n_asking, width = asking.shape
                amount = attention_operations(batch, n_asking, answering.shape[1], width)
            elif isinstance(module, torch.nn.Linear):
                amount = 2.0 * output.numel() * module.in_features
            else:
                amount = convolution_operations(module, inputs[0], output)
            counted[f"{name}.".startswith(_OUTERMOST)] += amount

        hooks.append(module.register_forward_hook(add, with_kwargs=True))

    kinds = (
        torch.nn.Conv1d,
        torch.nn.Conv2d,
        torch.nn.ConvTranspose1d,
        torch.nn.ConvTranspose2d,
        torch.nn.Linear,
        torch.nn.MultiheadAttention,
    )
    for name, module in network.named_modules():
        # The last projection of an attention is counted with it.
        if isinstance(module, kinds) and not name.endswith("out_proj"):
            watch(name, module)
    try:
        with torch.no_grad():
            network(segment)
    finally:
        for hook in hooks:
            hook.remove()
    return Operations(outer=counted[True], inner=counted[False])


def _named(inputs: Any, keywords: Any) -> tuple[Any, Any]:
    asking = inputs[0] if inputs else keywords["query"]
    return asking, keywords["key"]


def operations_of(model_name: str) -> Operations:
    """Count the operations of a model of the HTDemucs kind for one segment."""
    import torch

    from separation import catalog, weights
    from separation.engines.demucs.eager import build_network

    model = catalog.model(model_name)
    weights.install(model)
    network = build_network(model, weights.load_state(model))
    return count(network, torch.randn(1, 2, model.segment_samples) * 0.1)


def measure_peaks(device: str = "cpu", size: int = _MATRIX) -> Peaks:
    """Multiply square matrices for some seconds; take the best."""
    import torch

    return Peaks(f32=_peak(torch.float32, device, size), bf16=_peak(torch.bfloat16, device, size))


def _peak(dtype: torch.dtype, device: str, size: int) -> float:
    import torch

    matrix = torch.randn(size, size, device=device).to(dtype)
    best = float("inf")
    until = time.monotonic() + _TRIAL_S
    while time.monotonic() < until:
        started = time.monotonic()
        torch.mm(matrix, matrix)
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.monotonic() - started)
    return 2 * size**3 / best


if __name__ == "__main__":
    values: dict[str, Any] = {"peaks": asdict(measure_peaks())}
    if len(sys.argv) > 1:
        values["operations"] = asdict(operations_of(sys.argv[1]))
    sys.stdout.write(json.dumps(values) + "\n")
