"""How a caller wants a conversation taken apart."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from django.utils.translation import gettext_lazy as _

from config.errors import Text, ValidationFailed, filled
from separation.speakers.diarization import MAX_SPEAKERS as MAX_SPEAKERS
from separation.speakers.extract import MAX_LUFS as MAX_LUFS
from separation.speakers.extract import MIN_LUFS as MIN_LUFS
from separation.speakers.extract import OVERLAPS as OVERLAPS
from separation.speakers.extract import PAUSES as PAUSES


@dataclass(frozen=True, kw_only=True)
class SpeakerOptions:
    """Counts are what the caller knows of the speakers; `loudness` is in LUFS."""

    num_speakers: int | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    pauses: str = "keep"
    loudness: float | None = None
    denoise: bool = False
    overlap: str = "separate"
    clips: bool = True

    def check(self) -> None:
        """Raise ValidationFailed unless all values can be meant."""
        count = filled(_("This must be a whole number from 1 to %(most)s."), most=MAX_SPEAKERS)
        problems: dict[str, list[Text]] = {
            f"options.{name}": [count]
            for name in ("num_speakers", "min_speakers", "max_speakers")
            if not _is_count(getattr(self, name))
        }
        if self.pauses not in PAUSES:
            problems["options.pauses"] = [_one_of(PAUSES)]
        if self.overlap not in OVERLAPS:
            problems["options.overlap"] = [_one_of(OVERLAPS)]
        if self.loudness is not None and not MIN_LUFS <= self.loudness <= MAX_LUFS:
            problems["options.loudness"] = [
                filled(
                    _("This must be a number of LUFS from %(least)s to %(most)s."),
                    least=MIN_LUFS,
                    most=MAX_LUFS,
                )
            ]
        if not problems:
            problems = self._contradictions()
        if problems:
            raise ValidationFailed(fields=problems)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def without_counts(self) -> Self:
        """For turns that are known: there is nothing left to count."""
        return replace(self, num_speakers=None, min_speakers=None, max_speakers=None)

    def _contradictions(self) -> dict[str, list[Text]]:
        few, many = self.min_speakers or 1, self.max_speakers or MAX_SPEAKERS
        if few > many:
            return {"options.min_speakers": [_("This is more than max_speakers.")]}
        if self.num_speakers is not None and not few <= self.num_speakers <= many:
            problem = _("This is not from min_speakers to max_speakers.")
            return {"options.num_speakers": [problem]}
        return {}


def _is_count(value: int | None) -> bool:
    # Not isinstance: True is an int too.
    return value is None or (type(value) is int and 1 <= value <= MAX_SPEAKERS)


def _one_of(names: tuple[str, ...]) -> Text:
    return filled(_("This must be one of: %(names)s."), names=", ".join(names))
