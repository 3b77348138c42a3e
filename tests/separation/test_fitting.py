"""What a stem was taken apart into, in whole steps: every sum of it is a file too."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from separation.residual import part_steps
from tests.separation.media import noise


def parts(n_parts, n_samples=500, *, level, seed=0):
    """Parts of stereo sound that do not add up to anything: (parts, 2, samples) float32."""
    return noise(n_samples, 2 * n_parts, level=level, seed=seed).reshape(n_parts, 2, n_samples)


def whole_of(n_samples=500, *, bits, seed=9):
    """A stem in whole steps, with its loudest ones among them."""
    full = 2 ** (bits - 1)
    steps = np.random.default_rng(seed).integers(-full, full, (2, n_samples), dtype=np.int32)
    steps[:, :4] = [full - 1, -full, 0, 1]
    return steps


@settings(deadline=None, max_examples=60)
@given(
    n_parts=st.integers(2, 9),
    level=st.sampled_from([0.01, 0.3, 1.0, 3.0, 1e4]),
    bits=st.sampled_from([16, 24]),
    seed=st.integers(0, 1000),
)
def test_every_sum_of_parts_is_within_full_scale_and_all_are_the_whole(n_parts, level, bits, seed):
    whole = whole_of(bits=bits)
    rest = seed % n_parts
    steps, _ = part_steps(parts(n_parts, level=level, seed=seed), whole, bits, rest)
    np.testing.assert_array_equal(steps.sum(axis=0), whole)
    full = 2 ** (bits - 1)
    # The largest sum of any of them, and the least.
    assert np.maximum(steps, 0).sum(axis=0).max() <= full - 1
    assert np.minimum(steps, 0).sum(axis=0).min() >= -full
    for one in steps:
        assert (whole - one).max() <= full - 1
        assert (whole - one).min() >= -full


@pytest.mark.parametrize("bits", [16, 24])
def test_what_fits_is_only_rounded(bits):
    full = 2 ** (bits - 1)
    stems = parts(5, level=0.15)
    whole = np.rint(stems.sum(axis=0) * full).astype(np.int32)
    steps, n_clipped = part_steps(stems, whole, bits, 4)
    np.testing.assert_array_equal(steps[:4], np.rint(stems[:4] * full))
    assert np.abs(steps[4] - stems[4] * full).max() <= 5
    assert n_clipped == [0] * 5


def test_those_that_are_too_loud_together_keep_what_they_can():
    # Two of them pass full scale by a tenth: they come down by little more.
    levels = np.array([0.7, 0.4, -0.25, -0.25], np.float32)
    stems = levels[:, None, None] * np.ones((4, 2, 100), np.float32)
    whole = np.full((2, 100), round(0.6 * 2**15), np.int32)
    steps, _ = part_steps(stems, whole, 16, 2)
    share = steps[:, 0, 0] / 2**15
    assert 0.95 < share[0] + share[1] < 1
    assert 0.6 < share[0] < 0.7
    assert 0.3 < share[1] < 0.4


def test_without_a_rest_each_is_rounded_for_itself():
    stems = parts(3, level=0.5)
    steps, _ = part_steps(stems, whole_of(bits=16) // 4, 16, None)
    np.testing.assert_array_equal(steps, np.rint(stems * 2**15))


def test_samples_beyond_full_scale_are_counted():
    stems = np.zeros((2, 2, 50), np.float32)
    stems[1, 0, :7] = 1.5
    _, n_clipped = part_steps(stems, np.zeros((2, 50), np.int32), 16, 0)
    assert n_clipped == [0, 7]


def test_a_stretch_does_not_change_its_neighbours():
    stems, whole = parts(4, 40_000, level=1.5), whole_of(40_000, bits=16)
    together, _ = part_steps(stems, whole, 16, 1)
    for start, stop in itertools.pairwise([0, 1, 16_384, 16_385, 40_000]):
        alone, _ = part_steps(stems[..., start:stop], whole[:, start:stop], 16, 1)
        np.testing.assert_array_equal(alone, together[..., start:stop])
