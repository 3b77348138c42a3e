"""The step that takes rooms out: as many samples as went in, each in its place, and drier."""

import tracemalloc

import numpy as np
import pytest
import soundfile
from scipy import signal

from separation.enhance.adaptive import AdaptiveDereverberator
from separation.enhance.bands import N_BANDS, Analysis, Synthesis, first_bins, layout
from separation.enhance.dereverb import Dereverberator
from separation.enhance.steps import open_step
from separation.quality import sdr_db, si_sdr_db
from tests.separation.media import noise
from tests.separation.spoken import RATE, THREE

EARLY_S = 0.05


def dereverberated(samples, sample_rate=RATE, *, block=7001):
    step = Dereverberator(sample_rate, len(samples))
    blocks = np.split(samples, range(block, samples.shape[1], block), axis=1)
    return np.concatenate([*map(step.push, blocks), step.flush()], axis=1)


def in_room(samples, rt60_s, sample_rate, direct_db=0.0):
    """Return samples in a room, and with its early reflections only."""
    n = round(rt60_s * sample_rate)
    response = noise(n, 1, level=1.0)[0] * 10 ** (-3 * np.arange(n) / n)
    response *= np.sqrt(10 ** (-direct_db / 10) / np.sum(response**2))
    response[0] = 1
    early = response * (np.arange(n) < EARLY_S * sample_rate)
    return (
        signal.fftconvolve(samples, each[None], axes=1)[:, : samples.shape[1]].astype(np.float32)
        for each in (response, early)
    )


@pytest.fixture(scope="module")
def speech():
    """Return ten seconds of a conversation, (1, n) at RATE."""
    samples, rate = soundfile.read(THREE, dtype="float32", stop=10 * RATE)
    assert rate == RATE
    return samples[None]


# --- the samples ---


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("sample_rate", [8000, 11025, 44100, 96000])
@pytest.mark.parametrize("duration_s", [0, 0.0001, 0.97, 6.1])
def test_as_many_samples_come_out_as_went_in(n_channels, sample_rate, duration_s):
    samples = noise(round(duration_s * sample_rate), n_channels)
    result = dereverberated(samples, sample_rate)
    assert result.shape == samples.shape
    assert result.dtype == np.float32


@pytest.mark.parametrize("sample_rate", [8000, 44100])
def test_each_sample_is_at_its_place(sample_rate):
    # One in the first stretch, one where two of them meet, and one in the last.
    places = [sample_rate, round(4.83 * sample_rate), 8 * sample_rate]
    for place in places:
        click = np.zeros((1, 9 * sample_rate), np.float32)
        click[0, place] = 1
        assert np.argmax(np.abs(dereverberated(click, sample_rate))) == place


def test_the_blocks_do_not_matter(speech):
    whole = dereverberated(speech, block=speech.shape[1])
    assert np.array_equal(dereverberated(speech, block=333), whole)


def test_all_channels_have_the_same_gains(speech):
    both = dereverberated(np.concatenate([speech, -0.5 * speech]))
    np.testing.assert_allclose(both[1], -0.5 * both[0], atol=1e-6)


def test_silence_stays_silent():
    assert not dereverberated(np.zeros((2, 3 * RATE), np.float32)).any()


def test_memory_does_not_grow_with_the_recording():
    second = noise(RATE, 1)
    peaks = {}
    for n_seconds in (6, 30):
        step = Dereverberator(RATE, 1)
        step.push(second)
        tracemalloc.start()
        for _ in range(n_seconds):
            step.push(second)
        step.flush()
        peaks[n_seconds] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[30] < 1.2 * peaks[6]


# --- the sound ---


@pytest.mark.parametrize(("rt60_s", "least_db"), [(0.3, 2), (0.6, 2), (1.0, 2)])
def test_a_room_is_taken_out_of_speech(speech, rt60_s, least_db):
    heard, early = in_room(speech, rt60_s, RATE, direct_db=-3)
    better_db = si_sdr_db(early, dereverberated(heard)) - si_sdr_db(early, heard)
    assert better_db > least_db


def test_dry_speech_stays_as_it_is(speech):
    assert sdr_db(speech, dereverberated(speech)) > 20


def test_it_is_the_step_of_its_name():
    assert isinstance(open_step("dereverb", 44100, 2), AdaptiveDereverberator)


# --- the parts ---


@pytest.mark.parametrize("sample_rate", [8000, 44100, 48000, 192000])
def test_untouched_spectra_give_the_samples_again(sample_rate):
    hop = layout(sample_rate).hop
    samples = noise(20 * hop, 2)
    analysis, synthesis = Analysis(hop, 2), Synthesis(hop, 2)
    parts = np.split(samples, [3 * hop, 11 * hop], axis=1)
    result = np.concatenate([synthesis.push(analysis.push(part)) for part in parts], axis=1)
    late = Synthesis.DELAY * hop
    np.testing.assert_allclose(result[:, late:], samples[:, :-late], atol=1e-6)


def test_bands_are_the_same_for_all_rates():
    starts = np.array(first_bins())
    assert len(starts) == N_BANDS
    assert (np.diff(np.diff(starts)) >= -1).all()
    for sample_rate in (8000, 22050, 48000):
        bands = layout(sample_rate)
        assert list(bands.starts) == list(starts[: len(bands.starts)])
        assert bands.sizes.sum() == bands.n_bins
