"""Exact facts about a recording, by decoding it once."""

from __future__ import annotations

from pathlib import Path

from separation.audio.info import AudioInfo, AudioLimits


def probe(path: str | Path, *, limits: AudioLimits | None = None) -> AudioInfo:
    """Decode a recording once, in bounded memory, and return its exact length and format.

    Parameters
    ----------
    path : path
        Local file.
    limits : AudioLimits, optional
        What to accept; decoding stops as soon as a limit is passed.

    Raises
    ------
    UnsupportedMedia, BrokenMedia, EmptyFile, NoAudioStream, TooLong
        If the file is not a recording that can be taken apart.
    """
    raise NotImplementedError
