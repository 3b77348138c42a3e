"""Recordings cut to the sample and cleaned, in constant memory."""

import tracemalloc

import av
import numpy as np
import pytest

from separation import probe
from separation.audio.info import AudioLimits
from separation.audio.tags import read_tags
from separation.errors import (
    BrokenMedia,
    InvalidRequest,
    MissingFile,
    SeparationCancelled,
    StepUnavailable,
    TooLong,
    UnknownStep,
    UnsupportedMedia,
)
from separation.preparing import prepare
from tests.separation.media import noise, write_headerless, write_media
from tests.separation.stepping import use_steps as use_steps

N = 100_003


def wav(path, samples, codec="pcm_s16le", rate=44100):
    return write_media(path, samples, rate, codec=codec)


@pytest.mark.parametrize(
    ("codec", "suffix", "rate"),
    [
        ("pcm_s16le", "wav", 44100), ("pcm_s24le", "wav", 96000), ("flac", "flac", 44100),
        ("mp3", "mp3", 44100), ("aac", "m4a", 48000), ("libopus", "opus", 48000),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (0, 1), (1, 2), (4095, 4097), (33_333, 77_778), (99_000, None)]
)
def test_it_cuts_to_the_sample(tmp_path, read, codec, suffix, rate, start, end):
    path = wav(tmp_path / f"in.{suffix}", noise(N), codec, rate)
    whole = read(path)
    info = prepare(path, tmp_path / "out.wav", start=start, end=end)
    np.testing.assert_array_equal(read(tmp_path / "out.wav"), whole[:, start:end])
    assert info == probe(tmp_path / "out.wav")
    assert (info.codec, info.is_float, info.bits_per_sample) == ("pcm_f32le", True, None)


@pytest.mark.parametrize("n_channels", [1, 2, 6, 8])
def test_channels_and_layout_stay(tmp_path, read, n_channels):
    path = wav(tmp_path / "in.wav", noise(N, n_channels))
    info = prepare(path, tmp_path / "out.wav", start=7)
    assert info == probe(tmp_path / "out.wav")
    assert (info.channels, info.layout) == (n_channels, probe(path).layout)


def test_an_end_beyond_the_recording_is_its_end(tmp_path):
    path = wav(tmp_path / "in.wav", noise(N))
    assert prepare(path, tmp_path / "out.wav", start=N - 5, end=10 * N).n_samples == 5


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (-1, None, "starts at 0 or later"),
        (5, 5, "ends after its start"),
        (5, 4, "ends after its start"),
        (0, 0, "ends after its start"),
        (N, None, "behind the end"),
        (N + 1, N + 2, "behind the end"),
    ],
)
def test_a_range_that_cannot_be_is_refused(tmp_path, start, end, said):
    path = wav(tmp_path / "in.wav", noise(N))
    with pytest.raises(InvalidRequest, match=said):
        prepare(path, tmp_path / "out.wav", start=start, end=end)
    assert [file.name for file in tmp_path.iterdir()] == ["in.wav"]


def test_steps_are_done_in_order_to_the_stretch(tmp_path, read, use_steps):
    use_steps(denoise="Louder", dereverb="Quarter")
    path = wav(tmp_path / "in.wav", noise(N), "pcm_f32le")
    cut = read(path)[:, 100:90_000]
    for order, expected in (
        (["denoise"], cut * 0.5 + 0.25),
        (["denoise", "dereverb"], (cut * 0.5 + 0.25) * 0.25),
        (["dereverb", "denoise"], cut * 0.25 * 0.5 + 0.25),
    ):
        info = prepare(path, tmp_path / "out.wav", start=100, end=90_000, steps=order)
        assert info.n_samples == 89_900
        np.testing.assert_allclose(read(tmp_path / "out.wav"), expected, atol=1e-7)


def test_the_real_denoiser_keeps_the_voice_in_its_place(tmp_path, read):
    samples = read("demo/stems/vocals.flac")[:1, : 4 * 44100]
    path = wav(tmp_path / "in.wav", samples + noise(4 * 44100, 1, level=0.02), "pcm_f32le")
    prepare(path, tmp_path / "out.wav", start=44100, end=4 * 44100, steps=["denoise"])
    cleaned, voice = read(tmp_path / "out.wav"), samples[:, 44100:]
    assert cleaned.shape == voice.shape
    assert np.corrcoef(cleaned[0], voice[0])[0, 1] > 0.9
    quiet = np.abs(voice[0]) < 1e-3
    assert np.square(cleaned[0][quiet]).mean() < 0.25 * np.square(0.02) / 3


@pytest.mark.parametrize(
    ("steps", "kind", "said"),
    [
        (["dereverb"], StepUnavailable, "does the step 'dereverb' is installed"),
        (["denoise", "deecho"], StepUnavailable, "does the step 'deecho' is installed"),
        (["denoize"], UnknownStep, "no step named 'denoize'; known steps are denoise, deecho"),
        (["denoise", "denoise"], InvalidRequest, "'denoise' is asked for twice"),
        ("denoise", InvalidRequest, "list of names"),
    ],
)
def test_steps_that_nothing_does_are_named(tmp_path, use_steps, steps, kind, said):
    use_steps(denoise="Gain")
    path = wav(tmp_path / "in.wav", noise(1000))
    with pytest.raises(kind, match=said):
        prepare(path, tmp_path / "out.wav", steps=steps)
    assert [file.name for file in tmp_path.iterdir()] == ["in.wav"]


def test_a_step_that_loses_samples_leaves_nothing(tmp_path, use_steps):
    use_steps(denoise="Losing")
    path = wav(tmp_path / "in.wav", noise(N))
    with pytest.raises(RuntimeError, match="changed the recording's length"):
        prepare(path, tmp_path / "out.wav", steps=["denoise"])
    assert [file.name for file in tmp_path.iterdir()] == ["in.wav"]


def test_progress_is_told_and_stops_it(tmp_path):
    path = wav(tmp_path / "in.wav", noise(5 * N))
    told = []
    prepare(
        path, tmp_path / "out.wav", start=10, end=4 * N, info=probe(path),
        on_progress=lambda **values: told.append(values),
    )  # fmt: skip
    assert {values["step"] for values in told} == {"prepare"}
    completed = [values["completed"] for values in told]
    assert completed == sorted(completed)
    assert (completed[0], completed[-1], told[-1]["total"]) == (0, 4 * N, 4 * N)
    assert len(completed) >= 10
    (tmp_path / "out.wav").unlink()

    def stop(*, step, completed, total):
        if completed > N:
            raise SeparationCancelled("Enough.")

    with pytest.raises(SeparationCancelled):
        prepare(path, tmp_path / "out.wav", on_progress=stop, info=probe(path))
    assert [file.name for file in tmp_path.iterdir()] == ["in.wav"]


def test_another_recording_than_the_one_probed_is_broken(tmp_path):
    path = wav(tmp_path / "in.wav", noise(N))
    info = probe(path)
    for samples in (noise(N, 1), noise(N - 1)):
        wav(path, samples)
        with pytest.raises(BrokenMedia):
            prepare(path, tmp_path / "out.wav", info=info)
    assert [file.name for file in tmp_path.iterdir()] == ["in.wav"]


def test_a_headerless_recording_without_a_suffix(tmp_path, read):
    named = write_headerless(tmp_path / "in.aac")
    whole, plain = read(named), write_headerless(tmp_path / "stored")
    with pytest.raises(UnsupportedMedia):
        prepare(plain, tmp_path / "out.wav")
    prepare(plain, tmp_path / "out.wav", start=5, info=probe(named))
    np.testing.assert_array_equal(read(tmp_path / "out.wav"), whole[:, 5:])


def test_limits_and_places_are_checked(tmp_path):
    path = wav(tmp_path / "in.wav", noise(N))
    with pytest.raises(TooLong):
        prepare(path, tmp_path / "out.wav", limits=AudioLimits(max_duration_s=1))
    with pytest.raises(InvalidRequest, match="own place"):
        prepare(path, path)
    with pytest.raises(MissingFile):
        prepare(tmp_path / "none.wav", tmp_path / "out.wav")
    assert probe(path).n_samples == N


def test_the_recordings_own_tags_go_with_it(tmp_path):
    with av.open(str(tmp_path / "in.flac"), "w") as output:
        output.metadata["title"] = "Song"
        stream = output.add_stream("flac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "stereo")
        frame.sample_rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    prepare(tmp_path / "in.flac", tmp_path / "out.wav")
    assert read_tags(tmp_path / "out.wav").values["title"] == "Song"


def test_a_long_recording_takes_no_more_memory(tmp_path, use_steps):
    use_steps(denoise="Gain")

    def peak(n_samples):
        path = wav(tmp_path / "in.wav", noise(n_samples, 1), "pcm_s16le", 8000)
        info = probe(path)
        tracemalloc.start()
        try:
            prepare(path, tmp_path / "out.wav", steps=["denoise"], info=info)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(N)  # what is loaded once
    assert peak(20 * N) < 1.2 * peak(2 * N)
