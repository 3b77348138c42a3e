"""The step that takes echoes out: as many samples as went in, echoes gone, all else untouched."""

import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr  # type: ignore[import-untyped]
from scipy import signal

from benchmarks.enhance import with_echo
from separation.enhance.deecho import Deechoer
from separation.enhance.steps import open_step
from separation.quality import si_sdr_db
from tests.separation.media import noise
from tests.separation.spoken import RATE, THREE


def deechoed(samples, sample_rate=RATE, *, block=7001):
    step = Deechoer(sample_rate, len(samples))
    blocks = np.split(samples, range(block, samples.shape[1], block), axis=1)
    return np.concatenate([*map(step.push, blocks), step.flush()], axis=1)


@pytest.fixture(scope="module")
def speech():
    """Return a conversation, (1, n) at RATE."""
    samples, rate = soundfile.read(THREE, dtype="float32")
    assert rate == RATE
    return samples[None]


@pytest.fixture
def song(read):
    """Return the demo song, (2, n) at 44.1 kHz."""
    return read("demo/clip.flac")


# --- the samples: how many, and which ---


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("sample_rate", [8000, 11025, 44100, 96000])
@pytest.mark.parametrize("duration_s", [0, 0.0001, 0.97, 13.5])
def test_as_many_samples_come_out_as_went_in(n_channels, sample_rate, duration_s):
    samples = noise(round(duration_s * sample_rate), n_channels)
    result = deechoed(samples, sample_rate, block=50001)
    assert result.shape == samples.shape
    assert result.dtype == np.float32
    assert np.array_equal(result, samples)


def test_the_blocks_do_not_matter(speech):
    echoed = with_echo(speech, 2400, 0.5, comes_again=True)[:, : 15 * RATE]
    whole = deechoed(echoed, block=echoed.shape[1])
    assert not np.array_equal(whole, echoed)
    assert np.array_equal(deechoed(echoed, block=3333), whole)


# --- what has no echo ---


def test_speech_without_an_echo_is_untouched(speech):
    assert np.array_equal(deechoed(speech), speech)


def test_a_song_is_untouched(song):
    assert np.array_equal(deechoed(song, 44100), song)


@pytest.mark.parametrize("accents", [(1.0,), (1.0, 0.5), (1.0, 0.4, 0.7, 0.4)])
def test_a_beat_that_repeats_itself_to_the_sample_is_untouched(accents):
    """A drum machine's, at 120 beats a minute: its accents are as loud before as behind."""
    hit = noise(2000, 1)[0] * np.exp(-np.arange(2000) / 300)
    beat = np.zeros(20 * RATE, np.float32)
    for number, start in enumerate(range(0, len(beat) - 2000, RATE // 2)):
        beat[start : start + 2000] += (hit * accents[number % len(accents)]).astype(np.float32)
    beat = beat[None] + noise(len(beat), 1, level=0.001)
    result = deechoed(beat)
    assert si_sdr_db(beat, result) > 30


# --- echoes ---


@pytest.mark.parametrize("comes_again", [False, True])
@pytest.mark.parametrize(("delay_s", "gain"), [(0.08, 0.6), (0.2503, 0.25), (0.6, 0.8)])
def test_an_echo_is_taken_out(speech, delay_s, gain, comes_again):
    echoed = with_echo(speech, round(delay_s * RATE), gain, comes_again=comes_again)
    better_db = si_sdr_db(speech, deechoed(echoed)) - si_sdr_db(speech, echoed)
    assert better_db > 10


def test_a_dull_echo_is_taken_out(speech):
    late = np.roll(speech, 4000, axis=1) * 0.6
    late[:, :4000] = 0
    dull = signal.lfilter(*signal.butter(1, 2000, fs=RATE), late)
    echoed = (speech + dull).astype(np.float32)
    assert si_sdr_db(speech, deechoed(echoed)) > si_sdr_db(speech, echoed) + 8


def test_an_echo_at_the_rate_of_a_song_is_taken_out_of_both_channels(song):
    echoed = with_echo(song, 15001, 0.5, comes_again=True)
    result = deechoed(echoed, 44100)
    for number in range(2):
        before_db = si_sdr_db(song[number], echoed[number])
        assert si_sdr_db(song[number], result[number]) > before_db + 6


def test_an_echo_that_comes_later_is_found_and_one_that_goes_is_forgotten(speech):
    n = 20 * RATE
    dry = soxr.resample(speech[0], RATE, RATE)[:n]
    dry = np.concatenate([dry, dry])[None]
    echoed = dry.copy()
    echoed[:, :n] = with_echo(dry[:, :n], 3200, 0.6, comes_again=False)
    result = deechoed(echoed)
    assert si_sdr_db(dry[:, :n], result[:, :n]) > si_sdr_db(dry[:, :n], echoed[:, :n]) + 8
    assert np.array_equal(result[:, -5 * RATE :], dry[:, -5 * RATE :])


def test_silence_stays_silent():
    assert not deechoed(np.zeros((2, 15 * RATE), np.float32)).any()


# --- as a step ---


def test_it_is_the_step_of_its_name():
    assert isinstance(open_step("deecho", 44100, 2), Deechoer)


def test_memory_does_not_grow_with_the_recording(speech):
    echoed = with_echo(speech, 2400, 0.5, comes_again=True)[:, : 6 * RATE]
    peaks = {}
    for n_parts in (3, 12):
        step = Deechoer(RATE, 1)
        step.push(echoed)
        tracemalloc.start()
        for _ in range(n_parts):
            step.push(echoed)
        step.flush()
        peaks[n_parts] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[12] < 1.2 * peaks[3]
