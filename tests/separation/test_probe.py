"""A folder of files that are no recordings, or hardly."""

import struct
import zlib

import numpy as np
import pytest

from separation import errors, probe
from separation.errors import SeparationError
from tests.separation.media import noise, tones, write_media

N = 100_000


def png():
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0\0\0\0\0" * 4)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def random_bytes(n, seed=0):
    return np.random.default_rng(seed).bytes(n)


CONTENTS = {
    "empty.wav": (b"", errors.EmptyFile),
    "text.mp3": (b"This is no recording.\n" * 500, errors.UnsupportedMedia),
    "random.wav": (random_bytes(200_000), errors.UnsupportedMedia),
    "random.mp3": (random_bytes(200_000, 1), errors.UnsupportedMedia),
    "one.wav": (b"R", errors.UnsupportedMedia),
    "zeros.wav": (bytes(100_000), errors.UnsupportedMedia),
    "image.wav": (png(), errors.UnsupportedMedia),
    "page.flac": (b"<!DOCTYPE html><html><body>404</body></html>", errors.UnsupportedMedia),
    "list.wav": (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nx.ts\n", errors.UnsupportedMedia),
    "concat.wav": (b"ffconcat version 1.0\nfile 'secret.wav'\n", errors.UnsupportedMedia),
    "sdp.wav": (
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
        errors.UnsupportedMedia,
    ),
    "head.wav": (b"RIFF\x24\0\0\0WAVEfmt ", errors.BrokenMedia),
    "head.flac": (b"fLaC" + random_bytes(5000, 2), errors.BrokenMedia),
    "head.ogg": (b"OggS" + random_bytes(5000, 3), errors.BrokenMedia),
    "head.mp4": (b"\0\0\0\x20ftypisom" + random_bytes(5000, 4), errors.BrokenMedia),
    "head.mkv": (b"\x1aE\xdf\xa3" + random_bytes(5000, 5), errors.BrokenMedia),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_it_names_what_is_wrong(tmp_path, name):
    content, error = CONTENTS[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(error) as caught:
        probe(path)
    assert type(caught.value) is error
    assert not caught.value.retryable
    assert caught.value.message.endswith(".")
    assert str(tmp_path) not in caught.value.message


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(errors.MissingFile):
        probe(tmp_path / "none.wav")
    with pytest.raises(errors.UnsupportedMedia):
        probe(tmp_path)


def test_a_wav_without_samples_is_empty(tmp_path):
    path = tmp_path / "in.wav"
    form = struct.pack("<HHIIHH", 1, 2, 44100, 176400, 4, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", 0)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    with pytest.raises(errors.EmptyFile) as caught:
        probe(path)
    assert caught.value.code == "empty_file"


def test_a_flac_of_noise_after_its_header_is_broken_not_empty(tmp_path):
    path = write_media(tmp_path / "in.flac", tones(200_000, 2), codec="flac")
    content = bytearray(path.read_bytes())
    content[200:] = random_bytes(len(content) - 200, seed=1)
    path.write_bytes(content)
    with pytest.raises(errors.BrokenMedia):
        probe(path)


def test_a_video_without_sound(tmp_path):
    import av

    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(errors.NoAudioStream) as caught:
        probe(path)
    assert caught.value.code == "no_audio_stream"


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.wav", {"codec": "pcm_s16le"}),
        ("a.mp3", {"codec": "libmp3lame", "sample_format": "fltp"}),
        ("a.flac", {"codec": "flac"}),
        ("a.aac", {"codec": "aac", "container": "adts"}),
        ("a.mkv", {"codec": "aac"}),
    ],
)
def test_a_truncated_recording_is_as_long_as_what_is_left(tmp_path, name, how):
    path = write_media(tmp_path / name, tones(N), **how)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert 0.3 * N < probe(path).n_samples < 0.8 * N


def test_a_truncated_mp4_is_broken(tmp_path):
    path = write_media(tmp_path / "a.m4a", tones(N), codec="aac", container="ipod")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(errors.BrokenMedia):
        probe(path)


@pytest.mark.parametrize("codec", ["flac", "libmp3lame"])
def test_a_few_damaged_packets_are_tolerated(tmp_path, codec):
    how = {"codec": codec} | ({"sample_format": "fltp"} if codec == "libmp3lame" else {})
    path = write_media(tmp_path / f"a.{'flac' if codec == 'flac' else 'mp3'}", noise(N), **how)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = random_bytes(300, 9)
    path.write_bytes(content)
    assert 0.8 * N < probe(path).n_samples <= 1.05 * N


@pytest.mark.parametrize("name", ["a.m4a", "a.flac"])
def test_a_mostly_damaged_recording_is_broken(tmp_path, name):
    codec = {"a.m4a": "aac", "a.flac": "flac"}[name]
    path = write_media(
        tmp_path / name, tones(N), codec=codec, container="ipod" if codec == "aac" else None
    )
    content = bytearray(path.read_bytes())
    start, stop = (100, len(content) - 3000) if codec == "aac" else (9000, len(content))
    content[start:stop] = random_bytes(stop - start, 3)
    path.write_bytes(content)
    with pytest.raises(errors.BrokenMedia) as caught:
        probe(path)
    assert caught.value.code == "broken_media"


@pytest.mark.parametrize(("rate", "n_channels"), [(4000, 1), (384000, 1)])
def test_it_refuses_rates_out_of_range(tmp_path, rate, n_channels):
    path = write_media(tmp_path / "in.wav", noise(5000, n_channels), rate, codec="pcm_s16le")
    with pytest.raises(errors.UnsupportedMedia) as caught:
        probe(path)
    assert str(rate) in caught.value.message


def test_it_refuses_too_many_channels(tmp_path):
    path = tmp_path / "in.wav"
    form = struct.pack("<HHIIHH", 1, 10, 44100, 882000, 20, 16)
    data = bytes(20 * 1000)
    body = (
        b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    with pytest.raises(errors.UnsupportedMedia) as caught:
        probe(path)
    assert "10 channels" in caught.value.message


def test_a_name_that_looks_like_an_address_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_media(tmp_path / "in.wav", noise(100), codec="pcm_s16le").rename(tmp_path / "http:x.wav")
    assert probe("http:x.wav").n_samples == 100


def test_every_error_has_a_code_of_its_own_kind():
    def below(kind):
        return {kind} | {found for child in kind.__subclasses__() for found in below(child)}

    kinds = below(SeparationError)
    assert {kind.code for kind in kinds} == {
        "separation_failed", "unsupported_media", "broken_media", "empty_file", "missing_file",
        "no_audio_stream", "too_long", "invalid_request", "unknown_stem", "unknown_model",
        "incompatible_stems", "unknown_step",
        "unsupported_format", "model_unavailable", "weights_mismatch", "out_of_memory",
        "disk_full", "cancelled", "engine_closed", "encoder_lost", "no_speech",
    }  # fmt: skip
