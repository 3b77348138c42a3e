"""What the networks are given of a recording, with one channel or two."""

import numpy as np
import pytest

from separation import probe
from separation.errors import UnsupportedMedia
from separation.speakers import listening
from tests.separation.media import noise, write_headerless, write_media

RATE = 16000


def bursts(spans, seconds, *, seed, level=0.2):
    """Noise in some spans (s), silence elsewhere, (n,)."""
    samples = np.zeros(seconds * RATE, np.float32)
    for start, end in spans:
        samples[start * RATE : end * RATE] = 1
    return samples * noise(len(samples), 1, seed=seed, level=level)[0]


LEFT = bursts([(0, 4), (8, 10)], 12, seed=1)
RIGHT = bursts([(4, 10)], 12, seed=2)


@pytest.fixture
def recorded(tmp_path):
    def write(*channels, rate=RATE):
        samples = np.stack(channels)
        return write_media(tmp_path / "in.wav", samples, rate, codec="pcm_f32le")

    return write


def ignore(n_samples):
    pass


def leaking(left, right, leak_db):
    leak = np.float32(10 ** (leak_db / 20))
    return left + leak * right, right + leak * left


@pytest.mark.parametrize("leak_db", [-200, -30, -15])
def test_each_side_is_heard_where_it_is_spoken_into(recorded, leak_db):
    found = listening.sides(recorded(*leaking(LEFT, RIGHT, leak_db)), ignore)
    assert found is not None
    assert found.shape == (2, 120)
    tenths = np.arange(100)  # nobody speaks in the last two seconds
    assert np.array_equal(found[0, :100], (tenths < 40) | (tenths >= 80))
    assert np.array_equal(found[1, :100], tenths >= 40)


@pytest.mark.parametrize(
    "channels",
    [
        (LEFT, LEFT),
        (LEFT, -LEFT),
        (LEFT, LEFT / 2),
        (LEFT, np.zeros_like(LEFT)),
        (LEFT + RIGHT, LEFT + bursts([(4, 10)], 12, seed=3)),
        (np.zeros_like(LEFT), np.zeros_like(LEFT)),
        leaking(LEFT, RIGHT, -6),
        # Hardly anything on the right.
        (LEFT, bursts([(6, 7)], 12, seed=2, level=0.004)),
        (LEFT[:100], RIGHT[:100]),
    ],
)
def test_what_is_not_of_two_sides_is_none(recorded, channels):
    assert listening.sides(recorded(*channels), ignore) is None


def test_an_offset_and_another_level_make_no_side(recorded):
    left, right = leaking(LEFT, RIGHT / 2, -15)
    assert listening.sides(recorded(left + 0.3, right), ignore) is not None
    assert listening.sides(recorded(LEFT + 0.3, LEFT), ignore) is None


@pytest.mark.parametrize("rate", [8000, 11025, 48000])
def test_sides_are_found_at_any_rate(recorded, rate):
    left, right = LEFT[:: RATE // 8000], RIGHT[:: RATE // 8000]
    found = listening.sides(recorded(left, right, rate=rate), ignore)
    assert found is not None
    assert found.shape == (2, len(left) * 10 // rate)


def test_tenths_of_a_second_do_not_drift(recorded):
    """Where they are no whole number of samples."""
    rate, seconds, change = 8009, 120, 110
    sound = noise(seconds * rate, 2, level=0.2)
    sound[0, change * rate :] = 0
    sound[1, : change * rate] = 0
    found = listening.sides(recorded(*sound, rate=rate), ignore)
    assert found is not None
    assert np.array_equal(found[0], np.arange(10 * seconds) < 10 * change)
    assert np.array_equal(found[1], ~found[0])


def heard(blocks):
    return np.concatenate(list(blocks))


def power(samples):
    return float(np.mean(samples.astype(np.float64) ** 2))


def test_a_side_loses_what_leaks_over_and_nothing_else(recorded):
    path = recorded(*leaking(LEFT, RIGHT, -15))
    left = heard(listening.side(path, 0, ignore))
    assert left.shape == LEFT.shape
    alone, leaked = slice(RATE, 3 * RATE), slice(5 * RATE, 7 * RATE)
    assert np.abs(left[alone] - LEFT[alone]).max() < 0.1 * np.abs(LEFT).max()
    assert power(left[leaked]) < 1e-3 * power(RIGHT[leaked]) * 10**-1.5


@pytest.mark.parametrize("number", [0, 1])
def test_a_side_does_not_depend_on_how_it_is_read(recorded, monkeypatch, number):
    path = recorded(*leaking(LEFT, RIGHT, -10))
    expected = heard(listening.side(path, number, ignore))
    whole = np.stack(leaking(LEFT, RIGHT, -10))

    def pieces(reader, n_least):
        random = np.random.default_rng(5)
        cuts = np.sort(random.integers(0, whole.shape[1], 200))
        yield from np.split(whole, cuts, axis=1)

    monkeypatch.setattr(listening, "_gathered", pieces)
    assert np.array_equal(heard(listening.side(path, number, ignore)), expected)


@pytest.mark.parametrize("n_samples", [1, 300, 5000])
def test_a_short_side_is_as_long_as_it_was(recorded, n_samples):
    path = recorded(LEFT[:n_samples], RIGHT[:n_samples])
    assert np.abs(heard(listening.side(path, 0, ignore)) - LEFT[:n_samples]).max() < 1e-5


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ((LEFT,), LEFT),
        ((LEFT, LEFT / 2), 0.75 * LEFT),
        ((LEFT, -LEFT), LEFT),
        ((LEFT, RIGHT, LEFT), (2 * LEFT + RIGHT) / 3),
        ((LEFT, np.zeros_like(LEFT)), LEFT / 2),
    ],
)
def test_several_channels_are_heard_as_one(recorded, channels, expected):
    found = heard(listening.mono(recorded(*channels), ignore))
    assert np.abs(found - expected).max() < 1e-6


def test_a_headerless_recording_is_what_its_owner_says_it_is(tmp_path):
    """Stored recordings have no suffix."""
    path = write_headerless(tmp_path / "stored")
    n_samples = probe(path, guess="aac").n_samples
    ways = (
        lambda guess: heard(listening.mono(path, ignore, guess=guess)),
        lambda guess: heard(listening.side(path, 0, ignore, guess=guess)),
    )
    for way in ways:
        with pytest.raises(UnsupportedMedia):
            way(None)
        assert len(way("aac")) == pytest.approx(n_samples / 2, abs=1)
    with pytest.raises(UnsupportedMedia):
        listening.sides(path, ignore)
    assert listening.sides(path, ignore, guess="aac") is None


def test_it_tells_how_many_samples_were_read(recorded):
    told: list[int] = []
    n_samples = 30 * 441
    path = recorded(*noise(n_samples, 2), rate=44100)
    for blocks in (listening.mono(path, told.append), listening.side(path, 1, told.append)):
        told.clear()
        n_heard = sum(map(len, blocks))
        assert told[-1] == n_samples
        assert n_heard == pytest.approx(n_samples * RATE / 44100, abs=1)
