"""What a recording says of itself: its title and the like, and its cover."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition

from separation.audio.container import open_recording, reraise_resource_error

# What a stem has in common with its recording. All else stays behind: ReplayGain speaks of the
# recording's loudness, ISRC and fingerprints of the recording itself, the rest of its encoder.
_CARRIED = frozenset(
    "title artist album album_artist track disc date genre composer performer comment copyright "
    "publisher bpm key".split()
)
# Names that FFmpeg leaves as each container has them.
_OTHER_NAMES = {
    "tbpm": "bpm",
    "tmpo": "bpm",
    "tkey": "key",
    "initialkey": "key",
    "year": "date",
}
_NAMES_WRITTEN: Mapping[str, Mapping[str, str]] = {
    "mp3": {"bpm": "TBPM", "key": "TKEY"},
    "flac": {"key": "initialkey"},
}

# A tag that is longer is no title, and a cover that is larger no thumbnail: each stem holds both.
_MAX_CHARACTERS = 4096
_MAX_COVER_BYTES = 8 << 20
_COVER_MAGIC = {"mjpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
_COVER_CONTAINERS = frozenset({"flac", "mp3"})


@dataclass(frozen=True, slots=True)
class Cover:
    """A picture as it lies in the file; `codec` is `mjpeg` or `png`."""

    codec: str
    data: bytes = field(repr=False)
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Tags:
    """Clean text under FFmpeg's common names, and a cover."""

    values: Mapping[str, str] = field(default_factory=dict)
    cover: Cover | None = None

    def of_stem(self, stem_title: str) -> Self:
        """Return the tags of one stem: `Song` becomes `Song (Vocals)`, the rest is the same."""
        if "title" not in self.values:
            return self
        return replace(
            self, values={**self.values, "title": f"{self.values['title']} ({stem_title})"}
        )


def read_tags(path: Path, guess: str | None = None) -> Tags:
    """Return what a recording says of itself; nothing if that cannot be read.

    Control characters are taken out; what is too long or too large is left behind.

    Parameters
    ----------
    path : path
    guess : str, optional
        See `open_recording`.

    Raises
    ------
    SeparationError
        If the file is no recording.
    """
    with open_recording(path, guess) as container:
        found: dict[str, str] = {}
        for metadata in (container.metadata, *(s.metadata for s in container.streams.audio[:1])):
            for name, value in metadata.items():
                common = _OTHER_NAMES.get(name.lower(), name.lower())
                if common in _CARRIED and (text := _clean(value)):
                    found.setdefault(common, text)
        return Tags(found, _cover(container))


def _clean(value: str) -> str:
    if len(value) > _MAX_CHARACTERS:
        return ""
    return "".join(c for c in value if c in "\n\t" or unicodedata.category(c) != "Cc").strip()


def _cover(container: InputContainer) -> Cover | None:
    for stream in container.streams.video:
        codec = stream.codec_context.name if stream.codec_context else ""
        if not stream.disposition & Disposition.attached_pic or codec not in _COVER_MAGIC:
            continue
        try:
            # FFmpeg has read it already and hands it out first.
            packet = next(container.demux(stream), None)
        except av.error.FFmpegError as error:
            reraise_resource_error(error)
            return None
        if packet is not None and 0 < packet.size <= _MAX_COVER_BYTES:
            data = bytes(packet)
            if data.startswith(_COVER_MAGIC[codec]):
                return Cover(codec, data, stream.codec_context.width, stream.codec_context.height)
    return None


class TagWriter:
    """Puts tags into a file that is being written, as far as its container has room for them.

    FLAC takes all of them, MP3 as ID3v2.3 too; WAV takes those that its INFO list knows, and no
    cover.

    Parameters
    ----------
    container : OutputContainer
        Before anything is written to it, with its audio stream.
    tags : Tags
    """

    def __init__(self, container: OutputContainer, tags: Tags) -> None:
        self._container = container
        self._packet: Packet[Any] | None = None
        kind = container.format.name
        names = _NAMES_WRITTEN.get(kind, {})
        for name, value in tags.values.items():
            container.metadata[names.get(name, name)] = value
        if tags.cover is not None and kind in _COVER_CONTAINERS:
            self._packet = self._cover_packet(tags.cover)

    def start(self) -> None:
        """Write the cover, before the first samples; a second call does nothing."""
        if self._packet is not None:
            packet, self._packet = self._packet, None
            self._container.mux(packet)

    def _cover_packet(self, cover: Cover) -> Packet[Any]:
        stream: Any = self._container.add_mux_stream(
            cover.codec, width=cover.width, height=cover.height
        )
        stream.disposition = Disposition.attached_pic
        stream.metadata["comment"] = "Cover (front)"
        packet: Packet[Any] = Packet(cover.data)
        packet.stream = stream
        packet.pts = packet.dts = 0
        packet.is_keyframe = True
        return packet
