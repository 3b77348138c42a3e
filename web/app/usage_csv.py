"""Files of comma-separated values that a spreadsheet may open."""

import csv
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.http import HttpResponse

# What a spreadsheet would take as the beginning of a formula, which may send data elsewhere. Names
# of keys are written by people (OWASP: CSV injection).
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_response(
    filename: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    writer = csv.writer(response)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return response


def _cell(value: Any) -> Any:
    """A text stays a text. Numbers of ours come as numbers, or without a sign."""
    if isinstance(value, str) and value.lstrip().startswith(_FORMULAS):
        return f"'{value}"
    return value
