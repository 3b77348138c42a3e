"""The command line: files in; stems, speakers or a cleaned recording out; without the service."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Sequence

from separation import host
from separation.cli import enhance, models, music, separate, speakers
from separation.cli.terminal import echo
from separation.errors import SeparationError


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
        echo(f"stemwright: {error.message}", to_stderr=True)
        return 1
    except OSError as error:
        echo(f"stemwright: {error.strerror or error}: {error.filename or ''}", to_stderr=True)
        return 1
    except KeyboardInterrupt:
        echo("stemwright: cancelled", to_stderr=True)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m separation", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    separate.add_arguments(commands.add_parser("separate", help="take one recording apart"))
    speakers.add_arguments(
        commands.add_parser("speakers", help="who speaks when, and a track for each")
    )
    enhance.add_arguments(commands.add_parser("enhance", help="clean a recording of speech"))
    music.add_analyse_arguments(commands.add_parser("analyse", help="tempo and key of music"))
    music.add_transcribe_arguments(
        commands.add_parser("transcribe", help="the notes of music, as a MIDI file")
    )
    models.add_catalog_arguments(commands.add_parser("catalog", help="list stems and models"))
    models.add_models_arguments(commands.add_parser("models", help="manage weights"))
    # Without a line of help: it is for programs.
    commands.add_parser("host").set_defaults(command=_host)
    return parser


def _host(options: argparse.Namespace) -> None:
    host.serve()
