"""The form of a new job: the fields are named as those of an order in the API, /v1/jobs.

Scripts send the same fields to the API; without them, the form itself is sent.
"""

import re
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from config.errors import AppError
from jobs.catalog import StemOffer, model_offers, stem_offers, step_offers
from jobs.models import OF_SPEAKERS, Service
from jobs.services import Order
from jobs.speaker_options import MAX_LUFS, MAX_SPEAKERS, MIN_LUFS, SpeakerOptions
from web.presets import Preset

FORMATS: Final = (
    ("wav", _("WAV, as the recording")),
    ("wav16", _("WAV, 16 bit")),
    ("wav24", _("WAV, 24 bit")),
    ("wav32f", _("WAV, 32 bit float")),
    ("flac", _("FLAC")),
    ("mp3", _("MP3")),
)
_PAUSES: Final = (
    ("keep", _("Keep: tracks are as long as the recording")),
    ("close", _("Close: only what is said")),
)
_OVERLAPS: Final = (
    ("separate", _("Take the voices apart")),
    ("both", _("Leave both voices in both tracks")),
    ("mute", _("Silence")),
)
_COUNTS: Final = ("num_speakers", "min_speakers", "max_speakers")
_CLOCK: Final = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6}(?:\.\d{1,3})?)")


_Boxes = forms.CheckboxSelectMultiple


class ClockField(forms.CharField):
    """A place in a recording: 90, 1:30 or 1:02:03.5."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, max_length=20, **options)

    def clean(self, value: Any) -> float | None:
        text = super().clean(value).strip()
        if not text:
            return None
        found = _CLOCK.fullmatch(text)
        if found is None:
            raise ValidationError(_("Write this as minutes and seconds, such as 1:30."))
        hours, minutes, seconds = found.groups(default="0")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


class NewJobForm(forms.Form):
    preset = forms.ChoiceField(label=_("What you want"))
    file = forms.FileField(label=_("File"), required=False, allow_empty_file=True, max_length=255)
    url = forms.CharField(label=_("Address"), required=False, max_length=2000)
    asset = forms.UUIDField(required=False)
    stems = forms.MultipleChoiceField(label=_("Stems"), required=False, widget=_Boxes)
    model = forms.ChoiceField(label=_("Model"), required=False)
    formats = forms.MultipleChoiceField(
        label=_("Files as"), required=False, choices=FORMATS, initial=["wav"], widget=_Boxes
    )
    steps = forms.MultipleChoiceField(label=_("Clean up"), required=False, widget=_Boxes)
    preview = forms.BooleanField(label=_("Only a preview"), required=False)
    start_s = ClockField(label=_("From"))
    end_s = ClockField(label=_("To"))
    num_speakers = forms.IntegerField(
        label=_("Speakers"), required=False, min_value=1, max_value=MAX_SPEAKERS
    )
    min_speakers = forms.IntegerField(
        label=_("At least"), required=False, min_value=1, max_value=MAX_SPEAKERS
    )
    max_speakers = forms.IntegerField(
        label=_("At most"), required=False, min_value=1, max_value=MAX_SPEAKERS
    )
    pauses = forms.ChoiceField(label=_("Pauses"), required=False, choices=_PAUSES)
    overlap = forms.ChoiceField(
        label=_("Where several speak at once"), required=False, choices=_OVERLAPS
    )
    loudness = forms.FloatField(
        label=_("Loudness of the tracks, in LUFS"),
        required=False,
        min_value=MIN_LUFS,
        max_value=MAX_LUFS,
    )
    denoise = forms.BooleanField(label=_("Denoise the tracks"), required=False)
    clips = forms.BooleanField(
        label=_("A short clip of each speaker"), required=False, initial=True
    )
    callback_url = forms.CharField(
        label=_("Callback address"),
        required=False,
        max_length=2000,
        help_text=_("Is told when the job ends, besides your webhooks."),
    )

    def __init__(self, *args: Any, presets: Sequence[Preset], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._presets = {preset.code: preset for preset in presets}
        choices: dict[str, list[tuple[str, Any]]] = {
            "preset": [(preset.code, preset.title) for preset in presets],
            "stems": [(stem.name, _stem_label(stem)) for stem in stem_offers() if stem.available],
            "model": [("", _("The best for what you want")), *_models()],
            "steps": [(step.name, step.title) for step in step_offers() if step.available],
        }
        for name, values in choices.items():
            self._choice(name).choices = values

    def _choice(self, name: str) -> forms.ChoiceField:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - see the class
        return field

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        given = [name for name in ("file", "url", "asset") if values.get(name)]
        if len(given) != 1 and not {"file", "url", "asset"} & set(self.errors):
            problem = _("Choose a file, or name its address.")
            self.add_error("file" if not given else given[-1], problem)
        start_s, end_s = values.get("start_s") or 0.0, values.get("end_s")
        if values.get("preview"):
            values["end_s"] = start_s + settings.PREVIEW_MAX_SECONDS
        elif end_s is not None and end_s <= start_s:
            self.add_error("end_s", _("This must be after the start."))
        return values

    def order(self, *, asset_uuid: UUID | None) -> Order:
        """What a valid form orders, of a recording that was kept, else of the one at `url`."""
        values = self.cleaned_data
        preset = self._presets[values["preset"]]
        is_separation = preset.service == Service.SEPARATION
        first, *more = values["formats"] or ["wav"]
        return Order(
            asset_uuid=asset_uuid,
            url="" if asset_uuid else values["url"],
            service=preset.service,
            stems=(values["stems"] or list(preset.stems) or None) if is_separation else None,
            model=(values["model"] or None) if is_separation else None,
            output_format=first,
            more_formats=tuple(more),
            range_s=_range_s(values["start_s"], values["end_s"]),
            steps=tuple(values["steps"] or preset.steps),
            callback_url=values["callback_url"],
            speakers=self._speakers() if preset.service in OF_SPEAKERS else None,
        )

    def _speakers(self) -> SpeakerOptions:
        values = self.cleaned_data
        return SpeakerOptions(
            **{name: values[name] for name in (*_COUNTS, "loudness", "denoise", "clips")},
            pauses=values["pauses"] or "keep",
            overlap=values["overlap"] or "separate",
        )

    def refuse(self, error: AppError) -> None:
        """Show what a service said of the order, beside the fields that it names."""
        for name, problems in error.fields.items():
            field = name.removeprefix("options.")
            self.add_error(field if field in self.fields else None, problems)
        if not error.fields:
            self.add_error(None, error.text)


def _stem_label(stem: StemOffer) -> str:
    if not stem.experimental:
        return stem.title
    return _("%(stem)s (experimental)") % {"stem": stem.title}


def _models() -> list[tuple[str, str]]:
    return [(model.name, model.title) for model in model_offers() if model.available]


def _range_s(start_s: float | None, end_s: float | None) -> tuple[float, float] | None:
    if start_s is None and end_s is None:
        return None
    # Longer than any recording.
    return start_s or 0.0, 1e9 if end_s is None else end_s
