"""Several formats from one pass: each file is what a pass for this format alone would make."""

import json

import pytest

from separation import encoders, separate
from separation.audio import formats
from separation.audio.info import AudioInfo
from separation.errors import InvalidRequest, SeparationCancelled, UnsupportedFormat
from separation.host import _result_json, result_of
from tests.separation.media import noise, write_media

N = 30_011
STEMS = ["vocals", "instrumental"]
FORMATS = ("wav16", "mp3", "flac24", "wav", "wav32f")
# Of a recording of 24 bits; the first has the plain name.
NAMES = {
    "wav16": "vocals.wav",
    "mp3": "vocals.mp3",
    "flac24": "vocals.flac",
    "wav": "vocals.wav.wav",
    "wav32f": "vocals.wav32f.wav",
}


@pytest.fixture
def recording(tmp_path):
    samples = noise(N, level=0.99)
    return write_media(tmp_path / "in.wav", samples, codec="pcm_s24le", sample_format="s32")


@pytest.fixture
def alone(gain_engine, recording, tmp_path):
    """The files of a pass for each format."""
    made = {
        name: separate(recording, tmp_path / name, stems=STEMS, output_format=name).stems
        for name in FORMATS
    }
    return {
        name: {stem: path.read_bytes() for stem, path in paths.items()}
        for name, paths in made.items()
    }


def together(recording, folder, **options):
    return separate(
        recording,
        folder,
        stems=STEMS,
        output_format=FORMATS[0],
        more_formats=FORMATS[1:],
        **options,
    )


def contents(result):
    everything = {FORMATS[0]: result.stems, **result.more_stems}
    return {
        name: {stem: path.read_bytes() for stem, path in paths.items()}
        for name, paths in everything.items()
    }


def left_in(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_each_file_is_that_of_a_pass_of_its_own(gain_engine, alone, recording, tmp_path):
    n_passes = gain_engine.n_passes // len(FORMATS)
    gain_engine.n_passes = 0
    result = together(recording, tmp_path / "out")
    assert contents(result) == alone
    assert gain_engine.n_passes == n_passes
    found = {name: paths["vocals"].name for name, paths in result.more_stems.items()}
    assert {FORMATS[0]: result.stems["vocals"].name, **found} == NAMES
    assert len(left_in(tmp_path / "out")) == len(STEMS) * len(FORMATS)


def test_so_it_is_by_processes_of_their_own(gain_engine, alone, recording, tmp_path):
    try:
        assert contents(together(recording, tmp_path / "out", encoders=1)) == alone
    finally:
        encoders.close_encoders()


@pytest.mark.parametrize("after", [1, 3])
def test_so_it_is_in_parts_after_a_stop(gain_engine, alone, recording, tmp_path, after):
    finished = 0

    def stop(*, step, completed, total):
        nonlocal finished
        finished += step == "part"
        if finished == after:
            raise SeparationCancelled("Enough.")

    parts = {"parts_dir": tmp_path / "parts", "part_seconds": 0.2}
    with pytest.raises(SeparationCancelled):
        together(recording, tmp_path / "out", on_progress=stop, **parts)
    assert not (tmp_path / "out").exists()
    # A part for each depth, from which all formats of that depth are made.
    assert left_in(tmp_path / "parts")[:7] == [
        "00000.instrumental.flac",
        "00000.instrumental.wav",
        "00000.instrumental.wav32f.wav",
        "00000.json",
        "00000.vocals.flac",
        "00000.vocals.wav",
        "00000.vocals.wav32f.wav",
    ]
    result = together(recording, tmp_path / "out", **parts)
    assert contents(result) == alone


def test_parts_of_other_formats_are_not_taken(gain_engine, recording, tmp_path):
    parts = {"parts_dir": tmp_path / "parts", "part_seconds": 0.2}
    separate(recording, tmp_path / "1", stems=STEMS, output_format="wav16", **parts)
    n_passes, gain_engine.n_passes = gain_engine.n_passes, 0
    separate(recording, tmp_path / "2", stems=STEMS, output_format="wav16", **parts)
    assert gain_engine.n_passes == 0
    together(recording, tmp_path / "3", **parts)
    assert gain_engine.n_passes == n_passes


def test_what_is_clipped_counts_once(gain_engine, recording, tmp_path):
    loud = write_media(tmp_path / "loud.wav", 16 * noise(N), codec="pcm_f32le")
    wav16 = separate(loud, tmp_path / "1", stems=STEMS, output_format="wav16").clipped_samples
    both = separate(
        loud, tmp_path / "2", stems=STEMS, output_format="mp3", more_formats=["flac16", "wav16"]
    )
    assert min(wav16.values()) > 0
    assert both.clipped_samples == wav16


def test_formats_that_cannot_be_leave_nothing(gain_engine, recording, tmp_path):
    for more, kind, said in (
        (["mp3", "mp3"], InvalidRequest, "'mp3' is asked for twice"),
        (["wav16"], InvalidRequest, "'wav16' is asked for twice"),
        (["ogg"], UnsupportedFormat, "no output format named 'ogg'"),
    ):
        with pytest.raises(kind, match=said):
            separate(recording, tmp_path / "out", output_format="wav16", more_formats=more)
    surround = write_media(tmp_path / "six.wav", noise(N, 6), codec="pcm_s16le")
    with pytest.raises(UnsupportedFormat, match="MP3 holds at most 2"):
        separate(surround, tmp_path / "out", more_formats=["mp3"])
    assert not (tmp_path / "out").exists()
    assert gain_engine.n_passes == 0


def test_a_recording_in_the_place_of_a_second_format_is_refused(gain_engine, recording):
    inside = recording.rename(recording.with_name("vocals.wav24.wav"))
    before = inside.read_bytes()
    with pytest.raises(InvalidRequest, match="choose another output folder"):
        separate(inside, inside.parent, stems=STEMS, output_format="wav16", more_formats=["wav24"])
    assert inside.read_bytes() == before


def test_the_result_goes_through_json(gain_engine, recording, tmp_path):
    result = together(recording, tmp_path / "out")
    assert result_of({"result": json.loads(json.dumps(_result_json(result)))}) == result


@pytest.mark.parametrize("bits", [16, 24, None])
def test_no_two_files_have_the_same_name(bits):
    info = AudioInfo(
        n_samples=1, sample_rate=44100, channels=2, layout="stereo", codec="pcm_f32le",
        container="wav", bits_per_sample=bits, is_float=bits is None, is_lossy=False,
    )  # fmt: skip
    found = formats.suffixes(formats.resolve_all(formats.NAMES, info))
    assert len(set(found.values())) == len(formats.NAMES)
    assert (found["wav"], found["flac"], found["mp3"]) == (".wav", ".flac", ".mp3")
