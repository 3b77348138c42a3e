"""What stems owe to their recording, a line each; test_exactness_formats.py asks every format."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from separation import batching, cli, probe, separate
from separation.audio.decode import AudioReader
from tests.separation.conftest import GAINS, SEGMENT
from tests.separation.crooked import make_crooked
from tests.separation.media import noise, tones, write_media

N = 30_011
NATIVE = list(GAINS)
CLIP = Path(__file__).resolve().parents[2] / "demo" / "clip.flac"
# -90 dBFS.
AUDIBLE = 10 ** (-90 / 20)
REAL: dict[str, Any] = {"model": "spleeter-2stems"}
BOTH = ["vocals", "accompaniment"]


@pytest.fixture
def crooked(gain_engine, monkeypatch):
    return make_crooked(gain_engine, monkeypatch)


@pytest.fixture
def real_htdemucs(htdemucs):
    """Its queue ends with the test."""
    yield htdemucs.info.name
    batching.close_queue(htdemucs)


def wav(path, samples, rate=44100, codec="pcm_f32le"):
    return write_media(path, np.asarray(samples, np.float32), rate, codec=codec)


def read(path):
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.blocks()), axis=1).astype(np.float64)


def stems_of(path, folder, **options):
    result = separate(path, folder, **options)
    return {name: read(file) for name, file in result.stems.items()}


def level_db(samples):
    return 10 * np.log10(np.mean(np.square(samples)) + 1e-30)


# --- the sum


@pytest.mark.parametrize("residual", ["spread", "rest"])
@pytest.mark.parametrize("output_format", ["wav", "flac", "wav24", "wav32f"])
@pytest.mark.parametrize(("codec", "bits"), [("pcm_s16le", 16), ("pcm_s24le", 24)])
def test_stems_add_up_to_the_last_bit(crooked, tmp_path, codec, bits, output_format, residual):
    path = wav(tmp_path / "in.wav", noise(N, level=0.999), codec=codec)
    stems = stems_of(path, tmp_path / "out", output_format=output_format, residual=residual)
    # Float stems are added in double precision: each has 24 bits of its own.
    atol = 2.0**-25 if output_format == "wav32f" else 0
    np.testing.assert_allclose(sum(stems.values()), read(path), rtol=0, atol=atol)


@pytest.mark.parametrize("rate", [8000, 11025, 37800, 48000, 96000, 192000])
def test_stems_add_up_at_every_rate(crooked, tmp_path, rate):
    # Noise up to half of each rate: what the model's own rate cannot hold is not lost.
    path = wav(tmp_path / "in.wav", noise(N, level=0.9), rate, codec="pcm_s24le")
    stems = stems_of(path, tmp_path / "out")
    np.testing.assert_array_equal(sum(stems.values()), read(path))


@pytest.mark.parametrize("n_channels", [1, 3, 6, 8])
def test_stems_add_up_in_every_channel(crooked, tmp_path, n_channels):
    path = wav(tmp_path / "in.wav", noise(N, n_channels, level=0.9), codec="pcm_s16le")
    stems = stems_of(path, tmp_path / "out")
    assert stems["vocals"].shape == (n_channels, N)
    np.testing.assert_array_equal(sum(stems.values()), read(path))


def test_each_stem_takes_its_share(gain_engine, tmp_path, monkeypatch):
    monkeypatch.setitem(GAINS, "vocals", 0.75)
    path = wav(tmp_path / "in.wav", noise(N))
    stems = stems_of(path, tmp_path / "out")
    for name, gain in GAINS.items():
        expected = gain / sum(GAINS.values()) * read(path)
        np.testing.assert_allclose(stems[name], expected, atol=1e-6)


def test_by_setting_stems_are_what_the_network_returned(gain_engine, tmp_path, monkeypatch):
    monkeypatch.setitem(GAINS, "vocals", 0.75)
    path = wav(tmp_path / "in.wav", noise(N))
    stems = stems_of(path, tmp_path / "out", residual="keep")
    for name, gain in GAINS.items():
        np.testing.assert_allclose(stems[name], gain * read(path), atol=1e-7)


def test_by_setting_one_stem_takes_it_all(crooked, tmp_path):
    path = wav(tmp_path / "in.wav", noise(N))
    kept = stems_of(path, tmp_path / "1", residual="keep")
    stems = stems_of(path, tmp_path / "2", residual="rest")
    for name in ("drums", "bass", "vocals"):
        np.testing.assert_array_equal(stems[name], kept[name])
    assert np.abs(stems["other"] - kept["other"]).max() > 0.01


def test_a_stem_is_the_same_whatever_else_is_asked_for(crooked, tmp_path):
    path = wav(tmp_path / "in.wav", noise(N), codec="pcm_s16le")
    together = stems_of(path, tmp_path / "all", stems=[*NATIVE, "instrumental", "no_other"])
    for name, expected in together.items():
        alone = stems_of(path, tmp_path / name, stems=[name])
        assert list(alone) == [name]
        np.testing.assert_array_equal(alone[name], expected)
    np.testing.assert_array_equal(together["vocals"] + together["instrumental"], read(path))
    np.testing.assert_array_equal(together["other"] + together["no_other"], read(path))


def test_a_silent_stem_takes_nothing(crooked, tmp_path, monkeypatch):
    monkeypatch.setitem(GAINS, "vocals", 0.0)
    path = wav(tmp_path / "in.wav", noise(N))
    stems = stems_of(path, tmp_path / "out")
    assert not stems["vocals"].any()
    np.testing.assert_allclose(sum(stems.values()), read(path), rtol=0, atol=2.0**-24)


def test_stems_of_a_real_model_add_up_to_the_last_bit(spleeter, tmp_path):
    samples = read(CLIP)[:, :343_980]
    path = wav(tmp_path / "in.wav", samples, codec="pcm_s16le")
    stems = stems_of(path, tmp_path / "out", **REAL)
    np.testing.assert_array_equal(sum(stems.values()), samples)
    assert min(level_db(stem) for stem in stems.values()) > -45  # none is only a remainder


# --- level and depth


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le", "pcm_f32le"])
def test_the_level_does_not_change(gain_engine, tmp_path, codec):
    samples = tones(N, level=4.0)
    samples *= 0.999 / np.abs(samples).max()
    path = wav(tmp_path / "in.wav", samples, codec=codec)
    for name, stem in stems_of(path, tmp_path / "out").items():
        recording = GAINS[name] * read(path)
        assert level_db(stem) == pytest.approx(level_db(recording), abs=0.001)


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le", "pcm_f32le"])
@pytest.mark.parametrize("peak", ["full", 1.5])
def test_nothing_is_clipped(crooked, tmp_path, codec, peak):
    samples = noise(N, level=1.0 if peak == "full" else peak)
    samples[:, 100:200] = -1  # as loud as can be
    path = wav(tmp_path / "in.wav", samples, codec=codec)
    result = separate(path, tmp_path / "out")
    assert set(result.clipped_samples.values()) == {0}
    total = sum(read(file) for file in result.stems.values())
    atol = 2.0**-24 if codec == "pcm_f32le" else 0
    np.testing.assert_allclose(total, read(path), rtol=0, atol=atol)


def test_overshoot_of_lossy_sources_survives(gain_engine, tmp_path):
    square = 0.99 * np.sign(tones(N))
    path = write_media(tmp_path / "in.mp3", square, codec="libmp3lame", sample_format="fltp")
    assert np.abs(read(path)).max() > 1.05
    for output_format in ("wav", "flac"):
        result = separate(path, tmp_path / output_format, output_format=output_format)
        total = sum(read(file) for file in result.stems.values())
        assert set(result.clipped_samples.values()) == {0}
        assert np.abs(total - read(path)).max() < 2.0**-23


def test_24_bits_stay_24_bits(crooked, tmp_path):
    # So soft that 16 bits would hold nothing of it.
    samples = noise(N, level=100 * 2.0**-23)
    path = wav(tmp_path / "in.wav", samples, codec="pcm_s24le")
    result = separate(path, tmp_path / "out", stems=["bass", "vocals", "other", "drums"])
    stems = {name: read(file) for name, file in result.stems.items()}
    assert probe(result.stems["bass"]).bits_per_sample == 24
    np.testing.assert_array_equal(sum(stems.values()), read(path))
    steps = stems["vocals"] * 2**23
    np.testing.assert_array_equal(steps, np.rint(steps))
    assert np.unique(steps).size > 40


def test_24_bits_pass_a_real_model(spleeter, tmp_path):
    samples = read(CLIP)[:, : 3 * 44100] + noise(3 * 44100, level=2.0**-17)
    path = wav(tmp_path / "in.wav", samples, codec="pcm_s24le")
    stems = stems_of(path, tmp_path / "out", **REAL)
    np.testing.assert_array_equal(sum(stems.values()), read(path))
    for stem in stems.values():
        assert np.unique((stem * 2**23) % 256).size == 256


# --- joins


def test_joins_are_not_heard(crooked, tmp_path):
    # Slow sound alone: any step stands out in the third difference.
    n_samples = 12 * SEGMENT
    path = wav(tmp_path / "in.wav", tones(n_samples))
    assert joins_over_body(path, tmp_path / "0", overlap=0) > 30  # it does show
    assert joins_over_body(path, tmp_path / "1", overlap=0.25) < 1


def joins_over_body(path, folder, *, overlap):
    """The energy of the stems' third difference at joins, over that of the body."""
    fade = int(overlap * SEGMENT)
    starts = np.arange(SEGMENT - fade, read(path).shape[1] - SEGMENT, SEGMENT - fade)
    is_join = np.zeros(read(path).shape[1] - 3, bool)
    for at in (*starts, *(starts + fade)):
        is_join[at - 8 : at + 8] = True
    worst = 0.0
    for stem in stems_of(path, folder, overlap=overlap).values():
        energy = np.square(np.diff(stem, n=3)).mean(axis=0)
        worst = max(worst, energy[is_join].mean() / energy[~is_join].mean())
    return worst


def test_joins_of_a_real_model_are_not_heard(spleeter, tmp_path):
    info = spleeter.info
    path = wav(tmp_path / "in.wav", read(CLIP), codec="pcm_s16le")
    n_samples = read(path).shape[1]
    fade = int(info.overlap * info.segment_samples)
    stride = info.segment_samples - fade
    starts = np.arange(stride, n_samples - info.segment_samples + 1, stride)
    last = n_samples - info.segment_samples  # moved left to end with the recording
    joins = sorted({*starts, *(starts + fade), last, last + fade})
    assert len(joins) >= 4
    for stem in stems_of(path, tmp_path / "out", **REAL).values():
        energy = np.square(np.diff(stem, n=3)).mean(axis=0)
        windows = energy[: len(energy) // 32 * 32].reshape(-1, 32).mean(axis=1)
        # Music has its own attacks: each window counts against its surroundings.
        around = np.convolve(windows, np.full(127, 1 / 127), mode="same")
        contrast = windows / (around + 1e-12)
        at_joins = [contrast[join // 32 + k] for join in joins for k in (-1, 0, 1)]
        assert np.mean(at_joins) <= np.mean(contrast)
        assert max(at_joins) < np.quantile(contrast, 0.99)


# --- strange recordings


@pytest.mark.parametrize("n_samples", [1, 2, 3, 1000])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_very_short_recording(spleeter, tmp_path, n_samples, n_channels):
    path = wav(tmp_path / "in.wav", noise(n_samples, n_channels), codec="pcm_s16le")
    stems = stems_of(path, tmp_path / "out", **REAL)
    assert {stem.shape for stem in stems.values()} == {(n_channels, n_samples)}
    np.testing.assert_array_equal(sum(stems.values()), read(path))


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("output_format", ["wav16", "wav32f", "flac"])
def test_silence_stays_silence(spleeter, tmp_path, output_format, rate):
    path = wav(tmp_path / "in.wav", np.zeros((2, rate)), rate, codec="pcm_s16le")
    for stem in stems_of(path, tmp_path / "out", output_format=output_format, **REAL).values():
        assert stem.shape == (2, rate)
        assert not stem.any()


def test_a_silent_segment_of_a_loud_recording_stays_silent(crooked, tmp_path):
    samples = noise(8 * SEGMENT, level=0.9)
    samples[:, 2 * SEGMENT : 6 * SEGMENT] = 0
    path = wav(tmp_path / "in.wav", samples)
    for stem in stems_of(path, tmp_path / "out").values():
        assert not stem[:, 3 * SEGMENT : 5 * SEGMENT].any()


def test_an_offset_goes_into_one_stem(real_htdemucs, tmp_path):
    path = wav(tmp_path / "in.wav", np.full((2, 343_980), 0.25), codec="pcm_s16le")
    stems = stems_of(path, tmp_path / "out", model=real_htdemucs)
    np.testing.assert_array_equal(sum(stems.values()), 0.25)
    for name, stem in stems.items():
        assert np.abs(stem - (0.25 if name == "other" else 0)).max() < AUDIBLE


def test_stems_of_htdemucs_add_up_and_an_offset_goes_into_one_stem(real_htdemucs, tmp_path):
    samples = 0.5 * read(CLIP)[:, :343_980]
    path = wav(tmp_path / "in.wav", samples + 0.25, codec="pcm_s16le")
    stems = stems_of(path, tmp_path / "out", model=real_htdemucs)
    np.testing.assert_array_equal(sum(stems.values()), read(path))
    for name, stem in stems.items():
        assert abs(stem.mean() - (0.25 if name == "other" else 0)) < 0.005


def test_an_offset_alone_adds_up(spleeter, tmp_path):
    # A mask gives each stem its share of everything, of an offset too.
    path = wav(tmp_path / "in.wav", np.full((2, 20_000), 0.25), codec="pcm_s16le")
    stems = stems_of(path, tmp_path / "out", **REAL)
    np.testing.assert_array_equal(sum(stems.values()), 0.25)


def test_samples_that_are_no_numbers_count_as_silence(spleeter, tmp_path):
    samples = tones(N)
    samples[0, 100], samples[1, 200], samples[0, 300] = np.nan, np.inf, -np.inf
    samples[:, 20_000:] = np.nan
    path = wav(tmp_path / "in.wav", samples)
    stems = stems_of(path, tmp_path / "out", **REAL)
    expected = np.where(np.isfinite(samples), samples, 0)
    np.testing.assert_allclose(sum(stems.values()), expected, rtol=0, atol=2.0**-24)


def test_enormous_samples_do_no_harm(crooked, tmp_path):
    samples = noise(N)
    samples[:, 5000:5010] = 3e38
    path = wav(tmp_path / "in.wav", samples)
    for output_format in ("wav", "wav16"):
        stems = stems_of(path, tmp_path / output_format, output_format=output_format)
        assert all(np.isfinite(stem).all() for stem in stems.values())


def test_eight_channels_of_a_real_model(spleeter, tmp_path):
    samples = np.tile(read(CLIP)[:, : 2 * 44100], (4, 1))
    samples *= np.linspace(0.3, 1, 8)[:, None]
    path = wav(tmp_path / "in.wav", samples, codec="pcm_s24le")
    result = separate(path, tmp_path / "out", **REAL)
    assert {probe(file).layout for file in result.stems.values()} == {"7.1"}
    total = sum(read(file) for file in result.stems.values())
    np.testing.assert_array_equal(total, read(path))


def test_mono_stays_mono_and_is_not_softer(spleeter, tmp_path):
    samples = read(CLIP)[:1, : 3 * 44100]
    mono = wav(tmp_path / "mono.wav", samples, codec="pcm_s16le")
    stereo = wav(tmp_path / "stereo.wav", np.tile(samples, (2, 1)), codec="pcm_s16le")
    one, two = stems_of(mono, tmp_path / "1", **REAL), stems_of(stereo, tmp_path / "2", **REAL)
    for name in BOTH:
        assert one[name].shape == samples.shape
        assert level_db(one[name]) == pytest.approx(level_db(two[name]), abs=0.1)
    np.testing.assert_array_equal(sum(one.values()), samples)


# --- the setting


@pytest.mark.parametrize("residual", ["rest", "keep", None])
def test_the_command_line_passes_the_setting_on(crooked, tmp_path, residual):
    path = wav(tmp_path / "in.wav", noise(N))
    setting = [] if residual is None else ["--residual", residual]
    assert cli.main(["separate", str(path), "-o", str(tmp_path / "1"), *setting]) == 0
    expected = stems_of(path, tmp_path / "2", residual=residual or "spread")
    for name, stem in expected.items():
        np.testing.assert_array_equal(read(tmp_path / "1" / f"{name}.wav"), stem)
