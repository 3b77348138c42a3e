import numpy as np
import pytest

from separation.errors import InvalidRequest
from separation.residual import Residual, exact_floats, spread, whole_steps
from tests.separation.media import noise


def stems_of(n_stems, n_samples=5000, *, level, seed=0):
    random = np.random.default_rng(seed)
    return random.uniform(-level, level, (n_stems, 2, n_samples)).astype(np.float32)


def test_settings_have_names():
    assert [Residual.of(name) for name in ("spread", "rest", "keep")] == list(Residual)
    with pytest.raises(InvalidRequest, match="spread, rest, keep"):
        Residual.of("none")


# --- shares


@pytest.mark.parametrize("n_samples", [1, 1023, 1024, 1025, 5000])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_shared_stems_add_up(n_samples, n_channels):
    stems = stems_of(4, n_samples, level=0.3)[:, :n_channels]
    mixture = noise(n_samples, n_channels, seed=5)
    shared = spread(stems, mixture, 2)
    assert shared.dtype == np.float32
    np.testing.assert_allclose(shared.sum(axis=0), mixture, atol=1e-6)


def test_shares_are_by_level_and_silent_stems_stay_silent():
    stems = np.zeros((3, 2, 8192), np.float32)
    stems[0], stems[2] = 0.25, -0.75
    shared = spread(stems, np.zeros((2, 8192), np.float32), 1)
    np.testing.assert_allclose(shared[0], 0.25 + 0.125, atol=1e-6)
    np.testing.assert_allclose(shared[1], 0, atol=1e-7)
    np.testing.assert_allclose(shared[2], -0.75 + 0.375, atol=1e-6)


def test_shares_follow_the_level_without_steps():
    # One stem in the first half, another in the second: each pays where it sounds.
    stems = np.zeros((2, 1, 16384), np.float32)
    stems[0, :, :8192] = stems[1, :, 8192:] = 0.5
    shared = spread(stems.copy(), np.ones((1, 16384), np.float32), 0)
    residual = shared - stems
    np.testing.assert_allclose(residual[0, 0, :7000], 0.5, atol=1e-6)
    np.testing.assert_allclose(residual[1, 0, 9400:], 0.5, atol=1e-6)
    assert np.abs(np.diff(residual)).max() <= 0.5 / 1024 + 1e-6


def test_what_no_stem_claims_goes_to_the_rest():
    mixture = noise(3000)
    shared = spread(np.zeros((4, 2, 3000), np.float32), mixture, 2)
    np.testing.assert_allclose(shared[2], mixture, atol=1e-7)
    np.testing.assert_array_equal(shared[[0, 1, 3]], 0)


# --- to the last bit


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("n_stems", [2, 4, 6])
@pytest.mark.parametrize("level", [0.01, 0.9, 1.0, 3.0, 1e30])
@pytest.mark.parametrize("rest_at", [0, -1])
def test_whole_steps_add_up_to_the_recording(bits, n_stems, level, rest_at):
    stems = stems_of(n_stems, level=level)
    mixture = noise(5000, level=1.0, seed=9)
    full = 2 ** (bits - 1)
    mixture[:, :4] = [1, -1, 1 - 1 / full, 0]
    integers, whole, n_clipped = whole_steps(stems, mixture, bits, rest_at % n_stems)
    np.testing.assert_array_equal(integers.sum(axis=0), whole)
    np.testing.assert_array_equal(whole, np.rint(mixture * np.float64(full)))
    assert integers.min() >= -full
    assert integers.max() <= full - 1
    rounded = np.rint(stems.astype(np.float64) * full)
    beyond = np.count_nonzero((rounded < -full) | (rounded > full - 1), axis=(1, 2))
    assert n_clipped == beyond.tolist()
    # And the recording minus any one of them fits too.
    within = np.clip(whole, -full, full - 1)
    assert (within - integers).min() >= -full
    assert (within - integers).max() <= full - 1


def test_rounding_goes_to_the_rest_alone():
    stems = stems_of(4, level=0.2)
    mixture = stems.sum(axis=0)
    integers, _, _ = whole_steps(stems, mixture, 16, 1)
    each, _, _ = whole_steps(stems, mixture, 16, None)
    np.testing.assert_array_equal(integers[[0, 2, 3]], each[[0, 2, 3]])
    assert np.abs(integers[1] - stems[1] * 32768).max() <= 2.01
    np.testing.assert_array_equal(each, np.rint(stems * 32768))


def test_a_recording_beyond_full_scale_is_held_by_all_stems_together():
    stems = stems_of(4, level=0.1)
    mixture = np.full((2, 5000), 1.5, np.float32)
    integers, whole, _ = whole_steps(stems, mixture, 16, 2)
    np.testing.assert_array_equal(whole, 49152)
    np.testing.assert_array_equal(integers.sum(axis=0), whole)
    assert integers.max() <= 32767


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("n_stems", [1, 2, 5, 6])
@pytest.mark.parametrize("value", [100.0, -100.0, 3e38])
def test_what_no_number_of_stems_can_hold_is_limited(bits, n_stems, value):
    full = 2 ** (bits - 1)
    mixture = np.full((1, 3), value, np.float32)
    integers, whole, _ = whole_steps(np.zeros((n_stems, 1, 3), np.float32), mixture, bits, 0)
    np.testing.assert_array_equal(integers.sum(axis=0), whole)
    assert (integers == -full).all() if value < 0 else (integers >= full - 8).all()
    assert integers.max() <= full - 1


@pytest.mark.parametrize("level", [0.5, 2.0, 1e30, 3e38])
def test_floats_add_up_within_their_own_rounding(level):
    stems = stems_of(4, level=level)
    mixture = (stems_of(1, level=min(level, 1e37), seed=4)[0]).astype(np.float32)
    exact = exact_floats(stems, mixture, 2)
    np.testing.assert_array_equal(exact[[0, 1, 3]], stems[[0, 1, 3]])
    assert np.isfinite(exact).all()
    if level < 1e38:
        total = exact.astype(np.float64).sum(axis=0)
        assert (np.abs(total - mixture) <= np.abs(exact[2]) * 2.0**-24).all()
