"""Files of four stems and their sum: whoever reads them finds five tracks that line up."""

import io
import json
import struct

import av
import numpy as np
import pytest
import soundfile

from separation.audio.decode import AudioReader
from separation.audio.stem_mp4 import STEMS, StemTrack, add_to_udta, write_stem_mp4
from separation.errors import InvalidRequest, SeparationCancelled, UnsupportedFormat
from tests.separation.media import tones

RATE = 44_100
N = 2 * RATE + 12_345
COLORS = ("#A84B08", "#5646C2", "#0B7268", "#B02A63")


@pytest.fixture
def stems(tmp_path):
    """Drums are mono, and the bass ends early; each is a tone of its own, and a click."""
    found = []
    for number, name in enumerate(STEMS):
        samples = np.roll(tones(N), 1000 * number, axis=1)
        samples[:, 30_000] = 0.9
        if name == "drums":
            samples = samples[:1]
        if name == "bass":
            samples = samples[:, : N - RATE]
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, samples.T, RATE, subtype="FLOAT")
        found.append(StemTrack(path, name.capitalize(), COLORS[number]))
    return found


def expected(stems):
    sounds = []
    for stem in stems:
        sound = soundfile.read(stem.path, dtype="float32", always_2d=True)[0]
        sound = np.pad(sound, ((0, N - len(sound)), (0, 0)))
        sounds.append(np.repeat(sound, 2, axis=1) if sound.shape[1] == 1 else sound)
    return [np.sum(sounds, axis=0), *sounds]


def boxes(data, start=0, end=None):
    """Every box at one level: (kind, where its content begins, where it ends)."""
    found, end = [], len(data) if end is None else end
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        assert 8 <= size <= end - start
        found.append((kind, start + 8, start + size))
        start += size
    return found


def inside(data, *kinds):
    start, end = 0, len(data)
    for kind in kinds:
        ((start, end),) = [(a, b) for k, a, b in boxes(data, start, end) if k == kind]
    return start, end


def test_five_tracks_line_up(stems, tmp_path):
    path = tmp_path / "song.stem.mp4"
    shares: list[float] = []
    mixed = write_stem_mp4(stems, path, n_samples=N, on_progress=shares.append)
    sounds = expected(stems)
    assert shares[-1] == 1
    assert mixed.peak == pytest.approx(np.abs(sounds[0]).max())
    assert mixed.clipped_samples == np.count_nonzero(np.abs(sounds[0]) > 1) > 0
    with av.open(str(path)) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["aac"] * 5
        names = [stream.metadata["handler_name"] for stream in container.streams]
        assert names == ["Master", "Drums", "Bass", "Other", "Vocals"]
    for number, sound in enumerate(sounds):
        with av.open(str(path)) as container:
            decoded = list(container.decode(container.streams.audio[number]))
        samples = np.concatenate([frame.to_ndarray() for frame in decoded], axis=1).T
        assert decoded[0].pts == 0
        # Complete, but for the silence with which the last packet is filled.
        assert 0 <= len(samples) - N < 1024
        # Not even by one sample is any of them late: that would be seen at the click.
        assert np.abs(samples[29_000:31_000]).max(axis=1).argmax() == 1000
        assert np.sqrt(np.mean((samples[:N] - sound) ** 2)) < 0.01
    # The plain reader of this library hears the sum.
    with AudioReader(path) as reader:
        assert reader.format.channels == 2
    assert list(tmp_path.glob(".*")) == []


def test_the_box_and_what_is_enabled(stems, tmp_path):
    path = tmp_path / "song.stem.mp4"
    write_stem_mp4(stems, path, n_samples=N)
    data = path.read_bytes()
    assert [kind for kind, _, _ in boxes(data)][-1] == b"moov"
    start, end = inside(data, b"moov", b"udta", b"stem")
    described = json.loads(data[start:end])
    assert described["version"] == 1
    assert described["stems"] == [
        {"name": name.capitalize(), "color": color}
        for name, color in zip(STEMS, COLORS, strict=True)
    ]
    for part in ("compressor", "limiter"):
        assert described["mastering_dsp"][part]["enabled"] is False
    tracks = [(a, b) for kind, a, b in boxes(data, *inside(data, b"moov")) if kind == b"trak"]
    flags = []
    for track in tracks:
        ((at, _),) = [(a, b) for kind, a, b in boxes(data, *track) if kind == b"tkhd"]
        flags.append(data[at + 3] & 1)
    # What plays one track alone plays the sum.
    assert flags == [1, 0, 0, 0, 0]


def test_what_does_not_fit_leaves_nothing_behind(stems, tmp_path):
    path = tmp_path / "song.stem.mp4"
    with pytest.raises(InvalidRequest):
        write_stem_mp4(stems[:3], path, n_samples=N)
    with pytest.raises(SeparationCancelled):
        write_stem_mp4(stems, path, n_samples=N, on_progress=_stop)
    soundfile.write(stems[0].path, np.zeros((100, 3)), RATE)
    with pytest.raises(UnsupportedFormat):
        write_stem_mp4(stems, path, n_samples=N)
    assert sorted(tmp_path.iterdir()) == sorted(stem.path for stem in stems)


def _stop(share):
    raise SeparationCancelled("Stop.")


def test_a_box_is_added_only_where_no_offset_changes():
    def box(kind, content):
        return struct.pack(">I4s", 8 + len(content), kind) + content

    large = struct.pack(">I4sQ", 1, b"mdat", 16 + 4) + b"data"
    file = io.BytesIO(large + box(b"moov", box(b"mvhd", b"1") + box(b"free", b"")))
    add_to_udta(file, b"stem", b"{}")
    file.seek(0)
    data = file.read()
    assert data.startswith(large)
    assert boxes(data, len(large) + 8)[-1][0] == b"udta"
    assert data.endswith(box(b"stem", b"{}"))
    for wrong in (box(b"moov", b"") + large, large, b""):
        with pytest.raises(ValueError, match="moov"):
            add_to_udta(io.BytesIO(wrong), b"stem", b"{}")
