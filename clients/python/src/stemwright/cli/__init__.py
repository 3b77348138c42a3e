"""`stemwright`: the service on the command line.

Results go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from stemwright.cli import orders, reading
from stemwright.cli.screen import Screen
from stemwright.client import KEY_VARIABLE, URL_VARIABLE, Client
from stemwright.errors import (
    ConnectionFailed,
    NotAuthenticated,
    PaymentRequired,
    StemwrightError,
    WaitTimeout,
)

FAILED, USAGE, KEY, CREDITS, CONNECTION, TIMEOUT, INTERRUPTED = 1, 2, 3, 4, 5, 6, 130

_EPILOG = f"""\
The key comes from {KEY_VARIABLE}, the address of the service from --base-url or {URL_VARIABLE}.

exit status: 0 done; 1 the job failed or the service refused; 2 wrong usage; 3 no key, or a wrong
one; 4 not enough credits; 5 the service does not answer; 6 --timeout is over; 130 interrupted"""

Command = Callable[[Client, argparse.Namespace, Screen], Any]


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="stemwright",
        description="Take recordings apart: music into stems, a conversation into its speakers.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"stemwright {_version()}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--base-url", metavar="URL", help="where the service is")
    common.add_argument(
        "--json", action="store_true", help="print one JSON object as the last line"
    )
    common.add_argument("--quiet", action="store_true", help="show no progress")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    orders.add_commands(commands, common)
    reading.add_commands(commands, common)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    screen = Screen(is_quiet=options.quiet)
    try:
        client = Client(base_url=options.base_url)
    except ValueError as error:
        screen.error(str(error))
        return USAGE if os.environ.get(KEY_VARIABLE) else KEY
    try:
        with screen, client:
            command: Command = options.run
            result = command(client, options, screen)
        if options.json:
            print(json.dumps(result, ensure_ascii=False))
        sys.stdout.flush()
    except StemwrightError as error:
        return _refused(error, options, screen)
    except BrokenPipeError:
        # `stemwright jobs | head`: whoever read has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        screen.error(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
        return FAILED
    except KeyboardInterrupt:
        screen.error("Interrupted." + (f" {screen.hint}" if screen.hint else ""))
        return INTERRUPTED
    return 0


def _refused(error: StemwrightError, options: argparse.Namespace, screen: Screen) -> int:
    known = [error.code, *([f"request {error.request_id}"] if error.request_id else [])]
    screen.error(f"{error} ({', '.join(known)})")
    if screen.hint and isinstance(error, (ConnectionFailed, WaitTimeout)):
        screen.error(screen.hint)
    if options.json:
        said = {"code": error.code, "message": error.message, "fields": error.fields}
        print(json.dumps({"error": {**said, "request_id": error.request_id}}, ensure_ascii=False))
    match error:
        case NotAuthenticated():
            return KEY
        case PaymentRequired():
            return CREDITS
        case ConnectionFailed():
            return CONNECTION
        case WaitTimeout():
            return TIMEOUT
        case _:
            return FAILED


def _version() -> str:
    try:
        return version("stemwright-client")
    except PackageNotFoundError:  # used from a checkout
        return "dev"
