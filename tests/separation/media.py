"""Generated recordings of every kind that is read."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np

SPEEX_FRAME = 160


def tones(n_samples, n_channels=2, sample_rate=44100, *, level=0.5):
    """Forty partials of 100 to 3000 Hz, others in each channel, (channels, n_samples) float32."""
    random = np.random.default_rng(7)
    time_s = np.arange(n_samples) / sample_rate
    channels = []
    for _ in range(n_channels):
        frequencies = random.uniform(100, 3000, (40, 1))
        phases = random.uniform(0, 2 * np.pi, (40, 1))
        sound = np.sin(2 * np.pi * frequencies * time_s + phases).sum(axis=0)
        channels.append(level * sound / 40)
    return np.array(channels, np.float32)


def noise(n_samples, n_channels=2, *, seed=0, level=0.25):
    """Uniform noise, (channels, n_samples) float32 within ±level."""
    random = np.random.default_rng(seed)
    return random.uniform(-level, level, (n_channels, n_samples)).astype(np.float32)


def write_media(
    path: Path,
    samples: np.ndarray,
    sample_rate: int = 44100,
    *,
    codec: str,
    container: str | None = None,
    sample_format: str | None = None,
    layout: str | None = None,
    with_video: bool = False,
    muxer: dict[str, str] | None = None,
    quality: int | None = None,
):
    """Encode (channels, n) float samples with FFmpeg's encoders.

    `muxer` holds options of the container; with a `quality` the bit rate varies.
    """
    n_channels = samples.shape[0]
    layout = layout or ["mono", "stereo", "2.1", "quad", "5.0", "5.1", "6.1", "7.1"][n_channels - 1]
    with av.open(str(path), "w", format=container, container_options=muxer or {}) as output:
        options = {"strict": "experimental"} if codec == "vorbis" else {}
        picture: Any = output.add_stream("mpeg4", rate=25) if with_video else None
        stream: Any = output.add_stream(codec, rate=sample_rate, options=options)
        stream.codec_context.layout = layout
        stream.codec_context.format = sample_format or stream.codec_context.codec.audio_formats[0]
        if quality is not None:
            stream.codec_context.global_quality = 118 * quality
            stream.codec_context.flags |= av.codec.context.Flags.qscale
        if codec == "wmav2":
            stream.codec_context.bit_rate = 128_000
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
            for _ in range(5):
                frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
                output.mux(picture.encode(frame))
            output.mux(picture.encode(None))
        frame = frame_of(samples, stream.codec_context.format.name, layout)
        frame.sample_rate = sample_rate
        frame.pts = 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def write_headerless(path: Path) -> Path:
    """Write a short ADTS recording of two channels, at 32 kHz, that FFmpeg takes for video.

    Only a claim, `aac`, tells what it is; the path's suffix is one.
    """
    named = path.with_name("headerless.aac")
    loud = noise(100, 2, level=0.9)
    write_media(named, loud, 32000, codec="aac", container="adts", sample_format="fltp")
    return named.rename(path)


def add_itunes_length(path: Path, *, priming: int, padding: int, n_samples: int) -> Path:
    """Put the tag of iTunes that says what is sound into an MP4 file without an edit list."""
    numbers = [f"{0:08X}", f"{priming:08X}", f"{padding:08X}", f"{n_samples:016X}"] + 8 * ["0" * 8]
    tag = _box(
        b"----",
        _box(b"mean", bytes(4), b"com.apple.iTunes"),
        _box(b"name", bytes(4), b"iTunSMPB"),
        _box(b"data", struct.pack(">II", 1, 0), (" " + " ".join(numbers)).encode()),
    )
    handler = _box(b"hdlr", bytes(8), b"mdirappl", bytes(9))
    user_data = _box(b"udta", _box(b"meta", bytes(4), handler, _box(b"ilst", tag)))
    content = path.read_bytes()
    boxes = []
    for kind, box in _boxes(content):
        if kind == b"moov":
            kept = [inner for name, inner in _boxes(box[8:]) if name != b"udta"]
            boxes.append(_box(b"moov", *kept, user_data))
        else:
            boxes.append(box)
    path.write_bytes(b"".join(boxes))
    return path


def _box(kind, *contents):
    content = b"".join(contents)
    return struct.pack(">I", 8 + len(content)) + kind + content


def _boxes(content):
    start = 0
    while start < len(content):
        (size,) = struct.unpack_from(">I", content, start)
        yield content[start + 4 : start + 8], content[start : start + size]
        start += size


def frame_of(samples, sample_format, layout):
    """An AVFrame of float samples in the encoder's own sample format."""
    kind = sample_format.removesuffix("p")
    array = samples.astype(np.float32)
    if kind in {"s16", "s32"}:
        bits = 16 if kind == "s16" else 24
        scaled = np.clip(
            np.rint(samples * 2.0 ** (bits - 1)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        )
        array = scaled.astype(np.int16) if bits == 16 else scaled.astype(np.int32) << 8
    elif kind == "u8":
        array = np.clip(np.rint(samples * 128 + 128), 0, 255).astype(np.uint8)
    if kind == "dbl":
        array = samples.astype(np.float64)
    if not sample_format.endswith("p"):
        array = np.ascontiguousarray(array.T).reshape(1, -1)
    elif len(array) == 8:
        # PyAV cannot fill eight planes.
        packed = frame_of(samples, kind, layout)
        packed.sample_rate = 44100
        return av.AudioResampler(sample_format, layout).resample(packed)[0]
    return av.AudioFrame.from_ndarray(np.ascontiguousarray(array), sample_format, layout)


def write_speex(path: Path, n_frames: int, *, seed: int = 0) -> Path:
    """Write narrowband Ogg Speex of 8 kHz by hand; FFmpeg decodes Speex but cannot encode it.

    Each packet is one frame of submode 3 (8 kbit/s, 160 bits): a 0 bit (no wideband layer), the
    submode in 4 bits, then codebook indices, of which every value is legal.
    """
    random = np.random.default_rng(seed)
    header = b"Speex   " + b"1.2".ljust(20, b"\0")
    header += struct.pack("<13i", 1, 80, 8000, 0, 4, 1, -1, SPEEX_FRAME, 0, 1, 0, 0, 0)
    comment = struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)
    pages = [_ogg_page([header], 0, 0, 2), _ogg_page([comment], 0, 1, 0)]
    packets = []
    for _ in range(n_frames):
        bits = np.concatenate([[0, 0, 0, 1, 1], random.integers(0, 2, 155)]).astype(np.uint8)
        packets.append(np.packbits(bits).tobytes())
    for start in range(0, n_frames, 50):
        group = packets[start : start + 50]
        is_last = start + 50 >= n_frames
        granule = (start + len(group)) * SPEEX_FRAME
        pages.append(_ogg_page(group, granule, 2 + start // 50, 4 if is_last else 0))
    path.write_bytes(b"".join(pages))
    return path


def _ogg_page(packets, granule, sequence, flags):
    lacing = b"".join(bytes([255] * (len(p) // 255) + [len(p) % 255]) for p in packets)
    head = b"OggS" + struct.pack("<BBqIII", 0, flags, granule, 1, sequence, 0)
    page = head + bytes([len(lacing)]) + lacing + b"".join(packets)
    return page[:22] + struct.pack("<I", _ogg_crc(page)) + page[26:]


def _ogg_crc(page):
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = ((crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc
