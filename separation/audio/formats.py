"""The output formats, and which of them a recording fits into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from separation.audio.info import AudioInfo
from separation.errors import InvalidRequest, UnsupportedFormat


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How stems are written; `bits` is None where samples stay float."""

    name: str
    extension: str
    container: str
    codec: str
    sample_format: str
    bits: int | None
    max_channels: int = 8
    sample_rates: frozenset[int] | None = None


_MP3_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})

_CONCRETE = (
    OutputFormat("wav16", "wav", "wav", "pcm_s16le", "s16", 16),
    OutputFormat("wav24", "wav", "wav", "pcm_s24le", "s32", 24),
    OutputFormat("wav32f", "wav", "wav", "pcm_f32le", "flt", None),
    OutputFormat("flac16", "flac", "flac", "flac", "s16", 16),
    OutputFormat("flac24", "flac", "flac", "flac", "s32", 24),
    OutputFormat("mp3", "mp3", "mp3", "libmp3lame", "fltp", None, 2, _MP3_RATES),
)
_BY_NAME: Mapping[str, OutputFormat] = {form.name: form for form in _CONCRETE}

NAMES = ("wav", "wav16", "wav24", "wav32f", "flac", "flac16", "flac24", "mp3")


def resolve(name: str, info: AudioInfo) -> OutputFormat:
    """Return the concrete format in which the stems of one recording are written.

    Raises
    ------
    UnsupportedFormat
        If there is no such format or it cannot hold the recording's rate or channels.
    """
    check_name(name)
    form = _BY_NAME[_concrete_name(name, info)]
    if info.channels > form.max_channels:
        raise UnsupportedFormat(
            f"{form.name.upper()} holds at most {form.max_channels} channels, "
            f"and the recording has {info.channels}."
        )
    if form.sample_rates is not None and info.sample_rate not in form.sample_rates:
        raise UnsupportedFormat(
            f"{form.name.upper()} does not support a sample rate of {info.sample_rate} Hz."
        )
    return form


def resolve_all(names: Sequence[str], info: AudioInfo) -> dict[str, OutputFormat]:
    """Return the concrete format for each name, in the same order.

    Raises
    ------
    InvalidRequest
        If a name is there twice.
    UnsupportedFormat
        If there is no such format or it cannot hold the recording's rate or channels.
    """
    check_names(names)
    return {name: resolve(name, info) for name in names}


def suffixes(forms: Mapping[str, OutputFormat]) -> dict[str, str]:
    """Return how the files of each format end, no two alike: `.wav`, and `.wav24.wav` for another.

    Parameters
    ----------
    forms : mapping of str to OutputFormat
        By the name under which each was asked for; the first has the plain ending.
    """
    found: dict[str, str] = {}
    for name, form in forms.items():
        plain = f".{form.extension}"
        found[name] = f".{name}{plain}" if plain in found.values() else plain
    return found


def file_stems(names: Sequence[str], forms: Mapping[str, OutputFormat]) -> list[str]:
    """Return the names of all files without extension, for those in one format."""
    ends = {Path(f"x{suffix}").stem[1:] for suffix in suffixes(forms).values()}
    return [name + end for name in names for end in sorted(ends)]


def concrete(name: str) -> OutputFormat:
    """Return one of the concrete formats, such as `flac24`, whatever the recording.

    Raises
    ------
    KeyError
        If it is none of these: names such as `flac` depend on the recording (`resolve`).
    """
    return _BY_NAME[name]


def name_of(codec: str, bits: int | None) -> str | None:
    """Return the name of the concrete format that is written so; None if none is."""
    return next((form.name for form in _CONCRETE if (form.codec, form.bits) == (codec, bits)), None)


def check_name(name: str) -> None:
    """Raise UnsupportedFormat unless `name` is one of NAMES."""
    if name not in NAMES:
        raise UnsupportedFormat(
            f"There is no output format named '{name}'; known formats are {', '.join(NAMES)}."
        )


def check_names(names: Sequence[str]) -> None:
    """Raise UnsupportedFormat or InvalidRequest unless all are known, and none is there twice."""
    for name in names:
        check_name(name)
        if list(names).count(name) > 1:
            raise InvalidRequest(f"The format '{name}' is asked for twice.")


def _concrete_name(name: str, info: AudioInfo) -> str:
    is_16_bit = info.bits_per_sample == 16
    if name == "flac":
        return "flac16" if is_16_bit else "flac24"
    if name == "wav":
        # Float for lossy and float sources, whose samples may lie beyond full scale.
        return {16: "wav16", 24: "wav24"}.get(info.bits_per_sample or 0, "wav32f")
    return name
