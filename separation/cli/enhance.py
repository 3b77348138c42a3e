"""`enhance`: one recording in, the same without noise, echoes or the sound of the room out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from separation.audio import formats
from separation.cli.terminal import echo, shown_progress
from separation.converting import enhance
from separation.enhance import steps
from separation.errors import InvalidRequest
from separation.resources import probed

_NAME = "enhanced"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="audio or video file")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="OUT",
        help=f"folder for the file, which is named `{_NAME}`, or a file such as clean.wav",
    )
    parser.add_argument(
        "--steps",
        required=True,
        type=_names,
        help=f"what is done, in this order, separated by commas: {', '.join(steps.NAMES)}",
    )
    parser.add_argument(
        "--format",
        choices=formats.NAMES,
        help="`wav` and `flac` take the depth of the source (default: that of OUT, or wav)",
    )
    parser.add_argument("--start", type=float, metavar="S", help="from this second on")
    parser.add_argument("--end", type=float, metavar="S", help="up to this second")
    parser.add_argument("--device", default="cpu", help="torch device, or `auto`")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.set_defaults(command=_enhance)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _enhance(options: argparse.Namespace) -> None:
    # Before the recording is decoded: it may be long.
    steps.check_steps(options.steps)
    for step in options.steps:
        steps.tool_of(step)
    folder, name, form = _place(options.output, options.format)
    with shown_progress() as progress:
        info = probed(Path(options.input), None, progress)
        result = enhance(
            options.input,
            folder,
            steps=options.steps,
            output_formats=[form],
            name=name,
            start=_sample(options.start, info.sample_rate),
            end=_sample(options.end, info.sample_rate),
            info=info,
            device=options.device,
            on_progress=progress,
        )
    if options.json:
        values = result.to_json()
        path = values["files"][form]
        echo(json.dumps({"file": path, **values, "seconds": round(result.seconds, 3)}))
        return
    echo(str(result.files[form]))
    if result.clipped_samples:
        lost = f"{result.clipped_samples} samples were clipped; --format wav32f keeps them"
        echo(lost, to_stderr=True)


def _place(output: Path, form: str | None) -> tuple[Path, str, str]:
    """Return the folder, the file's name without extension, and the format."""
    named = output.suffix.removeprefix(".").lower()
    if named not in ("wav", "flac", "mp3") or output.is_dir():
        return output, _NAME, form or "wav"
    if form is not None and not form.startswith(named):
        raise InvalidRequest(f"A file of the format '{form}' is not named '{output.name}'.")
    return output.parent, output.stem, form or named


def _sample(second: float | None, rate: int) -> int | None:
    if second is None:
        return None
    if not abs(second) < 1e9:
        raise InvalidRequest("A range is given in seconds.")
    return round(second * rate)
