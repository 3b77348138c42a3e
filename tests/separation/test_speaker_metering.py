"""Loudness against the test signals of EBU Tech 3341, levels against sums."""

import math

import numpy as np
import pytest

from separation.speakers.metering import LevelMeter, Loudness
from tests.separation.media import noise

LAYOUTS = dict(enumerate(("mono", "stereo", "2.1", "quad", "5.0", "5.1", "6.1", "7.1"), start=1))


def sine(seconds, level_db, rate=48000, n_channels=2, frequency=1000, phase=0.0):
    time_s = np.arange(round(seconds * rate)) / rate
    tone = 10 ** (level_db / 20) * np.sin(2 * np.pi * frequency * time_s + phase)
    # A sudden start has a peak of its own between the samples.
    tone *= np.minimum(1, 100 * np.minimum(time_s, time_s[::-1]))
    return np.tile(tone, (n_channels, 1)).astype(np.float32)


def measured(*parts, rate=48000, n_channels=2):
    """Parts are samples or how many silent ones."""
    meter = Loudness(rate, n_channels, LAYOUTS[n_channels])
    for part in parts:
        if isinstance(part, int):
            meter.add_silence(part)
            continue
        for start in range(0, part.shape[1], 32768):
            meter.add(part[:, start : start + 32768])
    return meter.finish()


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000, 96000])
@pytest.mark.parametrize("level_db", [-23.0, -33.0])
def test_a_sine_on_both_sides_is_as_loud_as_its_peak(rate, level_db):
    lufs, peak = measured(sine(20, level_db, rate), rate=rate)
    assert lufs == pytest.approx(level_db, abs=0.1)
    assert 20 * math.log10(peak) == pytest.approx(level_db, abs=0.3)


def test_what_is_quiet_does_not_count():
    lufs, _ = measured(sine(10, -72), sine(10, -36), sine(60, -23), sine(10, -36), sine(10, -72))
    assert lufs == pytest.approx(-23, abs=0.1)


def test_the_true_peak_lies_between_samples():
    """A quarter of the sample rate, sampled 45 degrees beside its peaks."""
    tone = sine(1, -6.02, n_channels=1, frequency=12000, phase=np.pi / 4)
    _, peak = measured(tone, n_channels=1)
    assert np.abs(tone).max() == pytest.approx(0.3536, abs=1e-3)
    assert peak == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
def test_silence_that_is_not_fed_is_measured_all_the_same(rate):
    """The windows of 0.4 s begin where they did."""
    random = np.random.default_rng(3)
    parts, whole = [], []
    for number in range(12):
        burst = noise(int(random.integers(100, 2 * rate)), 1, seed=number, level=0.02 * number)
        pause = int(random.integers(1, 9 * rate))
        parts += [burst, pause]
        whole += [burst, np.zeros((1, pause), np.float32)]
    skipped = measured(pause, *parts, rate=rate, n_channels=1)
    fed = measured(np.zeros((1, pause), np.float32), *whole, rate=rate, n_channels=1)
    assert skipped == fed
    assert skipped[0] > -40


@pytest.mark.parametrize("parts", [[], [50_000], [np.zeros((2, 5), np.float32)]])
def test_nothing_has_no_loudness(parts):
    assert measured(*parts)[0] is None


def test_less_than_one_window_has_no_loudness_but_a_peak():
    lufs, peak = measured(sine(0.35, -6))
    assert lufs is None
    assert peak == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("n_channels", LAYOUTS)
def test_a_peak_counts_up_to_the_last_sample(n_channels):
    """Also in a last step of 0.1 s that is not full."""
    samples = sine(1.05, -40, n_channels=n_channels)
    samples[:, -1500] = 0.5
    assert measured(samples, n_channels=n_channels)[1] >= 0.5


@pytest.mark.parametrize("n_channels", LAYOUTS)
def test_levels_are_of_sound_only(n_channels):
    meter = LevelMeter(44100, n_channels, LAYOUTS[n_channels])
    samples = noise(44100, n_channels, level=0.5)
    meter.add([10_000, samples[:, :20_000]])
    meter.add([samples[:, 20_000:], 10**9])
    levels = meter.levels()
    assert levels.rms_db == round(10 * math.log10(np.square(samples.astype(float)).mean()), 2)
    assert levels.peak == pytest.approx(np.abs(samples).max(), abs=1e-6)
    assert levels.lufs is not None
    assert levels.gain_db == 0


def test_silence_has_no_level():
    meter = LevelMeter(44100, 1, "mono")
    meter.add([44100, np.zeros((1, 44100), np.float32)])
    levels = meter.levels(-16.0, -1.0)
    assert (levels.rms_db, levels.peak, levels.lufs, levels.gain_db) == (None, 0.0, None, 0.0)


@pytest.mark.parametrize(
    ("level_db", "target", "gain_db"),
    [(-30, -16.0, 14.0), (-23, -30.0, -7.0), (-10, -5.0, 5.0), (-10, -16.0, -6.0)],
)
def test_a_gain_brings_the_track_to_its_target(level_db, target, gain_db):
    meter = LevelMeter(48000, 2, "stereo")
    meter.add([sine(5, level_db)])
    assert meter.levels(target, -1.0).gain_db == pytest.approx(gain_db, abs=0.1)


def test_what_is_hardly_there_is_not_raised_to_the_skies():
    meter = LevelMeter(48000, 2, "stereo")
    meter.add([sine(5, -60)])
    assert meter.levels(-16.0, -1.0).gain_db == 30


def test_a_gain_stops_where_the_peak_would_pass_the_ceiling():
    samples = sine(5, -30)
    samples[:, 1000] = 0.5
    meter = LevelMeter(48000, 2, "stereo")
    meter.add([samples])
    gain_db = meter.levels(-16.0, -1.0).gain_db
    assert 4.0 < gain_db <= -1 - 20 * math.log10(0.5)


def test_what_is_too_loud_already_is_made_quieter():
    meter = LevelMeter(48000, 2, "stereo")
    samples = sine(5, -30)
    samples[:, 1000] = 1.0
    meter.add([samples])
    assert meter.levels(-16.0, -1.0).gain_db <= -1.0
