"""Measurements as a file of the catalogue, and as tables in docs/quality.md."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine.report import Columns, replaced, table
from benchmarks.songs import ROOT
from separation import catalog
from separation.catalog import measured
from separation.catalog.measured import Measurement

DOCS = ROOT / "docs" / "quality.md"
FILE = ROOT / "separation" / "catalog" / measured.FILE

_STARTS = {"recording": "the recording", "parent": "the true parent"}

_COLUMNS: Columns = {
    "stem": lambda row: row["stem"],
    "model": lambda row: row["model"],
    "set": lambda row: row["set"],
    "from": lambda row: _STARTS[row["start"]],
    "songs": lambda row: f"{row['n']}",
    "SDR dB": lambda row: f"{row['sdr_db']:.1f}",
    "SI-SDR dB": lambda row: f"{row['si_sdr_db']:.1f}",
    "of others": lambda row: f"{row['wrong_share']:.1%}",
    "parent": lambda row: f"{row['parent_db']:.1f}",
    "static EQ": lambda row: f"{row['static_eq_db']:.1f}",
    "oracle mask": lambda row: f"{row['oracle_mask_db']:.1f}",
    "best peer": lambda row: f"{row['peer']} {row['peer_db']:.1f}" if row["peer"] else "–",
    "s/s": lambda row: f"{row['seconds']:.2f}",
}
_VERDICTS: Columns = {
    "stem": lambda row: row["stem"],
    "model": lambda row: row["model"],
    "SDR dB": lambda row: _or_dash(row["sdr_db"], "{:.1f}"),
    "beyond the parent": lambda row: _or_dash(row["margin_db"], "{:+.1f}"),
    "by": lambda row: row["sets"],
    "": lambda row: "experimental" if row["is_experimental"] else "",
}
_SETS: Columns = {
    "set": lambda row: row["name"],
    "what it is": lambda row: row["about"],
    "kind": lambda row: row["kind"],
}


def rows_table(listed: Iterable[Measurement]) -> str:
    """Return measurements as a Markdown table."""
    return table(_COLUMNS, [_row(one) for one in listed])


def merged(known: Sequence[Measurement], new: Sequence[Measurement]) -> list[Measurement]:
    """Return measurements with new ones in the place of old ones, in the catalogue's order.

    What is of a stem or model that the catalogue does not have any more is left out.
    """
    by_key = {_key(one): one for one in [*known, *new]}
    stems = [stem.name for stem in catalog.stems()]
    models = [model.name for model in catalog.models()]
    left = [one for one in by_key.values() if one.stem in stems and one.model in models]

    def place(one: Measurement) -> tuple[Any, ...]:
        order = (stems.index(one.stem), models.index(one.model))
        return *order, one.set.kind, one.set.name, one.start == "parent"

    return sorted(left, key=place)


def text_of(listed: Sequence[Measurement]) -> str:
    """Return the file's text: one row a line, so that a change shows what was measured anew."""
    sets = {one.set.name: {"about": one.set.about, "kind": one.set.kind} for one in listed}
    lines = [json.dumps(_row(one), ensure_ascii=False) for one in listed]
    about = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in sorted(sets.items())
    )
    rows = ",\n".join(f"  {line}" for line in lines)
    return f'{{\n "sets": {{\n{about}\n }},\n "rows": [\n{rows}\n ]\n}}\n'


def write(new: Sequence[Measurement], path: Path = FILE) -> None:
    """Put measurements into the file that the catalogue reads."""
    known = measured.parsed(path.read_text(encoding="utf-8")) if path.is_file() else ()
    path.write_text(text_of(merged(known, new)), encoding="utf-8")


def write_docs(path: Path = DOCS, measurements: Path = FILE) -> None:
    """Put what the catalogue knows between the marks of a document."""
    listed = measured.parsed(measurements.read_text(encoding="utf-8"))
    document = path.read_text(encoding="utf-8")
    for name, content in {
        "stems": _verdicts(listed),
        "sets": _sets(listed),
        "measurements": f"{rows_table(listed)}\n\n{_footer(listed)}",
    }.items():
        document = replaced(document, name, content)
    path.write_text(document, encoding="utf-8")


def _verdicts(listed: Sequence[Measurement]) -> str:
    rows = []
    for stem in catalog.stems():
        for model in catalog.models():
            found = [one for one in listed if (one.stem, one.model) == (stem.name, model.name)]
            if not found:
                continue
            quality = measured.StemQuality(tuple(found))
            sets = dict.fromkeys(one.set.name for one in quality.deciding)
            rows.append(
                {
                    "stem": stem.name,
                    "model": model.name,
                    "sdr_db": quality.sdr_db,
                    "margin_db": quality.margin_db,
                    "sets": ", ".join(sets),
                    "is_experimental": quality.is_experimental,
                }
            )
    return table(_VERDICTS, rows)


def _sets(listed: Sequence[Measurement]) -> str:
    sets = {one.set.name: dataclasses.asdict(one.set) for one in listed}
    return table(_SETS, [sets[name] for name in sorted(sets)])


def _footer(listed: Sequence[Measurement]) -> str:
    dates = sorted({one.date for one in listed})
    commits = ", ".join(dict.fromkeys(one.commit for one in listed))
    days = " to ".join(dict.fromkeys([*dates[:1], *dates[-1:]]))
    return f"Measured {days}; commits {commits}."


def _key(one: Measurement) -> tuple[str, str, str, str]:
    return one.stem, one.model, one.set.name, one.start


def _row(one: Measurement) -> dict[str, Any]:
    return {**dataclasses.asdict(one), "set": one.set.name}


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
