"""What is sent to order a conversion. Names that nobody knows are let pass, as over there."""

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.request import Request

from api.musicgpt.fields import MillisecondsField, NamesField, PlainText
from api.musicgpt.names import FORMATS, STEMS, STEPS
from config.errors import ValidationFailed
from jobs.outbound import URL_MAX_CHARS

_NO_RECORDING = "Both audio_url and audio_file cannot be None."
_TWO_RECORDINGS = "Send audio_url or audio_file, not both."
# Of files, as they are asked for; some are refused by name.
EXTENSIONS = ("mp3", "wav", "flac", "ogg", "aac", "webm")

# What one client calls the file, and what the address was called before.
_ALIASES = {"audio": "audio_file", "audio_path": "audio_url"}


class ConversionForm(serializers.Serializer[Any]):
    """The recording, as a file or by its address, and who is told when it is done."""

    audio_url = PlainText(
        required=False,
        max_length=URL_MAX_CHARS,
        help_text="Address of the recording. Either this or `audio_file`.",
    )
    # An empty file has an error of its own, made where all media errors are made.
    audio_file = serializers.FileField(
        required=False, allow_empty_file=True, max_length=255, help_text="The recording itself."
    )
    webhook_url = PlainText(
        required=False, max_length=2000, help_text="Told when the conversion has ended."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        recordings = ("audio_url" in attrs) + ("audio_file" in attrs)
        if recordings != 1:
            raise serializers.ValidationError(_TWO_RECORDINGS if recordings else _NO_RECORDING)
        return attrs


class ExtractionForm(ConversionForm):
    """Which stems are taken out of which recording."""

    stems = NamesField(
        known=STEMS,
        required=False,
        help_text='The text of a JSON list, such as `["vocals","drums"]`. Without it, or if it is '
        "empty: drums, bass, piano and guitar.",
    )
    preprocessing_options = NamesField(
        known=STEPS,
        required=False,
        help_text="The text of a JSON list of `Denoise`, `Deecho`, `Dereverb`: what is done to the "
        "recording first, in this order.",
    )


class MidiForm(ConversionForm):
    """Which recording is written as notes."""

    sonify_midi = serializers.BooleanField(
        required=False, help_text="Taken, and without effect: no sound is made of the notes."
    )
    save_note_events = serializers.BooleanField(
        required=False, help_text="Taken, and without effect: the notes are in `note_events`."
    )


class FileConvertForm(ConversionForm):
    """Which recording is written in which format."""

    target_format = serializers.ChoiceField(choices=EXTENSIONS)
    target_sr = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=1_000_000,
        help_text="Of an uploaded file, its own rate only: rates are not changed here.",
    )
    target_bit_depth = serializers.ChoiceField(choices=(16, 24, 32), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        attrs["form"] = _form("target_format", attrs["target_format"], attrs)
        if "target_sr" in attrs and "audio_url" in attrs:
            problem = "Leave it out with audio_url: the sample rate of the recording is kept."
            raise serializers.ValidationError({"target_sr": [problem]})
        return attrs


class AudioCutterForm(ConversionForm):
    """Which part of a recording is kept."""

    start_time = MillisecondsField(min_value=0, help_text="In milliseconds.")
    end_time = MillisecondsField(min_value=0, help_text="In milliseconds.")
    output_extension = serializers.ChoiceField(choices=EXTENSIONS, default="mp3")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        attrs["form"] = _form("output_extension", attrs["output_extension"], attrs)
        if attrs["start_time"] >= attrs["end_time"]:
            raise serializers.ValidationError({"end_time": ["It must lie after start_time."]})
        return attrs


def _form(field: str, extension: str, attrs: Mapping[str, Any]) -> str:
    """The name of the format here; mp3 has no bits."""
    if extension == "mp3":
        return extension
    bits = int(attrs.get("target_bit_depth", 16))
    if all(name != extension for name, _ in FORMATS):
        problem = f"'{extension}' is not written here; mp3, wav and flac are."
        raise serializers.ValidationError({field: [problem]})
    if (extension, bits) not in FORMATS:
        problem = f"{extension} has no {bits} bits here."
        raise serializers.ValidationError({"target_bit_depth": [problem]})
    return FORMATS[extension, bits]


def form_read(form: type[ConversionForm], request: Request) -> dict[str, Any]:
    """What the body says, as multipart, as a plain form or as JSON, once it is known to be right.

    Empty texts count as left out: clients send `audio_url` empty beside a file.
    """
    data = request.data
    if not isinstance(data, Mapping):
        raise ValidationFailed("The body must be an object.")
    values = {name: _value(data, name) for name in [*form().fields, *_ALIASES]}
    given = {name: value for name, value in values.items() if value not in ("", None, [])}
    for alias in _ALIASES.keys() & given.keys():
        given.setdefault(_ALIASES[alias], given.pop(alias))
    serializer = form(data=given)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _value(data: Mapping[str, Any], name: str) -> Any:
    # Some clients send a list as the same field several times.
    if isinstance(data, QueryDict) and len(several := data.getlist(name)) > 1:
        return several
    return data.get(name)
