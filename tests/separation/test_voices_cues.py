"""Lead from backing by stereo place, high voices from low ones by pitch, without a network."""

from dataclasses import replace

import numpy as np
import pytest

from separation import catalog
from separation.engines.cues import BACKENDS
from separation.engines.cues.engine import METHODS, create
from separation.errors import EngineClosed
from separation.quality import sdr_db

RATE = 44_100
N = 3 * RATE
METHOD_NAMES = sorted(METHODS)


def engine(method, *, rest_first=False):
    stems = ("one", "rest")
    model = replace(
        catalog.model("htdemucs"),
        name="cues",
        engine="separation.engines.cues",
        stems=stems[::-1] if rest_first else stems,
        rest="rest",
        input="vocals",
        network={"method": method},
        sources=(),
    )
    made = create(model, BACKENDS[0].name)
    made.load("cpu")
    return made


def voice(hertz, *, vibrato=0.01, n=N):
    """Return a sung tone: harmonics that fall off, with vibrato; (n,)."""
    time_s = np.arange(n) / RATE
    phase = 2 * np.pi * hertz * (time_s + vibrato / 31.4 * np.sin(2 * np.pi * 5 * time_s))
    tones = [np.sin(k * phase) / k for k in range(1, int(6000 / hertz))]
    return np.asarray(0.1 * np.sum(tones, axis=0), np.float32)


def placed(samples, left, right):
    return np.stack([samples * np.float32(left), samples * np.float32(right)])


def at_best_gain(truth, parent):
    """Return how near the parent itself comes to a stem, at its best constant gain."""
    return sdr_db(truth, parent * np.sum(truth * parent) / np.sum(parent**2))


def noise(seed, n=N):
    return np.random.default_rng(seed).standard_normal((2, n)).astype(np.float32) * np.float32(0.1)


@pytest.mark.parametrize("method", METHOD_NAMES)
@pytest.mark.parametrize("n", [0, 1, 500, 44_100, 100_003])
def test_any_length_adds_up(method, n):
    mixture = noise(1, n)[None]
    stems = engine(method).separate(mixture)
    assert stems.shape == (1, 2, 2, n)
    assert stems.dtype == np.float32
    np.testing.assert_allclose(stems.sum(axis=1), mixture, atol=1e-6)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_silence_stays_silent(method):
    assert not engine(method).separate(np.zeros((1, 2, RATE), np.float32)).any()


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_loudness_does_not_matter(method):
    mixture = (placed(voice(220), 0.7, 0.7) + placed(voice(392), 1.0, 0.2))[None]
    one = engine(method)
    quiet = one.separate(mixture * np.float32(2**-6)) * 2**6
    np.testing.assert_allclose(quiet, one.separate(mixture), atol=1e-3)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_each_of_a_batch_is_taken_by_itself(method):
    mixtures = np.stack([placed(voice(220), 0.7, 0.7) + noise(1), placed(voice(392), 1.0, 0.2)])
    one = engine(method)
    alone = np.concatenate([one.separate(mixture[None]) for mixture in mixtures])
    np.testing.assert_allclose(one.separate(mixtures), alone, atol=1e-5)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_the_rest_is_where_the_model_says(method):
    mixture = (placed(voice(220), 0.7, 0.7) + placed(voice(392), 1.0, 0.2))[None]
    stems, swapped = (engine(method, rest_first=first).separate(mixture) for first in (False, True))
    np.testing.assert_array_equal(stems, swapped[:, ::-1])


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_closed_engine_says_so(method):
    one = engine(method)
    one.close()
    with pytest.raises(EngineClosed):
        one.separate(noise(1)[None])


@pytest.mark.parametrize("aside", [0.0, 0.15, -0.15])
def test_the_front_is_what_stands_near_the_middle(aside):
    lead = placed(voice(262), 0.7 * (1 + aside), 0.7 * (1 - aside))
    backing = placed(voice(330), 0.5, 0.05) + placed(voice(415), 0.05, 0.5)
    stems = engine("front").separate((lead + backing)[None])[0]
    for truth, estimate in zip((lead, backing), stems, strict=True):
        assert sdr_db(truth, estimate) > at_best_gain(truth, lead + backing) + 1.5


def test_all_of_a_mono_recording_is_front():
    mixture = placed(voice(262) + voice(330), 0.7, 0.7)
    front, rest = engine("front").separate(mixture[None])[0]
    assert sdr_db(mixture, front) > 60
    assert np.abs(rest).max() < 1e-3


def test_high_voices_are_those_of_high_pitch():
    low, high = placed(voice(131), 0.6, 0.7), placed(voice(349), 0.7, 0.6)
    stems = engine("high-voices").separate((low + high)[None])[0]
    assert sdr_db(high, stems[0]) > 7
    assert sdr_db(low, stems[1]) > 7


@pytest.mark.parametrize(("hertz", "stem"), [(110, 1), (147, 1), (330, 0), (523, 0)])
def test_a_voice_alone_goes_to_its_own_stem(hertz, stem):
    mixture = placed(voice(hertz), 0.7, 0.7)
    stems = engine("high-voices").separate(mixture[None])[0]
    assert sdr_db(mixture, stems[stem]) > 15


def test_voices_that_take_turns_are_told_apart():
    half = N // 2
    low, high = (placed(voice(hertz), 0.7, 0.7) for hertz in (123, 370))
    low[:, half:] = 0
    high[:, :half] = 0
    stems = engine("high-voices").separate((low + high)[None])[0]
    assert sdr_db(high, stems[0]) > 10
    assert sdr_db(low, stems[1]) > 10
