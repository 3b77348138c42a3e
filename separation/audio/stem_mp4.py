"""Files of Native Instruments' STEM format: four stems and their sum in one .stem.mp4.

It is an MP4 file with five stereo tracks of AAC: first the master, which plain players play, since
it alone is enabled; then four stems, by the format's authoring guidelines drums, bass, the rest and
vocals. A box named `stem` in moov/udta holds JSON with the stems' names and colours, and with what
a compressor and a limiter are to do with their sum; both are off here, so that it is the master.

Sources: Native Instruments, "Stem Creator Tool: file authoring guidelines" and "Stem Creator
Manual" (2015); ISO/IEC 14496-12 (boxes); the JSON as stempeg and Mixxx write and read it.
"""

from __future__ import annotations

import json
import os
import struct
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from separation.audio.decode import AudioReader
from separation.audio.encode import AAC_BIT_RATE, CODEC_OPTIONS, FloatArray, raise_if_disk_full
from separation.audio.mix import AAC_RATES, Mixed
from separation.audio.segments import stretches
from separation.audio.tags import read_tags
from separation.errors import InvalidRequest, UnsupportedFormat

# In this order: whoever plays the file finds each of them in its place.
STEMS: Final = ("drums", "bass", "other", "vocals")
_OFF: Final = {
    "compressor": {
        "enabled": False,
        "ratio": 3,
        "output_gain": 0.5,
        "release": 0.3,
        "attack": 0.003,
        "input_gain": 0.5,
        "threshold": 0,
        "hp_cutoff": 300,
        "dry_wet": 50,
    },
    "limiter": {"enabled": False, "release": 0.05, "threshold": 0, "ceiling": -0.35},
}


@dataclass(frozen=True, slots=True)
class StemTrack:
    """One of the four: its file, of any length, and how it is shown (`#RRGGBB`)."""

    path: Path
    name: str
    color: str


def check_stem_mp4(sample_rate: int, channels: Sequence[int]) -> None:
    """Raise UnsupportedFormat unless stems of this rate and these channels fit in."""
    if sample_rate not in AAC_RATES:
        raise UnsupportedFormat(f"STEMS does not support a sample rate of {sample_rate} Hz.")
    if max(channels) > 2:
        raise UnsupportedFormat("STEMS holds mono and stereo only.")


def write_stem_mp4(
    tracks: Sequence[StemTrack],
    output: Path,
    *,
    n_samples: int,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Mixed:
    """Write four stems and their sum, in bounded memory; says what the sum is like.

    Parameters
    ----------
    tracks : sequence of StemTrack
        Four of one rate, in the order of STEMS.
    output : path
        Final name, in an existing folder.
    n_samples : int
        Of each track; a file that is shorter is silent from its end on.
    on_progress : callable
        Takes the share that is done, 0..1, about once a second of audio; may raise to stop.
    """
    if len(tracks) != len(STEMS) or n_samples < 1:
        raise InvalidRequest("A file of stems holds four of them.")
    draft = output.with_name(f".{output.name}.{uuid.uuid4().hex}.part")
    try:
        mixed = _write(tracks, draft, n_samples, on_progress)
        with draft.open("r+b") as file:
            add_to_udta(file, b"stem", _description(tracks))
        draft.replace(output)
    except (OSError, av.error.FFmpegError) as error:
        raise_if_disk_full(error)
        raise
    finally:
        draft.unlink(missing_ok=True)
    return mixed


def _write(
    tracks: Sequence[StemTrack],
    draft: Path,
    n_samples: int,
    on_progress: Callable[[float], None],
) -> Mixed:
    peak, n_over, position = 0.0, 0, 0
    with ExitStack() as files:
        readers = [files.enter_context(AudioReader(track.path)) for track in tracks]
        rates = {reader.format.sample_rate for reader in readers}
        if len(rates) > 1:
            raise InvalidRequest("The files have different sample rates.")
        rate = rates.pop()
        check_stem_mp4(rate, [reader.format.channels for reader in readers])
        # The boxes of Apple's M4A, which other such files have too; moov comes last.
        container = files.enter_context(av.open(f"file:{draft}", "w", format="ipod"))
        title = read_tags(tracks[0].path).values.get("title", "")
        if title:
            container.metadata["title"] = title.removesuffix(f" ({tracks[0].name})")
        names = ("Master", *(track.name for track in tracks))
        streams = [_stream(container, rate, name) for name in names]
        parts = [stretches(reader, 0, n_samples, size=rate) for reader in readers]
        for blocks in zip(*parts, strict=True):
            stems = [_stereo(block) for block in blocks]
            master = np.stack(stems).sum(axis=0)
            loudness = np.abs(master)
            peak = max(peak, float(loudness.max()))
            n_over += int(np.count_nonzero(loudness > 1))
            for stream, samples in zip(streams, (master, *stems), strict=True):
                frame = AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
                frame.sample_rate, frame.pts = rate, position
                container.mux(stream.encode(frame))
            position += master.shape[1]
            on_progress(position / n_samples)
        for stream in streams:
            container.mux(stream.encode(None))
    return Mixed(peak, n_over)


def _stream(container: av.container.OutputContainer, rate: int, name: str) -> AudioStream:
    stream = container.add_stream("aac", rate=rate, options=CODEC_OPTIONS["aac"])
    stream.codec_context.layout = "stereo"
    stream.codec_context.format = "fltp"
    stream.codec_context.bit_rate = AAC_BIT_RATE
    stream.metadata["handler_name"] = name
    return stream


def _stereo(block: FloatArray) -> FloatArray:
    both = np.repeat(block, 2, axis=0) if len(block) == 1 else block
    return np.ascontiguousarray(both, np.float32)


def _description(tracks: Sequence[StemTrack]) -> bytes:
    stems = [{"name": track.name, "color": track.color} for track in tracks]
    described = {"mastering_dsp": _OFF, "stems": stems, "version": 1}
    return json.dumps(described, separators=(",", ":")).encode()


# --- Boxes --------------------------------------------------------------------------------------


def add_to_udta(file: BinaryIO, kind: bytes, content: bytes) -> None:
    """Add a box to moov/udta of an MP4 file whose moov comes last.

    Nothing lies behind moov, so that no offset of a sample changes.
    """
    start, size, is_last = _find_moov(file)
    if not is_last:
        raise ValueError("The file has something behind its moov.")
    file.seek(start)
    moov = file.read(size)
    box = _box(kind, content)
    at = _child(moov, b"udta")
    if at is None:
        body = moov[8:] + _box(b"udta", box)
    else:
        end = at + _size(moov, at)
        body = moov[8:at] + _box(b"udta", moov[at + 8 : end] + box) + moov[end:]
    file.seek(start)
    file.write(_box(b"moov", body))
    file.truncate()


def _find_moov(file: BinaryIO) -> tuple[int, int, bool]:
    """Where the box begins, its size, and whether it is the last one."""
    end = file.seek(0, os.SEEK_END)
    start = 0
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        elif size == 0:
            size = end - start
        if kind == b"moov":
            return start, size, start + size == end
        if size < 8:
            break
        start += size
    raise ValueError("The file has no moov.")


def _child(parent: bytes, kind: bytes) -> int | None:
    """Where the first box of a kind begins in another one."""
    at = 8
    while at + 8 <= len(parent):
        if parent[at + 4 : at + 8] == kind:
            return at
        at += max(_size(parent, at), 8)
    return None


def _size(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content
