"""Results as tables: on the terminal, and in docs/speaker-quality.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.engine.report import Columns, replaced, table
from benchmarks.songs import ROOT

DOCS = ROOT / "docs" / "speaker-quality.md"

Row = dict[str, Any]

_ROWS: Columns = {
    "set": lambda row: row["set"],
    "": lambda row: row["contestant"],
    "DER %": lambda row: f"{row['der']:.1f}",
    "DER % ±0.25 s": lambda row: f"{row['der_collar']:.1f}",
    "miss": lambda row: f"{row['miss']:.1f}",
    "false alarm": lambda row: f"{row['false_alarm']:.1f}",
    "confusion": lambda row: f"{row['confusion']:.1f}",
    "JER %": lambda row: f"{row['jer']:.1f}",
    "count": lambda row: f"{row['exact']}/{row['recordings']}",
    "count ±1": lambda row: f"{row['within_one']}/{row['recordings']}",
    "wall s/s": lambda row: f"{row['wall_s_per_s']:.3f}",
    "CPU s/s": lambda row: f"{row['cpu_s_per_s']:.3f}",
    "peak MB": lambda row: f"{row['peak_mb']}",
}
_TRACKS: Columns = {
    "tracks of": lambda row: row["source"],
    "speakers": lambda row: f"{row['speakers']}",
    "SI-SDR dB": lambda row: f"{row['si_sdr_db']:.1f}",
    "of them not found": lambda row: f"{row['missing']}",
}
_EACH: Columns = {
    "recording": lambda row: f"{row['set']} {row['recording']}",
    "speakers": lambda row: f"{row['speakers']}",
    "found": lambda row: f"{row['found_speakers']}",
    "DER %": lambda row: f"{row['der']:.1f}",
    "miss": lambda row: f"{row['miss']:.1f}",
    "false alarm": lambda row: f"{row['false_alarm']:.1f}",
    "confusion": lambda row: f"{row['confusion']:.1f}",
    "condition": lambda row: condition(row["condition"]),
}


def text(result: Mapping[str, Any]) -> str:
    """Return all tables of a result."""
    parts = [table(_ROWS, result["rows"])]
    if result["tracks"]:
        parts.append(table(_TRACKS, result["tracks"]))
    parts += [f"Could not be had: {line}" for line in result["missing"]]
    return "\n\n".join([*parts, footer(result)])


def line(row: Row) -> str:
    """Return one row in one line."""
    return ", ".join(f"{name} {show(row)}".strip() for name, show in _ROWS.items())


def each(result: Mapping[str, Any]) -> str:
    """Return a table of single recordings, those of the first contestant."""
    first = result["rows"][0]["contestant"] if result["rows"] else None
    rows = [
        {"set": row["set"], **one}
        for row in result["rows"]
        if row["contestant"] == first
        for one in row["each"]
    ]
    return table(_EACH, rows)


def condition(values: Mapping[str, Any]) -> str:
    """Return in words what a recording was made like."""
    if "source" in values:
        return " ".join(filter(None, [values["source"], values.get("group")]))
    words = [f"overlap {values['overlap']:.1%}"]
    if values["rt60_s"] is not None:
        words.append(f"room {values['rt60_s']:g} s")
    if values["snr_db"] is not None:
        words.append(f"noise {values['snr_db']:g} dB")
    words += [word for word, name in _FLAGS.items() if values[name]]
    return ", ".join(words)


_FLAGS = {"telephone": "is_telephone", "MP3": "is_mp3"}


def write_docs(result: Path, path: Path = DOCS) -> None:
    """Put the last results between their marks in the document.

    Raises
    ------
    SystemExit
        If there are none, or those of a trial.
    """
    values = json.loads(result.read_text()) if result.is_file() else {"is_trial": True}
    if values["is_trial"]:
        raise SystemExit("There are no results but a trial's: run it without --quick first.")
    document = replaced(path.read_text(), "speakers", text(values))
    path.write_text(replaced(document, "speakers each", each(values)))


def footer(result: Mapping[str, Any]) -> str:
    """Return what the figures were measured on."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"{result['date']}, {result['machine']}; {result['system']}; {versions}; "
        f"commit {result['commit']}; load average before: {result['load_average_before']}."
    )
