"""Local files opened by FFmpeg's demuxers, and only those that are on the list."""

from __future__ import annotations

from pathlib import Path

import av
import av.error

# PyAV loads it with the first file, when a confined process may not be able to any more.
import av.subtitles.stream
from av.audio.stream import AudioStream
from av.container import InputContainer

from separation.errors import (
    BrokenMedia,
    EmptyFile,
    MediaError,
    MissingFile,
    NoAudioStream,
    UnsupportedMedia,
)

# A playlist or a concatenation script named .wav must not make FFmpeg open what it lists: only
# these demuxers are tried, and only local files are opened.
_CONTAINERS = "wav,w64,aiff,caf,au,mp3,aac,flac,ogg,mov,matroska,asf,avi,wv,tta,ape,amr,mpegts,mpeg"
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}

# Formats without a header, which a claim may tell from noise.
HEADERLESS = frozenset({"mp3", "aac"})

_MAGIC = (b"fLaC", b"OggS", b"ID3", b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"FORM", b"RF64")


def open_recording(path: Path, guess: str | None = None) -> InputContainer:
    """Open a local file with the demuxers that are on the list.

    Parameters
    ----------
    path : path
        Local file.
    guess : str, optional
        The kind of file that its name or its owner claims, as in ``mp3``; the path's own suffix
        when left out. It matters only to files that do not show what they are.

    Raises
    ------
    MissingFile, EmptyFile, UnsupportedMedia, BrokenMedia
        If it is no recording.
    """
    if not path.exists():
        raise MissingFile(f"There is no file named '{path.name}'.")
    if not path.is_file():
        raise UnsupportedMedia(f"'{path.name}' is not a file.")
    if path.stat().st_size == 0:
        raise EmptyFile("The file is empty.")
    try:
        return _open_as(path, None)
    except av.error.FFmpegError as error:
        reraise_resource_error(error)
        second = _second_guess(path, guess) if isinstance(error, av.error.ArgumentError) else None
        if second is None:
            raise undecodable(path) from error
    try:
        return _open_as(path, second)
    except av.error.FFmpegError as error:
        reraise_resource_error(error)
        raise undecodable(path) from error


def _open_as(path: Path, container: str | None) -> InputContainer:
    return av.open(
        f"file:{path}",
        "r",
        format=container,
        container_options=dict(_OPTIONS),
        metadata_errors="ignore",
    )


def _second_guess(path: Path, guess: str | None) -> str | None:
    """Name a headerless format that FFmpeg took for one that is not on the list.

    A very short MP3 looks like some video stream to it as much as like MP3.
    """
    with path.open("rb") as file:
        if file.read(3) == b"ID3":
            return "mp3"
    claimed = guess or path.suffix.lower().removeprefix(".")
    return claimed if claimed in HEADERLESS else None


def reraise_resource_error(error: av.error.FFmpegError) -> None:
    """Let out-of-memory and failing disks pass: they say nothing about the recording."""
    if isinstance(error, MemoryError):
        raise error
    if isinstance(error, OSError) and not isinstance(error, av.error.EOFError):
        raise error


def undecodable(path: Path) -> MediaError:
    """Return the error for a file of which nothing, or too little, can be decoded."""
    if has_known_magic(path):
        return BrokenMedia("The recording is damaged: most of it cannot be decoded.")
    return UnsupportedMedia("The file is not a recording of a kind that can be read.")


def has_known_magic(path: Path) -> bool:
    """Say whether a file starts like a recording of a kind that is read."""
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"RIFF"):
        return head[8:12] in {b"WAVE", b"AVI "}
    return head.startswith(_MAGIC) or head[4:8] == b"ftyp"


def first_audio_stream(container: InputContainer) -> AudioStream:
    """Return the first audio stream.

    Raises
    ------
    NoAudioStream
        If there is none.
    UnsupportedMedia
        If its codec is unknown.
    """
    if not container.streams.audio:
        raise NoAudioStream("The file holds no audio stream.")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise UnsupportedMedia("The recording's audio codec cannot be read.")
    return stream
