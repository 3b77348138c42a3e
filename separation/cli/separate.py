"""`separate`: one recording in, its stems out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from separation import presets
from separation.audio import formats
from separation.cli.terminal import echo, shown_progress
from separation.pipeline import SeparationResult, separate
from separation.residual import Residual


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="audio or video file")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder for the stems")
    parser.add_argument(
        "--stems", type=_names, help="names separated by commas; all of the model when left out"
    )
    parser.add_argument(
        "--model", help="of the one that takes the recording apart; the best one when left out"
    )
    parser.add_argument(
        "--format",
        default="wav",
        choices=formats.NAMES,
        help="`wav` and `flac` take the depth of the source (default: wav)",
    )
    parser.add_argument(
        "--preset",
        default=presets.DEFAULT,
        choices=list(presets.PRESETS),
        help=f"between speed and quality (default: {presets.DEFAULT})",
    )
    parser.add_argument("--overlap", type=float, help="share of a segment, 0 to 0.5")
    parser.add_argument("--shifts", type=int, help="how many grids of segments are averaged")
    parser.add_argument(
        "--residual",
        default=Residual.SPREAD.value,
        choices=[item.value for item in Residual],
        help="who takes what the stems leave of the recording: each by its level, the model's "
        "rest stem, or nobody (default: spread)",
    )
    parser.add_argument("--device", default="cpu", help="torch device, or `auto`")
    parser.add_argument("--backend", help="what runs the model; the best when left out")
    parser.add_argument("--encoders", type=int, help="processes that encode the stems")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.set_defaults(command=_separate)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _separate(options: argparse.Namespace) -> None:
    with shown_progress() as progress:
        result = separate(
            options.input,
            options.output,
            stems=options.stems,
            model=options.model,
            output_format=options.format,
            preset=options.preset,
            overlap=options.overlap,
            shifts=options.shifts,
            residual=options.residual,
            device=options.device,
            backend=options.backend,
            encoders=options.encoders,
            on_progress=progress,
        )
    if options.json:
        echo(json.dumps(_as_json(result)))
        return
    for name, path in result.stems.items():
        echo(f"{name}: {path}")
    clipped = sum(result.clipped_samples.values())
    if clipped:
        echo(f"{clipped} samples were clipped; --format wav32f keeps them", to_stderr=True)


def _as_json(result: SeparationResult) -> Mapping[str, Any]:
    return {
        "stems": {name: str(path) for name, path in result.stems.items()},
        "sample_rate": result.sample_rate,
        "n_samples": result.n_samples,
        "channels": result.channels,
        "model": result.model,
        "models": list(result.models),
        "seconds": round(result.seconds, 3),
        "clipped_samples": dict(result.clipped_samples),
    }
