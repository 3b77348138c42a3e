"""The command line: files in, stems out, without the service."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import tqdm

from separation import catalog, host, presets, weights
from separation.audio import formats
from separation.engines import backends
from separation.errors import SeparationError
from separation.pipeline import SeparationResult, separate
from separation.progress import OnProgress
from separation.residual import Residual


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0, 1 for a failure, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C: what is half made goes away. Under nohup a closed terminal changes nothing.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except SeparationError as error:
        _echo(f"stemwright: {error.message}", to_stderr=True)
        return 1
    except OSError as error:
        _echo(f"stemwright: {error.strerror or error}: {error.filename or ''}", to_stderr=True)
        return 1
    except KeyboardInterrupt:
        _echo("stemwright: cancelled", to_stderr=True)
        return 130
    return 0


def _echo(line: str, *, to_stderr: bool = False) -> None:
    stream = sys.stderr if to_stderr else sys.stdout
    stream.write(line + "\n")
    stream.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m separation", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_separate(commands.add_parser("separate", help="take one recording apart"))
    listing = commands.add_parser("catalog", help="list stems and models")
    listing.add_argument("--json", action="store_true", help="one JSON object as the last line")
    listing.set_defaults(command=_catalog)
    models = commands.add_parser("models", help="manage weights").add_subparsers(
        required=True, metavar="ACTION"
    )
    install = models.add_parser("install", help="fetch and verify weights")
    install.add_argument("names", nargs="*", metavar="NAME", help="all models when left out")
    install.set_defaults(command=_install)
    # Without a line of help: it is for programs.
    commands.add_parser("host").set_defaults(command=_host)
    return parser


def _add_separate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="audio or video file")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder for the stems")
    parser.add_argument(
        "--stems", type=_names, help="names separated by commas; all of the model when left out"
    )
    parser.add_argument("--model", help="name from the catalogue; the best one when left out")
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
    with _progress() as progress:
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
        _echo(json.dumps(_as_json(result)))
        return
    for name, path in result.stems.items():
        _echo(f"{name}: {path}")
    clipped = sum(result.clipped_samples.values())
    if clipped:
        _echo(f"{clipped} samples were clipped; --format wav32f keeps them", to_stderr=True)


def _as_json(result: SeparationResult) -> Mapping[str, Any]:
    return {
        "stems": {name: str(path) for name, path in result.stems.items()},
        "sample_rate": result.sample_rate,
        "n_samples": result.n_samples,
        "channels": result.channels,
        "model": result.model,
        "seconds": round(result.seconds, 3),
        "clipped_samples": dict(result.clipped_samples),
    }


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """Give a progress bar on a terminal and plain lines elsewhere, both on standard error."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    with tqdm.tqdm(unit="sample", unit_scale=True, leave=False) as bar:

        def show(*, step: str, completed: int, total: int | None) -> None:
            bar.set_description(_PREPARE if step == "prepare" else step, refresh=False)
            bar.total = total
            bar.n = completed
            bar.refresh()

        yield show


_PREPARE = "preparing the model for this machine: once, about half a minute"


class _Lines:
    """One line for each step and each tenth of the way."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, *, step: str, completed: int, total: int | None) -> None:
        share = f" {10 * (10 * completed // total)} %" if total else ""
        line = _PREPARE if step == "prepare" else step + share
        if line != self._last:
            self._last = line
            _echo(line, to_stderr=True)


def _install(options: argparse.Namespace) -> None:
    chosen = [catalog.model(name) for name in options.names] or catalog.models()
    for model in chosen:
        state = catalog.availability(model)
        is_forbidden = state.status is catalog.AvailabilityStatus.FORBIDDEN
        if state.is_installed or (is_forbidden and not options.names):
            _echo(f"{model.name}: {state.reason}")
        else:
            weights.install(model, report=_echo)
            _echo(f"{model.name}: licence: {model.licence.summary}")
        if not is_forbidden:
            _prepare(model)


def _prepare(model: catalog.Model) -> None:
    """Do now what the first separation would wait for."""
    if not backends.is_prepared(model):
        _echo(f"{model.name}: {_PREPARE}")
    engine = backends.prepare(model)
    if engine is not None:
        _echo(f"{model.name}: runs on this machine with {engine.backend}")
        engine.close()


def _host(options: argparse.Namespace) -> None:
    host.serve()


def _catalog(options: argparse.Namespace) -> None:
    if options.json:
        _echo(json.dumps({"stems": _stems_json(), "models": _models_json()}))
        return
    for stem in _stems_json():
        makers = ", ".join(stem["models"]) if stem["is_available"] else "unavailable"
        _echo(f"{stem['name']:<14} {stem['description']} [{makers}]")
    for model in _models_json():
        _echo(f"\n{model['name']}: {model['title']} ({model['status']})")
        _echo(f"  stems    {', '.join(model['stems'])}")
        _echo(f"  licence  {model['licence']['id']}: {model['licence']['summary']}")
        _echo(f"  source   {'; '.join(model['sources'])}")
        _echo(f"  quality  {_quality_line(model['quality'])}")


def _quality_line(quality: Mapping[str, Any]) -> str:
    if not quality["sdr_db"]:
        return "not measured yet"
    table = ", ".join(f"{stem} {value:.1f} dB" for stem, value in quality["sdr_db"].items())
    return f"{table} SDR on {quality['measured_on']}"


def _stems_json() -> list[dict[str, Any]]:
    rows = []
    for stem in catalog.stems():
        makers = [model for model in catalog.models() if model.makes(stem)]
        installed = [m.name for m in makers if catalog.availability(m).is_installed]
        rows.append(
            {
                "name": stem.name,
                "title": stem.title,
                "description": stem.description,
                "minus": list(stem.minus),
                "models": [model.name for model in makers],
                "is_available": bool(installed),
            }
        )
    return rows


def _models_json() -> list[dict[str, Any]]:
    rows = []
    for model in catalog.models():
        state = catalog.availability(model)
        rows.append(
            {
                "name": model.name,
                "title": model.title,
                "stems": list(model.stems),
                "status": str(state.status),
                "reason": state.reason,
                "sample_rate": model.sample_rate,
                "segment_s": model.segment_s,
                "min_memory_mb": model.min_memory_mb,
                "licence": {
                    "id": model.licence.id,
                    "summary": model.licence.summary,
                    "commercial_use": model.licence.commercial_use,
                    "declared_in": model.licence.declared_in,
                },
                "sources": [source.label for source in model.sources],
                "quality": {
                    "measured_on": model.quality.measured_on,
                    "sdr_db": dict(model.quality.sdr_db),
                },
            }
        )
    return rows
