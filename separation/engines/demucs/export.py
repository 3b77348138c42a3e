"""HTDemucs for OpenVINO, from its PyTorch weights: `python -m separation.engines.demucs.export`.

References
----------
OpenVINO IR, https://docs.openvino.ai/2026/documentation/openvino-ir-format.html
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

from separation import catalog, weights
from separation.catalog import Model
from separation.engines.demucs.core import HTDemucsCore
from separation.engines.demucs.eager import build_network
from separation.engines.demucs.spectrum import N_BINS, n_frames

# Of these, all but the outermost may be rounded to bfloat16; rounding those costs 10 dB.
_PARTS = ("transformer", "encoder", "tencoder", "decoder", "tdecoder")
_LAYERS = tuple(f"__module.{part}" for part in _PARTS)
_DRAFTS = "draft-"
_NO_OPERATIONS = {"Const", "Parameter", "Result"}


def export(model: Model, path: Path) -> None:
    """Write the network between the transforms as `path` and the same name with `.bin`.

    Parameters
    ----------
    model : Model
        With installed weights.
    path : path
        Ends in `.xml`; appears last and complete.
    """
    network = build_network(model, weights.load_state(model))
    core = HTDemucsCore(network, model.segment_samples).eval()
    outer = _outer_prefixes(core)
    shapes = ((1, 4, N_BINS, n_frames(model.segment_samples)), (1, 2, model.segment_samples))
    converted = _converted(core, shapes)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f"{_DRAFTS}*"):  # of an export that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_DRAFTS, dir=path.parent) as folder:
        draft = Path(folder) / path.name
        openvino.save_model(converted, draft, compress_to_fp16=False)
        _keep_in_float32(draft, outer)
        for file in (draft.with_suffix(".bin"), draft):
            file.chmod(0o644)  # other users run workers from the same cache
            os.replace(file, path.with_name(file.name))


def _converted(core: HTDemucsCore, shapes: tuple[tuple[int, ...], ...]) -> openvino.Model:
    # Not `openvino.convert_model`, which reports its use to its authors where it can.
    examples = tuple(torch.zeros(shape) for shape in shapes)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lengths become constants, as they should
        trace: Any = torch.jit.trace
        traced = trace(core, examples, check_trace=False)
        decoder = TorchScriptPythonDecoder(traced, example_input=examples)
        frontend = FrontEndManager().load_by_framework("pytorch")
        converted = frontend.convert(frontend.load(decoder))
    converted.reshape({index: list(shape) for index, shape in enumerate(shapes)})
    converted.validate_nodes_and_infer_types()
    return converted


def _outer_prefixes(core: HTDemucsCore) -> tuple[str, ...]:
    last = len(core.decoder) - 1
    names = ("encoder.0", "tencoder.0", f"decoder.{last}", f"tdecoder.{last}")
    return tuple(f"__module.{name}{end}" for name in names for end in "./")


def _keep_in_float32(path: Path, outer: tuple[str, ...]) -> None:
    """Mark the operations of the outermost layers, and those of no layer, as precise."""
    tree = ElementTree.parse(path)  # noqa: S314 - written a moment ago
    n_marked = 0
    for layer in tree.iterfind("layers/layer"):
        name = layer.get("name", "")
        is_inner = name.startswith(_LAYERS) and not name.startswith(outer)
        if is_inner or layer.get("type") in _NO_OPERATIONS:
            continue
        info = layer.find("rt_info")
        if info is None:
            info = ElementTree.Element("rt_info")
            layer.insert(0, info)
        ElementTree.SubElement(info, "attribute", name="precise", version="0")
        n_marked += 1
    if not n_marked:
        raise RuntimeError("The exported network has no operations of the outermost layers.")
    tree.write(path, encoding="utf-8", xml_declaration=True)


if __name__ == "__main__":
    export(catalog.model(sys.argv[1]), Path(sys.argv[2]))
