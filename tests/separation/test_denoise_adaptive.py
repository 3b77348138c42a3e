"""The step that denoises speech as speech, and leaves music what it is."""

import numpy as np
import pytest
import soundfile

from separation import catalog, weights
from separation.enhance import adaptive
from separation.enhance.adaptive import AdaptiveDenoiser
from separation.enhance.denoise import Denoiser
from separation.enhance.floor import FloorDenoiser
from separation.enhance.steps import open_step
from separation.enhance.tagging import SAMPLE_RATE, WINDOW, Tagger, Tags
from separation.quality import sdr_db, si_sdr_db
from tests.separation.media import noise
from tests.separation.spoken import RATE, THREE


@pytest.fixture(scope="module")
def tagger():
    return Tagger()


@pytest.fixture(scope="module")
def speech():
    """Return eight seconds of a conversation, (1, n) at RATE."""
    samples, rate = soundfile.read(THREE, dtype="float32", stop=8 * RATE)
    assert rate == RATE
    return samples[None]


@pytest.fixture
def song(read):
    """Return ten seconds of the demo song, (2, n) at 44.1 kHz."""
    return read("demo/clip.flac")[:, : 10 * 44100]


class Said:
    """Hears what it is told to, window by window."""

    def __init__(self, *speech):
        self._speech = list(speech)

    def tags(self, samples):
        assert samples.shape == (WINDOW,)
        share = self._speech.pop(0) if self._speech else 0.0
        return Tags(speech=share, singing=0.0, music=1 - share)


def denoised(samples, sample_rate, *, block=7001, step=None):
    step = step or AdaptiveDenoiser(sample_rate, len(samples))
    blocks = np.split(samples, range(block, samples.shape[1], block), axis=1)
    return np.concatenate([*map(step.push, blocks), step.flush()], axis=1)


def with_noise(samples, snr_db):
    hiss = noise(samples.shape[1], len(samples), level=1.0)
    scale = np.sqrt(np.sum(samples**2) / np.sum(hiss**2) / 10 ** (snr_db / 10))
    return (samples + scale * hiss).astype(np.float32)


# --- the samples ---


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("sample_rate", [8000, 44100, 96000])
@pytest.mark.parametrize("duration_s", [0, 0.0001, 0.97, 4.3])
def test_as_many_samples_come_out_as_went_in(sample_rate, n_channels, duration_s):
    samples = noise(round(duration_s * sample_rate), n_channels)
    for step in (None, FloorDenoiser(sample_rate, n_channels)):
        result = denoised(samples, sample_rate, step=step)
        assert result.shape == samples.shape
        assert result.dtype == np.float32


def test_the_blocks_do_not_matter(song):
    noisy = with_noise(song, 10)[:, : 6 * 44100]
    whole = denoised(noisy, 44100, block=noisy.shape[1])
    assert np.array_equal(denoised(noisy, 44100, block=3001), whole)


# --- speech ---


def test_speech_is_denoised_as_speech(speech):
    noisy = with_noise(speech, 5)
    result = denoised(noisy, RATE)
    assert np.array_equal(result, denoised(noisy, RATE, step=Denoiser(RATE, 1)))
    assert si_sdr_db(speech, result) > si_sdr_db(speech, noisy) + 7


# --- music ---


def test_clean_music_is_hardly_touched(song):
    result = denoised(song, 44100)
    assert sdr_db(song, result) > 25


@pytest.mark.parametrize(("snr_db", "least_db"), [(5, 2), (10, 2), (20, 0)])
def test_music_loses_noise_and_nothing_else(song, snr_db, least_db):
    noisy = with_noise(song, snr_db)
    better_db = si_sdr_db(song, denoised(noisy, 44100)) - si_sdr_db(song, noisy)
    assert better_db > least_db


def test_tones_that_last_are_not_taken_for_noise():
    times = np.arange(10 * 44100) / 44100
    tones = np.sin(2 * np.pi * np.array([[220], [277], [330]]) * times)
    chord = (0.1 * tones.sum(axis=0, keepdims=True)).astype(np.float32)
    result = denoised(chord, 44100, step=FloorDenoiser(44100, 1))
    assert sdr_db(chord, result) > 25


def test_noise_alone_grows_softer():
    hiss = noise(10 * 44100, 1)
    result = denoised(hiss, 44100, step=FloorDenoiser(44100, 1))
    assert np.mean(result**2) < 0.2 * np.mean(hiss**2)


# --- the choice ---


def shares(*speech, sample_rate=SAMPLE_RATE):
    """Return each sample's share of speech, for windows with so much of it."""
    choice = adaptive._Choice(sample_rate, Said(*speech))
    choice.push(np.zeros((1, round(len(speech) * WINDOW * sample_rate / SAMPLE_RATE)), np.float32))
    choice.flush()
    return choice.take(choice.n_known)


def test_it_changes_where_more_of_one_is_heard_than_of_the_other():
    heard = shares(1, 1, 1, 1, 0, 0, 0, 0)
    assert len(heard) == 8 * WINDOW
    assert (heard[: 4 * WINDOW] == 1).all()
    assert (heard[5 * WINDOW :] == 0).all()
    assert np.abs(np.diff(heard)).max() < 0.001


def test_one_window_does_not_change_it():
    assert (shares(1, 1, 1, 0, 1, 1, 1, 1) == 1).all()
    assert (shares(0, 0, 0, 1, 0, 0, 0, 0) == 0).all()


def test_what_is_neither_is_denoised_as_speech():
    assert (shares(0.5, 0.5, 0.5, 0.5) == 1).all()


@pytest.mark.parametrize("sample_rate", [8000, 44100])
def test_each_sample_is_judged_whatever_the_rate(sample_rate):
    assert len(shares(1, 1, 0, 0, sample_rate=sample_rate)) == round(
        4 * WINDOW * sample_rate / SAMPLE_RATE
    )


def test_the_tagger_tells_speech_from_music(tagger, speech, song):
    tags = tagger.tags(speech[0, :WINDOW])
    assert tags.speech > 0.5 > max(tags.singing, tags.music)
    tags = tagger.tags(song[0, :: 44100 // RATE][:WINDOW].copy())
    assert tags.music > 0.5 > tags.speech
    softer = tagger.tags(speech[0, :WINDOW] * np.float32(0.01))
    assert softer.speech == pytest.approx(tagger.tags(speech[0, :WINDOW]).speech, abs=0.02)


def test_it_is_the_step_of_its_name():
    weights.install(catalog.tool("yamnet"))
    assert isinstance(open_step("denoise", 44100, 2), AdaptiveDenoiser)
