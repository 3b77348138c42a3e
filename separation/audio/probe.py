"""Exact facts about a recording, by decoding it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from separation.audio.decode import AudioReader
from separation.audio.info import AudioFormat, AudioInfo, AudioLimits
from separation.errors import TooLong, UnsupportedMedia


def _ignore(n_samples: int) -> None:
    """Do nothing."""


def probe(
    path: str | Path,
    *,
    limits: AudioLimits | None = None,
    guess: str | None = None,
    on_decoded: Callable[[int], None] = _ignore,
) -> AudioInfo:
    """Decode a recording once, in bounded memory, and return its exact length and format.

    Parameters
    ----------
    path : path
        Local file.
    limits : AudioLimits, optional
        What to accept; decoding stops as soon as a limit is passed.
    guess : str, optional
        The kind of file that is claimed, as in ``mp3``; the path's suffix when left out.
    on_decoded : callable
        Takes the number of samples so far, about once a second of audio; may raise to stop.

    Raises
    ------
    UnsupportedMedia, BrokenMedia, EmptyFile, MissingFile, NoAudioStream, TooLong
        If the file is not a recording that can be taken apart.
    """
    limits = limits or AudioLimits()
    with AudioReader(path, guess=guess) as reader:
        _check_format(reader.format, limits)
        n_samples = _count(reader, limits, on_decoded)
        reader.check_health()
        return AudioInfo(n_samples=n_samples, **asdict(reader.format))


def _count(reader: AudioReader, limits: AudioLimits, on_decoded: Callable[[int], None]) -> int:
    n_samples = reported = 0
    rate, n_channels = reader.format.sample_rate, reader.format.channels
    for block in reader.blocks():
        n_samples += block.shape[1]
        if limits.max_duration_s is not None and n_samples > limits.max_duration_s * rate:
            raise TooLong(f"The recording is longer than {limits.max_duration_s:g} seconds.")
        if limits.max_samples is not None and n_samples * n_channels > limits.max_samples:
            raise TooLong("The recording has too many samples, counted over all its channels.")
        if n_samples >= reported + rate:
            reported = n_samples
            on_decoded(n_samples)
    return n_samples


def _check_format(form: AudioFormat, limits: AudioLimits) -> None:
    if not limits.min_sample_rate <= form.sample_rate <= limits.max_sample_rate:
        raise UnsupportedMedia(
            f"A sample rate of {form.sample_rate} Hz is not supported; "
            f"it must be {limits.min_sample_rate} to {limits.max_sample_rate} Hz."
        )
    if not 1 <= form.channels <= limits.max_channels:
        raise UnsupportedMedia(
            f"{form.channels} channels are not supported; "
            f"there may be at most {limits.max_channels}."
        )
