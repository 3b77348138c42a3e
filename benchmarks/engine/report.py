"""Results as tables: on the terminal, and in docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine.figures import Row
from benchmarks.songs import ROOT

DOCS = ROOT / "docs" / "performance.md"

_ENGINE = {
    "backend": lambda row: row["backend"],
    "preset": lambda row: row["preset"],
    "audio": lambda row: f"{row['audio_s']:g} s",
    "wall s/s": lambda row: f"{row['wall_s_per_s']:.3f}",
    "faster than peer": lambda row: _with_range(row, "wall_ratio_to_peer", "wall_ratio_range", 2),
    "less CPU": lambda row: f"{row['cpu_ratio_to_peer']:.2f}",
    "fidelity dB": lambda row: _or_dash(row["fidelity_db"], ".1f"),
    "SDR dB": lambda row: _with_range(row, "sdr_db", "sdr_range_db", 2),
    "peak MB": lambda row: f"{row['peak_mb']}",
    "load s": lambda row: f"{row['load_s']:.1f}",
    "of the floor": lambda row: f"{row['share_of_floor']:.0%}",
}
_MEMORY = {
    "model": lambda row: row["model"],
    "backend": lambda row: row["backend"],
    "recording": lambda row: f"{row['minutes']:g} min",
    "peak MB": lambda row: f"{row['peak_mb']}",
}
_PROCESSES = {
    "recordings at once": lambda row: f"{row['recordings']}",
    "processes": lambda row: f"{row['processes']}",
    "cores each": lambda row: f"{row['cores_each']}",
    "wall s/s, all together": lambda row: f"{row['wall_s_per_s']:.3f}",
    "CPU s/s": lambda row: f"{row['cpu_s_per_s']:.3f}",
    "peak MB, all together": lambda row: f"{row['peak_mb']}",
}
_CASCADE = {
    "stems": lambda row: row["name"],
    "files": lambda row: f"{row['files']}",
    "passes": lambda row: ", ".join(row["models"]),
    "wall s/s": lambda row: f"{row['wall_s_per_s']:.3f}",
    "as long as four": lambda row: _with_range(row, "wall_ratio", "wall_ratio_range", 2),
    "CPU s/s": lambda row: f"{row['cpu_s_per_s']:.3f}",
    "peak MB": lambda row: f"{row['peak_mb']}",
}
_GPU_BATCHES = {
    "batch": lambda row: f"{row['batch']}",
    "ms a segment": lambda row: f"{row['ms_per_segment']:.2f}",
    "times real time": lambda row: f"{row['times_real_time']:.0f}",
    "peak MB on the device": lambda row: _or_dash(row["device_peak_mb"], ".0f"),
}
_GPU_PIPELINE = {
    "recordings at once": lambda row: f"{row['recordings']}",
    "wall s": lambda row: f"{row['wall_s']:.2f}",
    "times real time": lambda row: f"{row['times_real_time']:.0f}",
    "songs of 4 minutes an hour": lambda row: f"{row['songs_per_hour']:.0f}",
}

Columns = Mapping[str, Callable[[Row], str]]


def text(name: str, result: Mapping[str, Any]) -> str:
    """Return the tables of one result."""
    return "\n\n".join([*_SECTIONS[name](result), _footer(result)])


def table(columns: Columns, rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table whose columns are aligned."""
    cells = [list(columns), *([show(row) for show in columns.values()] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    lines = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def write_docs(folder: Path, path: Path = DOCS) -> None:
    """Put the results that are in a folder, but for trials, between their marks in a document."""
    document = path.read_text()
    for name in _SECTIONS:
        result = folder / f"{name}.json"
        values = json.loads(result.read_text()) if result.is_file() else {"is_trial": True}
        if not values.get("is_trial"):
            document = replaced(document, name, text(name, values))
    path.write_text(document)


def replaced(document: str, name: str, content: str) -> str:
    """Return a document with other content between the marks of that name.

    Raises
    ------
    ValueError
        If it does not have them, once each and in order.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, found, rest = document.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"The document has no marks for '{name}'.")
    return f"{before}{begin}\n{content}\n\n{end}{after}"


def _engine(result: Mapping[str, Any]) -> list[str]:
    floor = result["floor"]
    operations, peaks = floor["operations_per_segment"], floor["peak_operations_per_s"]
    total = operations["outer"] + operations["inner"]
    return [
        table(_ENGINE, result["rows"]),
        f"Floor: {total / 1e9:.0f} billion operations a segment, of which "
        f"{operations['outer'] / 1e9:.0f} in the outermost layers; matrix products reached "
        f"{peaks['f32'] / 1e9:.0f} billion a second in float32, {peaks['bf16'] / 1e9:.0f} in "
        "bfloat16.",
    ]


def _growth(result: Mapping[str, Any]) -> list[str]:
    return [table(_MEMORY, result["memory"]), table(_PROCESSES, result["processes"])]


def _cascade(result: Mapping[str, Any]) -> list[str]:
    audio = f"A song of {result['audio_s']:g} s, {result['rounds']} rounds."
    return [table(_CASCADE, result["rows"]), audio]


def _presets(result: Mapping[str, Any]) -> list[str]:
    names = result["songs"]

    def cell(name: str) -> Callable[[Row], str]:
        return lambda row: f"{row['sdr_db'][name]:.2f}"

    columns: dict[str, Callable[[Row], str]] = {
        "way": lambda row: row["way"],
        "residual": lambda row: row["residual"],
        **{name: cell(name) for name in names},
        "mean": lambda row: f"{row['mean_db']:.3f}",
    }
    songs = "; ".join(f"{name}: {about}" for name, about in names.items())
    return [table(columns, result["rows"]), f"Songs: {songs}. Backend: {result['backend']}."]


def _gpu(result: Mapping[str, Any]) -> list[str]:
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in result["figures"].items()]
    return [
        "\n".join(f"- {line}" for line in lines),
        table(_GPU_BATCHES, result["batches"]),
        table(_GPU_PIPELINE, result["pipeline"]),
        "```\n" + result["profile"].rstrip() + "\n```",
    ]


_SECTIONS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "engine": _engine,
    "presets": _presets,
    "growth": _growth,
    "cascade": _cascade,
    "gpu": _gpu,
}


def _footer(result: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"{result['date']}, {result['machine']}; {result['system']}; {versions}; "
        f"commit {result['commit']}; load average before: {result['load_average_before']}."
    )


def _with_range(row: Row, name: str, range_name: str, digits: int) -> str:
    low, high = (f"{value:.{digits}f}" for value in row[range_name])
    median = f"{row[name]:.{digits}f}"
    return median if low == high else f"{median} ({low}–{high})"


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
