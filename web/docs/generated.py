"""Parts of the documentation that the program knows itself: a comment in the text names them."""

import re
from collections.abc import Callable, Iterator, Mapping

from django.conf import settings

from config import errors
from config.errors import AppError

_COMMENT = re.compile(r"^<!-- *(.*?) *-->\n?", re.MULTILINE)


def filled_in(text: str) -> str:
    """With the parts that comments ask for; other comments are left out."""
    return _COMMENT.sub(lambda found: _PARTS.get(found[1], str)(), text)


def error_classes() -> list[type[AppError]]:
    """The errors of the API, one for each code, by status and code."""
    found = {one.code: one for one in _below(AppError)}
    found[AppError.code] = AppError
    return sorted(found.values(), key=lambda one: (one.status, one.code))


def _below(base: type[AppError]) -> Iterator[type[AppError]]:
    for one in base.__subclasses__():
        yield from _below(one)
        # A class without a code of its own is the same error to callers; others may add classes.
        if "code" in one.__dict__ and one.__module__ == errors.__name__:
            yield one


def _errors_table() -> str:
    rows = [f"| {one.status} | `{one.code}` | {one().english} |" for one in error_classes()]
    return "\n".join(["| status | code | says |", "|---|---|---|", *rows, ""])


def _limits_table() -> str:
    rows = {
        "size of an upload": _bytes(settings.UPLOAD_MAX_BYTES),
        "length of a recording": _span(settings.RECORDING_MAX_SECONDS),
        "uploads in pieces open at the same time": f"{settings.UPLOADS_OPEN}",
        "size of these together": _bytes(settings.UPLOADS_OPEN_BYTES),
        "an unfinished upload is kept": _span(settings.UPLOAD_HOURS * 3600),
        "imports open at the same time": f"{settings.IMPORTS_OPEN}",
        "jobs running at the same time, without a plan": f"{settings.PARALLEL_JOBS}",
        "results are kept, without a plan": _span(settings.RESULTS_DAYS * 86400),
        "uploads are kept, without a plan": _span(settings.UPLOADS_DAYS * 86400),
        "a link to a file is good for": _span(settings.DOWNLOAD_URL_SECONDS),
        "calls a minute, of a key and endpoint": f"{settings.RATE_LIMIT_PER_MINUTE}",
        "progress streams of a workspace": f"{settings.PROGRESS_STREAMS_PER_WORKSPACE}",
        "a preview": _span(settings.PREVIEW_MAX_SECONDS),
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| what | at most, here |", "|---|---|", *lines, ""])


def _bytes(number: int) -> str:
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if number >= unit and number * 10 % unit == 0:
            return f"{number / unit:g} {name}"
    return f"{number:,} bytes"


def _span(seconds: int) -> str:
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % unit == 0 and (unit == 1 or seconds >= unit):
            count = seconds // unit
            return f"{count} {name}{'' if count == 1 else 's'}"
    raise AssertionError(seconds)


_PARTS: Mapping[str, Callable[[], str]] = {
    "errors: table": _errors_table,
    "limits: table": _limits_table,
}
