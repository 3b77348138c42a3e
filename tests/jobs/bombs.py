"""Small files that want to become large, or slow, or something else."""

import struct
import zlib

_CRC8 = [0] * 256
_CRC16 = [0] * 256
for _byte in range(256):
    _low, _high = _byte, _byte << 8
    for _ in range(8):
        _low = (_low << 1 ^ 0x07) & 0xFF if _low & 0x80 else _low << 1
        _high = (_high << 1 ^ 0x8005) & 0xFFFF if _high & 0x8000 else _high << 1
    _CRC8[_byte], _CRC16[_byte] = _low, _high


def silent_flac(n_frames: int, *, block: int = 4608, claimed: int | None = None) -> bytes:
    """Stereo of 44.1 kHz: 16 bytes a frame, whatever its length. `claimed` is what its head says.

    Blocks are 4608 samples, or 256 or fewer.
    """
    total = n_frames * block if claimed is None else claimed
    head = struct.pack(">HH", max(16, block), max(16, block)) + bytes(6)
    head += (44_100 << 44 | 1 << 41 | 15 << 36 | total).to_bytes(8, "big") + bytes(16)
    frames = [b"fLaC\x80" + len(head).to_bytes(3, "big") + head]
    # The code of the block's length, of 44.1 kHz, of two channels of 16 bits.
    fixed, length = b"\xff\xf8" + (b"\x59" if block == 4608 else b"\x69") + b"\x18", b""
    if block != 4608:
        length = bytes([block - 1])
    for number in range(n_frames):
        frame = fixed + _utf8(number) + length
        crc = 0
        for byte in frame:
            crc = _CRC8[crc ^ byte]
        # A constant for each channel: 0.
        frame += bytes([crc]) + bytes(6)
        crc = 0
        for byte in frame:
            crc = (crc << 8 & 0xFFFF) ^ _CRC16[crc >> 8 ^ byte]
        frames.append(frame + crc.to_bytes(2, "big"))
    return b"".join(frames)


def _utf8(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass")


def wav(
    data: bytes, *, channels: int = 2, sample_rate: int = 44_100, claimed: int | None = None
) -> bytes:
    """16 bits; `claimed` is the length of the data as the header tells it."""
    n_bytes = len(data) if claimed is None else claimed
    block = 2 * channels % 2**16
    rate_bytes = 2 * channels * sample_rate % 2**32
    form = struct.pack("<HHIIHH", 1, channels, sample_rate, rate_bytes, block, 16)
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", n_bytes)
    return b"RIFF" + struct.pack("<I", min(2**32 - 1, n_bytes + 36)) + head + data


def id3_bomb(n_bytes: int) -> bytes:
    """A compressed picture in front of an MP3, zeros before and after."""
    packed = zlib.compress(b"\0image/png\0\3\0" + bytes(n_bytes), 9)
    body = _syncsafe(n_bytes + 13) + packed
    # Compressed, with its length told.
    frame = b"APIC" + _syncsafe(len(body)) + b"\x00\x09" + body
    return b"ID3\4\0\0" + _syncsafe(len(frame)) + frame


def _syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def mp4_tables(n_entries: int) -> bytes:
    """A track whose sample tables claim any number of entries that are not there."""

    def box(kind: bytes, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return struct.pack(">I", len(body) + 8) + kind + body

    form = bytes(6) + struct.pack(">HHHIHHHHI", 1, 0, 0, 0, 2, 16, 0, 0, 44_100 << 16)
    tables = [
        box(b"stsd", bytes(4), struct.pack(">I", 1), box(b"sowt", form)),
        box(b"stts", bytes(4), struct.pack(">III", 1, n_entries, 1)),
        box(b"stsc", bytes(4), struct.pack(">IIII", 1, 1, n_entries, 1)),
        # Every sample is four bytes long: no table is needed to say so of 4,000 million.
        box(b"stsz", bytes(4), struct.pack(">II", 4, n_entries)),
        box(b"stco", bytes(4), struct.pack(">II", n_entries, 64)),
        box(b"ctts", bytes(4), struct.pack(">III", n_entries, n_entries, 1)),
    ]
    media = box(
        b"mdia",
        box(b"mdhd", bytes(12), struct.pack(">II", 44_100, n_entries), bytes(4)),
        box(b"hdlr", bytes(8), b"soun", bytes(13)),
        box(b"minf", box(b"stbl", *tables)),
    )
    track = box(b"trak", box(b"tkhd", bytes(12), struct.pack(">I", 1), bytes(68)), media)
    movie = box(b"moov", box(b"mvhd", bytes(12), struct.pack(">II", 1000, 1000), bytes(80)), track)
    return box(b"ftyp", b"isom", bytes(4), b"isom") + movie + box(b"mdat", bytes(4096))


def endless_aiff() -> bytes:
    """2**32 - 1 frames of eight channels of 32 bits, in 1 kB."""
    rate = bytes.fromhex("400eac44000000000000")
    form = b"COMM" + struct.pack(">IhIh", 18, 8, 2**32 - 1, 32) + rate
    sound = b"SSND" + struct.pack(">III", 2**32 - 1, 0, 0) + bytes(1024)
    return b"FORM" + struct.pack(">I", 2**32 - 1) + b"AIFF" + form + sound


def endless_matroska() -> bytes:
    """A list of tracks of 2 GiB, in 1 kB."""
    header = bytes.fromhex("1a45dfa3844286810118538067 01ffffffffffffff".replace(" ", ""))
    tracks = bytes.fromhex("1654ae6b 010000007fffffff".replace(" ", ""))
    return header + tracks + bytes(range(256)) * 4


def playlists(url: str) -> dict[str, bytes]:
    """Texts that name another recording."""
    texts = {
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
        "m3u": f"#EXTM3U\n{url}/a.wav\n",
        "ffconcat": f"ffconcat version 1.0\nfile '{url}/a.wav'\n",
        "mpd": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
            f"<BaseURL>{url}/</BaseURL><Period><AdaptationSet mimeType='audio/mp4'>"
            "<Representation id='1' bandwidth='1'><SegmentTemplate media='a.m4s' "
            "initialization='i.mp4' duration='1'/></Representation></AdaptationSet></Period></MPD>"
        ),
        "sdp": (
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
            "m=audio 5004 RTP/AVP 0\n"
        ),
        "xspf": (
            '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/">'
            f"<trackList><track><location>{url}/a.wav</location></track></trackList></playlist>"
        ),
        "pls": f"[playlist]\nFile1={url}/a.wav\nNumberOfEntries=1\n",
        "ism": f"<SmoothStreamingMedia><StreamIndex Url='{url}/a'/></SmoothStreamingMedia>",
    }
    return {kind: text.encode() for kind, text in texts.items()}
