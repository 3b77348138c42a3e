"""Timelines as text: RTTM, JSON, CSV, WebVTT and Audacity labels."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from separation.errors import InvalidRequest
from separation.speakers.statistics import SpeakerStatistics, overlaps
from separation.speakers.timeline import TIME_DECIMALS, Timeline, Turn


@dataclass(frozen=True, slots=True)
class TextFormat:
    """One way to write a timeline down."""

    name: str
    extension: str
    content_type: str
    write: Callable[[Timeline, str, tuple[SpeakerStatistics, ...]], str]


def render(
    name: str,
    timeline: Timeline,
    *,
    uri: str = "recording",
    statistics: Iterable[SpeakerStatistics] = (),
) -> str:
    """Return a timeline as text.

    Parameters
    ----------
    name : str
        One of FORMATS.
    timeline : Timeline
        Speakers may have any printable names.
    uri : str
        What RTTM calls the recording.
    statistics : iterable of SpeakerStatistics
        Go into JSON.

    Raises
    ------
    InvalidRequest
        If there is no such format.
    """
    return text_format(name).write(timeline, uri, tuple(statistics))


def text_format(name: str) -> TextFormat:
    """Return the format of that name.

    Raises
    ------
    InvalidRequest
        If there is none.
    """
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise InvalidRequest(f"There is no timeline format '{name}'; there are {known}.")
    return FORMATS[name]


def read_rttm(text: str) -> Timeline:
    """Read the SPEAKER lines of one recording; as long as its last turn.

    Raises
    ------
    InvalidRequest
        If a line is not RTTM, or there is none.
    """
    turns = []
    for line in text.splitlines():
        fields = line.split()
        if fields[:1] != ["SPEAKER"]:
            continue
        try:
            start_s, duration_s, speaker = float(fields[3]), float(fields[4]), fields[7]
            confidence = 1.0 if fields[8:9] in ([], ["<NA>"]) else float(fields[8])
        except (IndexError, ValueError) as error:
            raise InvalidRequest(f"This is not a line of RTTM: {line[:80]}") from error
        start_s = round(start_s, TIME_DECIMALS)
        end_s = round(start_s + duration_s, TIME_DECIMALS)
        turns.append(Turn(start_s, end_s, speaker, confidence))
    if not turns:
        raise InvalidRequest("There is no turn in this RTTM file.")
    return Timeline(tuple(turns), max(turn.end_s for turn in turns))


def _rttm(timeline: Timeline, uri: str, statistics: tuple[SpeakerStatistics, ...]) -> str:
    recording = _word(uri)
    labels = _words(timeline.speakers)
    return "".join(
        f"SPEAKER {recording} 1 {turn.start_s:.3f} {turn.duration_s:.3f} <NA> <NA> "
        f"{labels[turn.speaker]} <NA> <NA>\n"
        for turn in timeline.turns
    )


def _words(names: Iterable[str]) -> dict[str, str]:
    """Return each name without spaces, different ones still different."""
    words: dict[str, str] = {}
    for name in names:
        word, n = _word(name), 2
        while word in words.values():
            word, n = f"{_word(name)}_{n}", n + 1
        words[name] = word
    return words


def _word(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f]+", "_", text.strip()) or "_"


def _json(timeline: Timeline, uri: str, statistics: tuple[SpeakerStatistics, ...]) -> str:
    values: dict[str, Any] = timeline.to_json()
    values["speakers"] = [asdict(row) for row in statistics] or list(timeline.speakers)
    values["overlaps"] = [asdict(overlap) for overlap in overlaps(timeline)]
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _csv(timeline: Timeline, uri: str, statistics: tuple[SpeakerStatistics, ...]) -> str:
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(["start_s", "end_s", "duration_s", "speaker", "confidence"])
    for turn in timeline.turns:
        times = [f"{value:.3f}" for value in (turn.start_s, turn.end_s, turn.duration_s)]
        rows.writerow([*times, _cell(turn.speaker), f"{turn.confidence:.3f}"])
    return text.getvalue()


def _cell(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula."""
    line = _line(name)
    return f"'{line}" if line.lstrip().startswith(("=", "+", "-", "@")) else line


def _line(name: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", name)


def _vtt(timeline: Timeline, uri: str, statistics: tuple[SpeakerStatistics, ...]) -> str:
    cues = ["WEBVTT\n"]
    for turn in timeline.turns:
        name = _line(turn.speaker)
        for sign, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            name = name.replace(sign, escaped)
        times = f"{_clock(turn.start_s)} --> {_clock(turn.end_s)}"
        cues.append(f"{times}\n<v {name}>{name}</v>\n")
    return "\n".join(cues)


def _clock(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"


def _labels(timeline: Timeline, uri: str, statistics: tuple[SpeakerStatistics, ...]) -> str:
    return "".join(
        f"{turn.start_s:.6f}\t{turn.end_s:.6f}\t{_line(turn.speaker)}\n" for turn in timeline.turns
    )


FORMATS: Mapping[str, TextFormat] = {
    form.name: form
    for form in (
        TextFormat("rttm", "rttm", "text/plain; charset=utf-8", _rttm),
        TextFormat("json", "json", "application/json", _json),
        TextFormat("csv", "csv", "text/csv; charset=utf-8", _csv),
        TextFormat("vtt", "vtt", "text/vtt; charset=utf-8", _vtt),
        TextFormat("labels", "txt", "text/plain; charset=utf-8", _labels),
    )
}
