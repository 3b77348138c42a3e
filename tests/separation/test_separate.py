import json

import numpy as np
import pytest

from separation import AudioLimits, cli, engines, probe, separate
from separation.audio.decode import AudioReader
from separation.errors import (
    BrokenMedia,
    InvalidRequest,
    OutOfMemory,
    SeparationCancelled,
    TooLong,
    UnsupportedFormat,
    UnsupportedMedia,
)
from tests.separation.conftest import GAINS, SEGMENT
from tests.separation.media import noise, tones, write_media

N = 30_011


def wav(path, samples, rate=44100, codec="pcm_s16le"):
    return write_media(path, samples, rate, codec=codec)


def everything_below(folder):
    return sorted(path.name for path in folder.rglob("*"))


# --- what comes out


@pytest.mark.parametrize("n_samples", [1, 2, SEGMENT - 1, SEGMENT, SEGMENT + 1, N])
@pytest.mark.parametrize("n_channels", [1, 2, 3, 6, 8])
def test_stems_have_the_recordings_length_and_channels(
    gain_engine, tmp_path, read, n_samples, n_channels
):
    samples = noise(n_samples, n_channels)
    path = wav(tmp_path / "in.wav", samples, codec="pcm_f32le")
    result = separate(path, tmp_path / "out")
    assert list(result.stems) == list(GAINS)
    assert (result.n_samples, result.channels) == (n_samples, n_channels)
    for name, file in result.stems.items():
        np.testing.assert_allclose(read(file), GAINS[name] * samples, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 96000, 192000])
@pytest.mark.parametrize("n_samples", [1, 777, N])
def test_other_sample_rates_come_back_aligned(gain_engine, tmp_path, read, rate, n_samples):
    samples = tones(n_samples, 2, rate)
    path = wav(tmp_path / "in.wav", samples, rate, codec="pcm_f32le")
    result = separate(path, tmp_path / "out", stems=["vocals"])
    vocals = read(result.stems["vocals"])
    assert (result.sample_rate, vocals.shape) == (rate, (2, n_samples))
    if n_samples == N:  # the filter rings at the very ends, where the sound starts and stops
        difference = vocals - GAINS["vocals"] * samples
        assert np.abs(difference[:, 1000:-1000]).max() < 1e-5


def test_silence_is_separated_into_silence(gain_engine, tmp_path, read):
    path = wav(tmp_path / "in.wav", np.zeros((2, N), np.float32))
    result = separate(path, tmp_path / "out")
    for file in result.stems.values():
        np.testing.assert_array_equal(read(file), np.zeros((2, N)))
    assert gain_engine.n_passes == 0


def test_mono_goes_into_both_inputs_and_stays_mono(gain_engine, tmp_path, read):
    samples = noise(N, 1)
    path = wav(tmp_path / "in.wav", samples, codec="pcm_f32le")
    result = separate(path, tmp_path / "out", stems=["bass"])
    np.testing.assert_allclose(read(result.stems["bass"]), 0.25 * samples, atol=1e-7)
    assert probe(result.stems["bass"]).layout == "mono"


def test_surround_keeps_its_layout_and_goes_in_pairs(gain_engine, tmp_path):
    path = wav(tmp_path / "in.wav", noise(SEGMENT, 6))
    result = separate(path, tmp_path / "out", stems=["vocals"])
    assert probe(result.stems["vocals"]).layout == probe(path).layout == "5.1"
    assert gain_engine.n_passes == 3


@pytest.mark.parametrize(
    ("source", "output_format", "codec", "extension"),
    [
        ("pcm_s16le", "wav", "pcm_s16le", "wav"),
        ("pcm_s24le", "wav", "pcm_s24le", "wav"),
        ("pcm_s32le", "wav", "pcm_f32le", "wav"),
        ("pcm_f32le", "wav", "pcm_f32le", "wav"),
        ("pcm_f32le", "wav16", "pcm_s16le", "wav"),
        ("pcm_s16le", "wav24", "pcm_s24le", "wav"),
        ("pcm_s16le", "wav32f", "pcm_f32le", "wav"),
        ("pcm_s16le", "flac", "flac", "flac"),
        ("pcm_f32le", "flac", "flac", "flac"),
        ("pcm_s24le", "flac16", "flac", "flac"),
        ("pcm_s16le", "flac24", "flac", "flac"),
        ("pcm_s16le", "mp3", "mp3", "mp3"),
    ],
)
def test_output_formats(gain_engine, tmp_path, read, source, output_format, codec, extension):
    samples = tones(N)
    path = wav(tmp_path / "in.wav", samples, codec=source)
    result = separate(path, tmp_path / "out", stems=["vocals"], output_format=output_format)
    file = result.stems["vocals"]
    info = probe(file)
    assert (file.name, info.codec, info.n_samples) == (f"vocals.{extension}", codec, N)
    bits = {"flac": 16 if source == "pcm_s16le" else 24, "flac16": 16, "flac24": 24}
    if output_format in bits:
        assert info.bits_per_sample == bits[output_format]
    tolerance = 1e-2 if codec == "mp3" else 2.0 ** -((info.bits_per_sample or 16) - 1)
    expected = GAINS["vocals"] * read(path)
    assert np.abs(read(file) - expected).max() <= tolerance


@pytest.mark.parametrize("n_samples", [100, 575, 577, 1151, 1153, 44100])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_mp3_decodes_to_the_exact_length(gain_engine, tmp_path, n_samples, rate):
    path = wav(tmp_path / "in.wav", tones(n_samples, 1, rate), rate)
    result = separate(path, tmp_path / "out", stems=["vocals"], output_format="mp3")
    assert probe(result.stems["vocals"]).n_samples == n_samples


@pytest.mark.parametrize(("codec", "bits"), [("pcm_s16le", 16), ("pcm_s24le", 24)])
@pytest.mark.parametrize("rate", [44100, 48000])
def test_vocals_and_instrumental_add_up_exactly(gain_engine, tmp_path, read, codec, bits, rate):
    path = wav(tmp_path / "in.wav", noise(N, level=0.9), rate, codec=codec)
    result = separate(path, tmp_path / "out", stems=["vocals", "instrumental"])
    total = sum(read(file).astype(np.float64) for file in result.stems.values())
    np.testing.assert_array_equal(total, read(path))


@pytest.mark.parametrize("output_format", ["wav16", "flac24", "wav32f"])
def test_lossy_input_adds_up_within_one_step(gain_engine, tmp_path, read, output_format):
    samples = tones(N)
    path = write_media(tmp_path / "in.mp3", samples, codec="libmp3lame", sample_format="fltp")
    result = separate(
        path, tmp_path / "out", stems=["drums", "no_drums"], output_format=output_format
    )
    total = sum(read(file).astype(np.float64) for file in result.stems.values())
    step = {"wav16": 2.0**-15, "flac24": 2.0**-23, "wav32f": 2.0**-24}[output_format]
    assert np.abs(total - read(path)).max() <= step


def test_a_derived_stem_does_not_depend_on_what_else_is_asked_for(gain_engine, tmp_path, read):
    path = wav(tmp_path / "in.wav", noise(N))
    alone = separate(path, tmp_path / "1", stems=["instrumental"])
    both = separate(path, tmp_path / "2", stems=["vocals", "instrumental", "no_bass"])
    assert everything_below(tmp_path / "1") == ["instrumental.wav"]
    np.testing.assert_array_equal(
        read(alone.stems["instrumental"]), read(both.stems["instrumental"])
    )


@pytest.mark.parametrize("output_format", ["wav16", "wav24", "flac"])
@pytest.mark.parametrize("gain", [-0.5, 1.5])
@pytest.mark.parametrize("residual", ["spread", "rest", "keep"])
def test_the_rest_of_a_loud_recording_is_not_clipped(
    gain_engine, tmp_path, read, monkeypatch, gain, residual, output_format
):
    monkeypatch.setitem(GAINS, "vocals", gain)
    samples = noise(N, level=1.0)
    samples[0, :2] = 1, -1
    path = wav(tmp_path / "in.wav", samples)
    stems = ["vocals", "instrumental"]
    options = {"output_format": output_format, "residual": residual}
    result = separate(path, tmp_path / "out", stems=stems, **options)
    total = sum(read(file).astype(np.float64) for file in result.stems.values())
    np.testing.assert_array_equal(total, read(path))
    assert result.clipped_samples["instrumental"] == 0


def test_clipped_samples_are_counted(gain_engine, tmp_path, monkeypatch):
    monkeypatch.setitem(GAINS, "vocals", 4.0)
    samples = np.full((2, 100), 0.5, np.float32)
    path = wav(tmp_path / "in.wav", samples)
    result = separate(path, tmp_path / "out", stems=["vocals", "bass"], residual="keep")
    assert result.clipped_samples == {"vocals": 200, "bass": 0}


def test_float_output_keeps_what_is_beyond_full_scale(gain_engine, tmp_path, read, monkeypatch):
    monkeypatch.setitem(GAINS, "vocals", 4.0)
    path = wav(tmp_path / "in.wav", np.full((2, 100), 0.5, np.float32), codec="pcm_f32le")
    result = separate(path, tmp_path / "out", stems=["vocals"], residual="keep")
    np.testing.assert_array_equal(read(result.stems["vocals"]), np.full((2, 100), 2.0))


def test_the_result_says_what_was_made(gain_engine, tmp_path):
    path = wav(tmp_path / "in.wav", noise(N), 48000)
    result = separate(path, tmp_path / "a" / "b", stems=["instrumental", "vocals"])
    assert list(result.stems) == ["instrumental", "vocals"]
    assert (result.model, result.sample_rate, result.n_samples) == ("htdemucs", 48000, N)
    assert result.duration_s == N / 48000
    assert result.seconds > 0
    assert everything_below(tmp_path / "a" / "b") == ["instrumental.wav", "vocals.wav"]


# --- progress and cancelling


def test_progress_reaches_the_end_and_never_goes_back(gain_engine, tmp_path):
    calls = []
    path = wav(tmp_path / "in.wav", noise(10 * SEGMENT))
    separate(path, tmp_path / "out", on_progress=lambda **call: calls.append(call))
    assert [set(call) for call in calls] == [{"step", "completed", "total"}] * len(calls)
    separating = [call["completed"] for call in calls if call["step"] == "separate"]
    assert separating == sorted(separating)
    assert separating[0] == 0
    assert separating[-1] == 10 * SEGMENT
    assert len(separating) >= gain_engine.n_passes
    assert list(dict.fromkeys(call["step"] for call in calls)) == ["probe", "load", "separate"]


@pytest.mark.usefixtures("gain_engine")
def test_a_load_that_takes_long_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(engines, "is_prepared", lambda *_: False)
    path = wav(tmp_path / "in.wav", noise(SEGMENT))
    assert cli.main(["separate", str(path), "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err.splitlines()[:2] == [
        "probe",
        "preparing the model for this machine: once, about half a minute",
    ]


@pytest.mark.parametrize("stop_at", [("probe", 0), ("load", 0), ("separate", 0), ("separate", 5)])
def test_cancelling_leaves_nothing_behind(gain_engine, tmp_path, stop_at):
    step_wanted, after = stop_at
    seen = []

    def on_progress(*, step, completed, total):
        if step == step_wanted:
            seen.append(completed)
            if len(seen) > after:
                raise SeparationCancelled("Cancelled by the test.")

    path = wav(tmp_path / "in.wav", noise(10 * SEGMENT))
    with pytest.raises(SeparationCancelled) as caught:
        separate(path, tmp_path / "new" / "out", on_progress=on_progress)
    assert caught.value.code == "cancelled"
    assert everything_below(tmp_path) == ["in.wav"]


def test_cancelling_keeps_what_was_there_before(gain_engine, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "vocals.wav").write_bytes(b"of an earlier run")

    def on_progress(*, step, completed, total):
        if completed > SEGMENT and step == "separate":
            raise SeparationCancelled("Cancelled by the test.")

    path = wav(tmp_path / "in.wav", noise(10 * SEGMENT))
    with pytest.raises(SeparationCancelled):
        separate(path, out, on_progress=on_progress)
    assert everything_below(out) == ["vocals.wav"]
    assert (out / "vocals.wav").read_bytes() == b"of an earlier run"


# --- what goes wrong


@pytest.mark.parametrize(
    "failure", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: …")]
)
def test_running_out_of_memory_has_its_name_and_leaves_nothing(
    gain_engine, tmp_path, monkeypatch, failure
):
    def fail(mixtures):
        raise failure

    monkeypatch.setattr(gain_engine, "separate", fail)
    path = wav(tmp_path / "in.wav", noise(N))
    with pytest.raises(OutOfMemory) as caught:
        separate(path, tmp_path / "out")
    assert caught.value.code == "out_of_memory"
    assert caught.value.retryable
    assert everything_below(tmp_path) == ["in.wav"]


def test_an_unexpected_error_passes_and_leaves_nothing(gain_engine, tmp_path, monkeypatch):
    def fail(mixtures):
        raise RuntimeError("a defect")

    monkeypatch.setattr(gain_engine, "separate", fail)
    path = wav(tmp_path / "in.wav", noise(N))
    with pytest.raises(RuntimeError, match="a defect"):
        separate(path, tmp_path / "out")
    assert everything_below(tmp_path) == ["in.wav"]


def test_an_engine_that_returns_no_numbers_does_no_harm(gain_engine, tmp_path, read, monkeypatch):
    def broken(mixtures):
        n_samples = mixtures.shape[-1]
        return np.full((len(mixtures), 4, 2, n_samples), np.nan, np.float32)

    monkeypatch.setattr(gain_engine, "separate", broken)
    path = wav(tmp_path / "in.wav", noise(N))
    result = separate(path, tmp_path / "out", stems=["vocals", "instrumental"])
    np.testing.assert_array_equal(read(result.stems["vocals"]), np.zeros((2, N)))
    np.testing.assert_array_equal(read(result.stems["instrumental"]), read(path))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"output_format": "wma"}, UnsupportedFormat),
        ({"overlap": 0.6}, InvalidRequest),
        ({"overlap": -0.1}, InvalidRequest),
        ({"residual": "half"}, InvalidRequest),
        ({"stems": []}, InvalidRequest),
        ({"stems": ["vocals", "vocals"]}, InvalidRequest),
        ({"limits": AudioLimits(max_duration_s=0.5)}, TooLong),
        ({"limits": AudioLimits(max_channels=1)}, UnsupportedMedia),
        ({"limits": AudioLimits(min_sample_rate=48000)}, UnsupportedMedia),
    ],
)
def test_refusals_come_before_anything_is_written(gain_engine, tmp_path, options, error):
    path = wav(tmp_path / "in.wav", noise(N))
    with pytest.raises(error):
        separate(path, tmp_path / "out", **options)
    assert everything_below(tmp_path) == ["in.wav"]
    assert gain_engine.n_passes == 0


def test_it_never_writes_over_the_recording(gain_engine, tmp_path):
    recording = wav(tmp_path / "vocals.wav", tones(N, 2))
    before = recording.read_bytes()
    with pytest.raises(InvalidRequest, match="choose another output folder"):
        separate(recording, tmp_path, stems=["vocals"])
    assert recording.read_bytes() == before
    assert everything_below(tmp_path) == ["vocals.wav"]


def test_an_output_folder_that_is_a_file_is_refused_at_once(gain_engine, tmp_path):
    recording = wav(tmp_path / "in.wav", tones(N, 2))
    steps = []
    with pytest.raises(InvalidRequest, match="Cannot write into"):
        separate(recording, recording, on_progress=lambda **kw: steps.append(kw))
    assert steps == []


@pytest.mark.parametrize(("rate", "n_channels"), [(96000, 2), (192000, 1), (44100, 6)])
def test_mp3_refuses_what_it_cannot_hold(gain_engine, tmp_path, rate, n_channels):
    path = wav(tmp_path / "in.wav", noise(N, n_channels), rate)
    with pytest.raises(UnsupportedFormat) as caught:
        separate(path, tmp_path / "out", output_format="mp3")
    assert caught.value.code == "unsupported_format"
    assert everything_below(tmp_path) == ["in.wav"]


def test_a_recording_that_shrank_since_it_was_probed_is_refused(gain_engine, tmp_path):
    path = wav(tmp_path / "in.wav", noise(N))
    info = probe(path)
    wav(path, noise(N // 2))
    with pytest.raises(BrokenMedia):
        separate(path, tmp_path / "out", info=info)
    assert everything_below(tmp_path) == ["in.wav"]


def test_the_limit_counts_samples_and_not_the_header(tmp_path):
    path = wav(tmp_path / "in.wav", noise(44100))
    header = bytearray(path.read_bytes())
    at = header.index(b"data") + 4
    header[at : at + 4] = (400).to_bytes(4, "little")
    lying = tmp_path / "lying.wav"
    lying.write_bytes(header[: at + 4] + header[at + 4 :])
    assert probe(lying).n_samples <= 44100
    with pytest.raises(TooLong) as caught:
        probe(path, limits=AudioLimits(max_duration_s=0.999))
    assert caught.value.code == "too_long"
    assert probe(path, limits=AudioLimits(max_duration_s=1)).n_samples == 44100


def test_results_are_plain_values(gain_engine, tmp_path):
    path = wav(tmp_path / "in.wav", noise(100))
    result = separate(path, tmp_path / "out", stems=["vocals"])
    assert json.dumps({name: str(file) for name, file in result.stems.items()})
    with AudioReader(result.stems["vocals"]) as reader:
        assert reader.format.container == "wav"
