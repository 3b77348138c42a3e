import numpy as np
import pytest

from separation.quality import sdr_db, si_sdr_db
from tests.separation.media import noise


@pytest.mark.parametrize(("error", "expected"), [(0.1, 20), (1, 0), (10, -20)])
def test_it_is_the_ratio_of_energies(error, expected):
    reference = noise(1000)
    assert sdr_db(reference, reference * (1 + error)) == pytest.approx(expected, abs=1e-3)


def test_silence_is_finite():
    silence = np.zeros((2, 10))
    assert sdr_db(silence, silence) == 0
    assert np.isfinite(sdr_db(noise(10), noise(10)))


def test_it_refuses_other_shapes():
    with pytest.raises(ValueError, match="same shape"):
        sdr_db(np.zeros((2, 10)), np.zeros((1, 10)))


@pytest.mark.parametrize("level", [0.01, 1, 30])
def test_the_scale_does_not_count_where_it_must_not(level):
    reference, other = noise(4000), noise(4000, seed=1)
    # What is left of the other one after the reference was fitted to it is at right angles.
    other = other - reference * np.sum(other * reference) / np.sum(reference**2)
    other *= 0.1 * np.sqrt(np.sum(reference**2) / np.sum(other**2))
    estimate = level * (reference + other)
    assert si_sdr_db(reference, estimate) == pytest.approx(20, abs=0.01)


def test_a_constant_does_not_count_where_the_scale_does_not():
    reference = noise(1000)
    assert si_sdr_db(reference, reference + 0.5) > 60


def test_the_scale_free_ratio_of_silence_is_finite_too():
    silence = np.zeros((2, 10))
    assert si_sdr_db(silence, silence) == 0
    assert np.isfinite(si_sdr_db(silence, noise(10)))


def test_the_scale_free_ratio_refuses_other_shapes():
    with pytest.raises(ValueError, match="same shape"):
        si_sdr_db(np.zeros((2, 10)), np.zeros((1, 10)))
