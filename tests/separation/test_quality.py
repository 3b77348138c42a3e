import numpy as np
import pytest

from separation.quality import sdr_db
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
