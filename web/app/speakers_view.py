"""The speakers of a job as its page shows them."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from jobs.models import OutputKind
from jobs.speakers import Speakers, merges_left
from jobs.timeline_texts import TIMELINE_FORMATS

_TURNS_A_PAGE: Final = 50
# Below, it is told that somebody should listen.
_UNCERTAIN_BELOW: Final = 0.6
_LANES: Final = 10
_TITLES: Final = {
    "rttm": "RTTM",
    "json": "JSON",
    "csv": "CSV",
    "vtt": "WebVTT",
    "labels": "Audacity",
}


class SpeakersView:
    """`names` and `errors` are those of a form that could not be taken, by label."""

    def __init__(
        self,
        speakers: Speakers,
        *,
        page: str = "",
        names: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
        problem: str = "",
    ) -> None:
        self._speakers = speakers
        self._asked_page = int(page) if page.isdecimal() and len(page) < 7 else 1
        self._names = dict(names or {})
        self._errors = dict(errors or {})
        # With the merge.
        self.problem = problem

    @cached_property
    def titles(self) -> dict[str, str]:
        return self._speakers.titles

    @cached_property
    def _lanes(self) -> dict[str, int]:
        return {label: at % _LANES for at, label in enumerate(self.titles)}

    def _letter(self, label: str) -> str:
        at = [*self.titles].index(label)
        return chr(ord("A") + at) if at < 26 else str(at + 1)

    @cached_property
    def people(self) -> list[dict[str, Any]]:
        """How much each says, in the order in which they first speak."""
        return [
            {
                **row,
                "label": row["speaker"],
                "title": self.titles.get(row["speaker"], row["speaker"]),
                "name": self._name(row["speaker"]),
                "error": self._errors.get(row["speaker"], ""),
                "letter": self._letter(row["speaker"]),
                "lane": self._lanes.get(row["speaker"], 0),
                "percent": round(100 * row["share"], 1),
                "track": self._speakers.output(row["speaker"], OutputKind.TRACK),
                "clip": self._speakers.output(row["speaker"], OutputKind.CLIP),
            }
            for row in self._speakers.row.statistics
            if row["speaker"] in self.titles
        ]

    def _name(self, label: str) -> str:
        return self._names.get(label, str(self._speakers.row.names.get(label, "")))

    @property
    def has_files(self) -> bool:
        return any(one["track"] or one["clip"] for one in self.people)

    @cached_property
    def n_turns(self) -> int:
        return len(self._speakers.timeline.turns)

    @property
    def n_pages(self) -> int:
        return max(1, -(-self.n_turns // _TURNS_A_PAGE))

    @property
    def page(self) -> int:
        return min(max(1, self._asked_page), self.n_pages)

    @property
    def previous(self) -> int | None:
        return self.page - 1 if self.page > 1 else None

    @property
    def next(self) -> int | None:
        return self.page + 1 if self.page < self.n_pages else None

    @cached_property
    def turns(self) -> list[dict[str, Any]]:
        """Those of the page, each with whether others speak too, and whether it is uncertain."""
        first = (self.page - 1) * _TURNS_A_PAGE
        return [
            {
                "start": _time(turn.start_s),
                "end": _time(turn.end_s),
                "duration_s": turn.duration_s,
                "title": self.titles[turn.speaker],
                "letter": self._letter(turn.speaker),
                "lane": self._lanes[turn.speaker],
                "is_overlapped": self._is_overlapped(turn.start_s, turn.end_s, turn.speaker),
                "is_uncertain": turn.confidence < _UNCERTAIN_BELOW,
            }
            for turn in self._speakers.timeline.turns[first : first + _TURNS_A_PAGE]
        ]

    def _is_overlapped(self, start_s: float, end_s: float, label: str) -> bool:
        return any(
            one["start_s"] < end_s and start_s < one["end_s"] and label in one["speakers"]
            for one in self._speakers.row.overlaps
        )

    @property
    def merges_left(self) -> int:
        return merges_left(self._speakers.job)

    @property
    def texts(self) -> list[tuple[str, str]]:
        return [(name, _TITLES.get(name, name)) for name in TIMELINE_FORMATS]


def _time(seconds: float) -> str:
    """To the tenth of a second, as 1:02:03.4."""
    minutes, rest = divmod(round(10 * seconds), 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02}:{rest // 10:02}.{rest % 10}"
    return f"{hours}:{text}" if hours else text
