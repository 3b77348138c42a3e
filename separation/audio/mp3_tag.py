"""The tag in an MP3's first frame that says how many samples it really holds."""

from __future__ import annotations

import struct
from pathlib import Path

_HAS_FRAMES, _HAS_BYTES, _HAS_INDEX, _HAS_QUALITY = 1, 2, 4, 8
_PADDING_AT = 21  # within the part that LAME added
_CHECKSUM_AT = 190  # within the frame
_MAX_PADDING = 0xFFF


def declare_length(path: Path, n_samples: int) -> None:
    """Set the padding in the tag so that players return exactly `n_samples`.

    FFmpeg's muxer counts the padding of the last frame only; when the encoder needs one frame
    more for its own delay, it is up to 47 samples short.

    References
    ----------
    http://gabriel.mp3-tech.org/mp3infotag.html
    """
    with path.open("r+b") as file:
        start = _first_frame(file.read(10))
        file.seek(start)
        head = file.read(4096)
        tag = max(head.find(b"Xing"), head.find(b"Info"))
        if tag < 0 or not head.startswith(b"\xff"):
            return
        flags, n_frames = struct.unpack_from(">II", head, tag + 4)
        lengths = {_HAS_FRAMES: 4, _HAS_BYTES: 4, _HAS_INDEX: 100, _HAS_QUALITY: 4}
        extension = tag + 8 + sum(n for flag, n in lengths.items() if flags & flag)
        at = extension + _PADDING_AT
        delay = int.from_bytes(head[at : at + 3], "big") >> 12
        padding = n_frames * _samples_per_frame(head[1]) - delay - n_samples
        if not 0 <= padding <= _MAX_PADDING:
            return
        patched = bytearray(head)
        patched[at : at + 3] = (delay << 12 | padding).to_bytes(3, "big")
        end = _CHECKSUM_AT
        patched[end : end + 2] = _crc16(patched[:end]).to_bytes(2, "big")
        file.seek(start)
        file.write(patched)


def _first_frame(head: bytes) -> int:
    """Return where the first frame starts, after an ID3v2 tag if there is one."""
    if not head.startswith(b"ID3"):
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte
    return 10 + size


def _samples_per_frame(second_byte: int) -> int:
    is_mpeg_1 = second_byte >> 3 & 3 == 3
    return 1152 if is_mpeg_1 else 576


def _crc16(data: bytes | bytearray) -> int:
    """CRC-16 with the reflected polynomial 0xA001, as LAME computes it."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
