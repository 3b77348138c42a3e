"""Sound in made-up rooms: what is late of it is late, and the rest is in its place."""

import numpy as np
import pytest

from separation.training.enhance.mixer import RATE, RoomMixer
from separation.training.enhance.rooms import EARLY_S, drawn
from separation.training.sources import training_dir


class Clicks:
    """A click every half second."""

    def example(self, rng, n):
        clicks = np.zeros(n, np.float32)
        clicks[:: RATE // 2] = 1
        return clicks


def test_a_room_sounds_otherwise_at_each_place_but_begins_alike():
    responses, wanted = drawn(np.random.default_rng(1), RATE, 2)
    assert responses.shape == wanted.shape
    assert (responses[:, 0] == 1).all()
    assert not np.allclose(responses[0], responses[1])
    edge = int(EARLY_S * RATE)
    np.testing.assert_array_equal(wanted[:, :edge], responses[:, :edge])
    assert not wanted[:, edge:].any()
    assert responses[:, edge:].any()


def test_examples_are_what_is_kept_and_what_is_late():
    mixer = RoomMixer("train", dry=(Clicks(), Clicks()))
    late_db = []
    for seed in range(24):
        stems = mixer.example(np.random.default_rng(seed), RATE)
        assert stems.shape == (2, 2, RATE)
        assert stems.dtype == np.float32
        assert np.isfinite(stems).all()
        kept, late = np.square(stems).sum(axis=(1, 2))
        assert kept > 0
        late_db.append(10 * np.log10(late / kept + 1e-9))
    assert min(late_db) < -80  # some are dry
    assert max(late_db) > -3  # and some are far away


def test_the_same_seed_makes_the_same_example():
    first, second = (
        RoomMixer("train", dry=(Clicks(), Clicks())).example(np.random.default_rng(5), RATE)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_without_sentences_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path))
    assert training_dir().is_relative_to(tmp_path)
    with pytest.raises(FileNotFoundError, match="no sentences"):
        RoomMixer("held")
