import math

import numpy as np
import pytest

from separation import parts_in, separate
from separation.errors import InvalidRequest, SeparationCancelled
from tests.separation.conftest import GAINS, SEGMENT
from tests.separation.media import noise, write_media

STEMS = ["vocals", "instrumental", "bass"]
PART_S = 0.5


@pytest.fixture
def engine(gain_engine, monkeypatch):
    """Its stems depend on the place in the segment, so that a wrong one shows."""
    gain = gain_engine.separate
    ramp = np.linspace(0.2, 1.2, SEGMENT, dtype=np.float32)
    monkeypatch.setattr(gain_engine, "separate", lambda mixtures: gain(mixtures) * ramp)
    return gain_engine


def recording(tmp_path, *, rate=44100, seconds=2.7):
    return write_media(
        tmp_path / "in.wav", noise(int(seconds * rate), level=0.9), rate, codec="pcm_s16le"
    )


def run(path, folder, *, parts_dir=None, part_seconds=PART_S, stop=None, **options):
    """Separate, and stop as a cancel does when `stop(steps)` says so."""
    steps = []

    def on_progress(*, step, completed, total):
        steps.append(step)
        if stop is not None and stop(steps):
            raise SeparationCancelled("Enough.")

    result = separate(
        path,
        folder,
        **{"stems": STEMS, "parts_dir": parts_dir, "part_seconds": part_seconds} | options,
        on_progress=on_progress,
    )
    return result, steps


def interrupt(path, tmp_path, *, after, step="part", **options):
    with pytest.raises(SeparationCancelled):
        run(
            path,
            tmp_path / "out",
            parts_dir=tmp_path / "parts",
            stop=lambda steps: steps.count(step) == after,
            **options,
        )
    assert not (tmp_path / "out").exists()


def assert_same_files(result, expected):
    for name in STEMS:
        assert result.stems[name].read_bytes() == expected.stems[name].read_bytes(), name
    assert result.clipped_samples == expected.clipped_samples


@pytest.mark.parametrize("output_format", ["wav16", "wav24", "wav32f", "flac", "mp3"])
def test_parts_change_nothing(engine, tmp_path, output_format):
    path = recording(tmp_path)
    expected, _ = run(path, tmp_path / "1", output_format=output_format)
    n_passes = engine.n_passes
    result, steps = run(
        path, tmp_path / "2", parts_dir=tmp_path / "parts", output_format=output_format
    )
    assert_same_files(result, expected)
    assert engine.n_passes == 2 * n_passes
    assert steps.count("part") == 6


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5, 6])
def test_it_goes_on_after_each_part(engine, tmp_path, after):
    path = recording(tmp_path)
    expected, _ = run(path, tmp_path / "1")
    n_all = engine.n_passes
    interrupt(path, tmp_path, after=after)
    engine.n_passes = 0
    result, steps = run(path, tmp_path / "out", parts_dir=tmp_path / "parts")
    assert_same_files(result, expected)
    assert steps.count("part") == 6 - after
    # Each segment that reaches beyond what is done, and none before it.
    stride = SEGMENT - int(engine.info.overlap * SEGMENT)
    done = after * int(PART_S * 44100)
    n_before = max(0, math.ceil((done - SEGMENT + 1) / stride))
    assert engine.n_passes == (n_all - n_before if after < 6 else 0)


@pytest.mark.parametrize("output_format", ["wav16", "wav32f", "flac", "mp3"])
def test_it_goes_on_in_every_format(engine, tmp_path, output_format):
    path = recording(tmp_path)
    expected, _ = run(path, tmp_path / "1", output_format=output_format)
    interrupt(path, tmp_path, after=3, output_format=output_format)
    result, _ = run(
        path, tmp_path / "out", parts_dir=tmp_path / "parts", output_format=output_format
    )
    assert_same_files(result, expected)


@pytest.mark.parametrize(
    ("rate", "after"), [(8000, 5), (48000, 1), (48000, 5), (48000, 9), (192000, 6)]
)
def test_at_another_rate_it_goes_on_within_one_step(engine, tmp_path, read, rate, after):
    path = recording(tmp_path, rate=rate, seconds=4.8)
    expected, _ = run(path, tmp_path / "1")
    n_all = engine.n_passes
    interrupt(path, tmp_path, after=after)
    engine.n_passes = 0
    result, steps = run(path, tmp_path / "out", parts_dir=tmp_path / "parts")
    assert steps.count("part") == 10 - after
    assert engine.n_passes <= n_all if after < 3 else engine.n_passes < n_all
    for name in STEMS:
        difference = read(result.stems[name]) - read(expected.stems[name])
        assert np.abs(difference).max() <= 2.0**-15


def test_clipped_samples_are_counted_over_all_attempts(engine, tmp_path, monkeypatch):
    monkeypatch.setitem(GAINS, "vocals", 3.0)
    path = recording(tmp_path)
    options = {"stems": ["vocals"], "output_format": "wav16", "residual": "keep"}
    expected, _ = run(path, tmp_path / "1", **options)
    assert expected.clipped_samples["vocals"] > 1000
    interrupt(path, tmp_path, after=2, **options)
    result, _ = run(path, tmp_path / "out", parts_dir=tmp_path / "parts", **options)
    assert result.clipped_samples == expected.clipped_samples
    assert result.stems["vocals"].read_bytes() == expected.stems["vocals"].read_bytes()


def test_when_only_the_joining_is_left_nothing_is_decoded_or_separated(engine, tmp_path):
    path = recording(tmp_path)
    expected, _ = run(path, tmp_path / "1")
    interrupt(path, tmp_path, after=2, step="join")
    engine.n_passes = 0
    result, steps = run(path, tmp_path / "out", parts_dir=tmp_path / "parts")
    assert_same_files(result, expected)
    assert (engine.n_passes, set(steps)) == (0, {"probe", "join"})


def test_a_part_counts_only_when_all_of_it_is_there(engine, tmp_path):
    path = recording(tmp_path)
    parts_dir = tmp_path / "parts"
    expected, _ = run(path, tmp_path / "1")
    interrupt(path, tmp_path, after=4)
    assert [(part.number, part.n_samples) for part in parts_in(parts_dir)] == [
        (number, 22050) for number in range(4)
    ]
    first = parts_in(parts_dir)[0]
    assert first.files == (*(f"00000.{stem}.wav" for stem in STEMS), "00000.json")
    # One file is cut short, as by a crash of the machine; drafts are as a kill leaves them.
    cut = parts_dir / "00002.bass.wav"
    cut.write_bytes(cut.read_bytes()[:-1])
    (parts_dir / ".00004.bass.wav.0.part").write_bytes(b"half")
    assert len(parts_in(parts_dir)) == 2
    result, steps = run(path, tmp_path / "out", parts_dir=parts_dir)
    assert_same_files(result, expected)
    assert steps.count("part") == 4
    assert not list(parts_dir.glob(".*"))


@pytest.mark.parametrize(
    "options",
    [
        {"stems": ["vocals"]},
        {"part_seconds": 0.4},
        {"output_format": "wav24"},
        {"overlap": 0.5},
        {"shifts": 2},
        {"preset": "fast"},
        {"residual": "rest"},
        {"residual": "keep"},
    ],
)
def test_parts_of_another_request_are_made_anew(engine, tmp_path, options):
    path = recording(tmp_path)
    expected, _ = run(path, tmp_path / "1", **options)
    interrupt(path, tmp_path, after=3)
    result, _ = run(path, tmp_path / "out", parts_dir=tmp_path / "parts", **options)
    for name, file in result.stems.items():
        assert file.read_bytes() == expected.stems[name].read_bytes()


def test_a_part_that_rotted_is_not_the_recordings_fault(engine, tmp_path):
    path = recording(tmp_path)
    interrupt(path, tmp_path, after=6, output_format="flac")
    rotten = tmp_path / "parts" / "00001.bass.flac"
    rotten.write_bytes(bytes(rotten.stat().st_size))
    with pytest.raises(OSError, match="cannot be read back"):
        run(path, tmp_path / "out", parts_dir=tmp_path / "parts", output_format="flac")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part_seconds", [0, -1, float("nan")])
def test_it_refuses_parts_of_no_length(engine, tmp_path, part_seconds):
    with pytest.raises(InvalidRequest):
        run(recording(tmp_path), tmp_path / "out", part_seconds=part_seconds)


def test_the_real_model_goes_on_as_if_nothing_had_been(spleeter, tmp_path):
    path = recording(tmp_path, seconds=32)
    options = {
        "stems": ["vocals", "instrumental"],
        "model": "spleeter-2stems",
        "part_seconds": 7.5,
    }
    expected, _ = run(path, tmp_path / "1", **options)
    interrupt(path, tmp_path, after=3, **options)
    result, steps = run(path, tmp_path / "out", parts_dir=tmp_path / "parts", **options)
    assert steps.count("part") == 2
    for name, file in result.stems.items():
        assert file.read_bytes() == expected.stems[name].read_bytes()
