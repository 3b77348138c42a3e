"""Titles and covers come along, and nothing else does."""

import struct
import zlib
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from separation import probe, separate
from separation.audio.tags import Tags, read_tags
from separation.converting import convert
from separation.preparing import prepare
from separation.speakers import Timeline, Turn
from separation.speakers.extract import extract_speakers
from tests.separation.media import frame_of, noise

N = 20_003
SAID = {
    "title": "Söng", "artist": "Ärtist", "album": "Albüm", "album_artist": "Various",
    "track": "3/9", "disc": "1/2", "date": "2021-03-04", "genre": "Funk", "comment": "hello",
    "composer": "Composer", "copyright": "Owner", "publisher": "Label",
}  # fmt: skip
# What the recording alone may say.
UNSAID = {"REPLAYGAIN_TRACK_GAIN": "-6.00 dB", "ISRC": "XX0000000000", "something": "else"}
IN_WAV = {"title", "artist", "album", "track", "date", "genre", "comment", "copyright"}


def png(n_bytes=0):
    """A picture of 4 x 4 pixels, blown up by a comment of `n_bytes`."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\x10\x20\x30" * 4) * 4)
    text = chunk(b"tEXt", b"Comment\0" + b"x" * n_bytes) if n_bytes else b""
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + text + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )  # fmt: skip


def recording(path, *, codec, sample_format, values, cover=None, container=None, n_samples=N):
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=48000, layout="stereo")
        stream.codec_context.format = sample_format
        output.metadata.update(values)
        if cover is not None:
            picture = output.add_mux_stream("png", width=4, height=4)
            picture.disposition = Disposition.attached_pic
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = picture, 0, 0, True
            output.mux(packet)
        frame = frame_of(noise(n_samples), sample_format, "stereo")
        frame.sample_rate, frame.pts = 48000, 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def flac(path, values=SAID, **options):
    return recording(path, codec="flac", sample_format="s16", values=values, **options)


SOURCES = {
    "in.flac": ({"codec": "flac", "sample_format": "s16"}, True),
    "in.mp3": ({"codec": "libmp3lame", "sample_format": "fltp"}, True),
    "in.m4a": ({"codec": "aac", "sample_format": "fltp", "container": "mp4"}, False),
    "in.opus": ({"codec": "libopus", "sample_format": "flt", "container": "ogg"}, False),
    "in.mkv": ({"codec": "pcm_s16le", "sample_format": "s16"}, False),
    "in.wav": ({"codec": "pcm_s16le", "sample_format": "s16"}, False),
}


@pytest.mark.parametrize("output_format", ["flac", "mp3", "wav"])
@pytest.mark.parametrize("name", SOURCES)
def test_a_stem_says_what_its_recording_says(gain_engine, tmp_path, name, output_format):
    how, has_cover = SOURCES[name]
    path = recording(
        tmp_path / name, values=SAID | UNSAID, cover=png() if has_cover else None, **how
    )
    result = separate(path, tmp_path / "out", stems=["vocals"], output_format=output_format)
    known = set(SAID)
    if name == "in.wav" or output_format == "wav":
        known &= IN_WAV
    if name == "in.m4a":
        known -= {"publisher"}  # MP4 has no place for it
    found = read_tags(result.stems["vocals"])
    assert dict(found.values) == {
        key: value for key, value in SAID.items() if key in known
    } | {"title": "Söng (Vocals)"}  # fmt: skip
    if has_cover and output_format != "wav":
        assert found.cover is not None
        assert (found.cover.data, found.cover.codec) == (png(), "png")
    else:
        assert found.cover is None
    with av.open(str(result.stems["vocals"])) as container:
        names = {key.lower() for key in container.metadata}
    assert names - {"encoder"} == known
    assert probe(result.stems["vocals"]).n_samples == probe(path).n_samples


def test_what_is_made_of_a_prepared_recording_says_what_that_said(gain_engine, tmp_path):
    path, prepared = flac(tmp_path / "in.flac", cover=png()), tmp_path / "prepared.wav"
    prepare(path, prepared, start=100)
    talk = Timeline((Turn(0.0, 0.2, "SPEAKER_0"),), 1.0)
    options = {"output_format": "flac", "tags_from": path}
    stem = separate(prepared, tmp_path / "out", stems=["vocals"], **options).stems["vocals"]
    track = extract_speakers(prepared, tmp_path / "out", timeline=talk, **options)
    for file, title in ((stem, "Vocals"), (track.tracks["SPEAKER_0"], "SPEAKER_0")):
        found = read_tags(file)
        assert found.values == SAID | {"title": f"Söng ({title})"}
        assert found.cover is not None
        assert found.cover.data == png()


def test_a_converted_recording_says_the_same(tmp_path):
    path = flac(tmp_path / "in.flac", values=SAID | UNSAID, cover=png())
    result = convert(path, tmp_path / "out", output_formats=["mp3", "flac"])
    for file in result.files.values():
        found = read_tags(file)
        assert found.values == SAID
        assert found.cover is not None


def test_tempo_and_key_have_each_containers_name(gain_engine, tmp_path):
    path = flac(tmp_path / "in.flac", {"BPM": "121", "INITIALKEY": "Am"})
    for output_format, names in (("mp3", ("TBPM", "TKEY")), ("flac", ("bpm", "initialkey"))):
        result = separate(path, tmp_path / "out", stems=["bass"], output_format=output_format)
        with av.open(str(result.stems["bass"])) as container:
            assert tuple(container.metadata[name] for name in names) == ("121", "Am")
        assert dict(read_tags(result.stems["bass"]).values) == {"bpm": "121", "key": "Am"}


def test_a_recording_without_tags_has_stems_without_tags(gain_engine, tmp_path):
    path = flac(tmp_path / "in.flac", {})
    result = separate(path, tmp_path / "out", output_format="flac")
    for file in result.stems.values():
        assert read_tags(file) == Tags()


@pytest.mark.parametrize("output_format", ["flac", "mp3"])
@pytest.mark.parametrize("n_bytes", [3_000, 200_000])
@pytest.mark.parametrize("n_samples", [1156, 2311, N])
def test_the_length_is_exact_behind_a_large_cover(
    gain_engine, tmp_path, output_format, n_bytes, n_samples
):
    path = flac(tmp_path / "in.flac", cover=png(n_bytes), n_samples=n_samples)
    result = separate(path, tmp_path / "out", stems=["vocals"], output_format=output_format)
    cover = read_tags(result.stems["vocals"]).cover
    assert cover is not None
    assert cover.data == png(n_bytes)
    assert probe(result.stems["vocals"]).n_samples == n_samples


def test_parts_come_together_with_tags(gain_engine, tmp_path):
    path = flac(tmp_path / "in.flac", cover=png())
    options: dict[str, Any] = {"stems": ["vocals", "no_bass"], "output_format": "flac"}
    whole = separate(path, tmp_path / "1", **options)
    parted = separate(
        path, tmp_path / "2", parts_dir=tmp_path / "parts", part_seconds=0.1, **options
    )
    assert len(list((tmp_path / "parts").glob("*.json"))) == 5
    for name, file in parted.stems.items():
        assert file.read_bytes() == whole.stems[name].read_bytes()
    assert read_tags(parted.stems["no_bass"]).values["title"] == "Söng (Without bass)"


# --- what strangers send


def test_control_characters_are_taken_out(tmp_path):
    path = flac(tmp_path / "in.flac", {"title": "a\x1b[31mb\x7f\x85c\td\r\n", "artist": "\x01\x02"})
    assert dict(read_tags(path).values) == {"title": "a[31mbc\td"}


def test_broken_encodings_lose_the_broken_bytes(gain_engine, tmp_path):
    path = flac(tmp_path / "in.flac", {"title": "xxxxSong", "artist": "Band"})
    path.write_bytes(path.read_bytes().replace(b"xxxxSong", b"\xff\xfe\xc3(Song"))
    assert dict(read_tags(path).values) == {"title": "(Song", "artist": "Band"}
    result = separate(path, tmp_path / "out", stems=["vocals"], output_format="mp3")
    assert read_tags(result.stems["vocals"]).values["title"] == "(Song (Vocals)"


def test_what_is_enormous_stays_behind(gain_engine, tmp_path):
    values = {"title": "Song", "comment": "x" * 1_000_000}
    values |= {f"custom{i}": "y" * 100 for i in range(2_000)}
    path = flac(tmp_path / "in.flac", values, cover=png(9 << 20))
    assert path.stat().st_size > 10_000_000
    assert read_tags(path) == Tags({"title": "Song"})
    result = separate(path, tmp_path / "out", stems=["vocals"], output_format="flac")
    assert result.stems["vocals"].stat().st_size < 400_000


def test_a_cover_that_is_no_picture_stays_behind(gain_engine, tmp_path):
    path = flac(tmp_path / "in.flac", cover=b"<script>".ljust(100))
    assert read_tags(path).cover is None
    assert read_tags(path).values["title"] == "Söng"


def test_a_video_is_no_cover(tmp_path):
    from tests.separation.media import tones, write_media

    path = write_media(tmp_path / "in.mp4", tones(N), codec="aac", with_video=True)
    assert read_tags(path) == Tags()


def test_samples_are_the_same_with_and_without_tags(gain_engine, tmp_path, read):
    with_tags = separate(flac(tmp_path / "1.flac", cover=png()), tmp_path / "1", stems=["bass"])
    without = separate(flac(tmp_path / "2.flac", {}), tmp_path / "2", stems=["bass"])
    np.testing.assert_array_equal(read(with_tags.stems["bass"]), read(without.stems["bass"]))
