"""The measures and bars, on signals whose figures are known beforehand."""

import numpy as np
import pytest
from mir_eval.separation import bss_eval_sources

from benchmarks.quality import bars
from benchmarks.quality.measures import WrongShares
from benchmarks.quality.spectra import FRAME, blocks, frames, samples_of, spectrogram
from tests.separation.media import noise

N = 60_000


def noises(count, n=N):
    """Return sounds that have nothing to do with each other."""
    return [noise(n, seed=seed, level=0.1) for seed in range(count)]


def share(pieces, estimate, own):
    return WrongShares(pieces, [estimate]).of(0, own)


class TestSpectra:
    @pytest.mark.parametrize("n", [1000, FRAME, N])
    def test_samples_come_back(self, n):
        samples = noise(n)
        np.testing.assert_allclose(samples_of(spectrogram(samples), n), samples, atol=1e-5)

    def test_energy_is_that_of_the_samples_in_each_bin(self):
        # Each sample is in four frames, whose squared windows add up to 1.5.
        samples = np.zeros((2, N), np.float32)
        samples[:, 5000:-5000] = noise(N)[:, 5000:-5000]
        found = np.sum(np.abs(frames(samples)) ** 2) / FRAME / 1.5
        assert found == pytest.approx(np.sum(samples.astype(np.float64) ** 2), rel=1e-6)

    @pytest.mark.parametrize("n", [1, FRAME, 1 << 17, (1 << 17) + 5, 400_000])
    def test_blocks_are_the_whole_song_once(self, n):
        found = list(blocks(n))
        assert [one.start for one in found] == [0, *(one.stop for one in found[:-1])]
        assert found[-1].stop == n
        assert min(one.stop - one.start for one in found) >= min(n, FRAME)


class TestWrongShare:
    @pytest.mark.parametrize("gain", [0.1, 0.5, 1.0])
    def test_it_is_the_share_of_what_was_mixed_in(self, gain):
        true, other = noises(2)
        expected = gain**2 / (1 + gain**2)
        assert share([true, other], true + gain * other, [0]) == pytest.approx(expected, abs=0.01)

    def test_a_filter_changes_nothing(self):
        true, other = noises(2)
        echoed = true + 0.5 * np.roll(other, 20, axis=1)
        assert share([true, other], echoed, [0]) == pytest.approx(0.2, abs=0.01)

    def test_all_of_the_wrong_stem_is_wrong(self):
        true, other = noises(2)
        assert share([true, other], other, [0]) > 0.98

    def test_the_right_stem_and_silence_have_none(self):
        true, other = noises(2)
        assert share([true, other], 0.3 * true, [0]) == pytest.approx(0, abs=1e-6)
        assert share([true, other], np.zeros_like(true), [0]) == 0

    def test_a_stem_of_several_pieces_may_hold_all_of_them(self):
        one, two, other = noises(3)
        pieces = [one, two, other]
        assert share(pieces, one + two, [0, 1]) == pytest.approx(0, abs=1e-6)
        assert share(pieces, one + two, [0]) == pytest.approx(0.5, abs=0.02)

    def test_noise_of_nobody_counts_as_little(self):
        true, other, strange = noises(3, 400_000)
        assert share([true, other], true + strange, [0]) < 0.01

    def test_estimates_do_not_get_in_each_others_way(self):
        true, other = noises(2)
        shares = WrongShares([true, other], [true, other, true + other])
        assert shares.of(0, [0]) < 0.01
        assert shares.of(1, [0]) > 0.98
        assert shares.of(1, [1]) < 0.01
        assert shares.of(2, [1]) == pytest.approx(0.5, abs=0.02)


class TestBars:
    def test_a_parent_of_three_equal_parts_is_best_at_a_third(self):
        # What is left is two thirds of the energy: 10 log10(3 / 2).
        parts = noises(3, 400_000)
        found = bars.parent_at_best_gain_db(parts[0], np.sum(parts, axis=0))
        assert found == pytest.approx(10 * np.log10(1.5), abs=0.05)

    def test_silence_is_the_best_level_of_what_has_nothing_to_do_with_it(self):
        true, other = noises(2, 400_000)
        assert bars.parent_at_best_gain_db(true, other) == pytest.approx(0, abs=0.01)
        assert bars.parent_at_best_gain_db(true, np.zeros_like(true)) == 0

    def test_an_equalizer_tells_low_from_high(self):
        low, high = (band(*hz) for hz in ((100, 2000), (8000, 16000)))
        assert bars.parent_at_best_gain_db(low, low + high) < 15
        assert bars.static_eq_db(low, low + high) > 40

    def test_an_equalizer_does_no_more_than_a_level_where_bands_are_alike(self):
        true, other = noises(2, 400_000)
        found = bars.static_eq_db(true, true + other)
        assert found == pytest.approx(bars.parent_at_best_gain_db(true, true + other), abs=0.1)

    def test_an_equalizer_of_silence_is_silence(self):
        true = noise(N)
        assert bars.static_eq_db(true, np.zeros_like(true)) == 0

    def test_a_mask_also_tells_early_from_late(self):
        early, late = noises(2)
        early[:, N // 2 :] = 0
        late[:, : N // 2] = 0
        assert bars.static_eq_db(early, early + late) < 4
        assert bars.oracle_mask_db(early, early + late) > 12
        assert bars.oracle_mask_db(early, early) > 60

    def test_all_of_them_are_given_at_once(self):
        true, other = noises(2)
        found = bars.bars(true, true + other, true + 2 * other)
        assert found.parent_db == bars.parent_at_best_gain_db(true, true + other)
        assert found.static_eq_db == bars.static_eq_db(true, true + other)
        assert found.oracle_mask_db == bars.oracle_mask_db(true, true + 2 * other)


def band(low_hz, high_hz):
    """Return noise of these frequencies only, fading in and out."""
    spectrum = np.fft.rfft(noise(N))
    frequencies = np.fft.rfftfreq(N, 1 / 44_100)
    spectrum[:, (frequencies < low_hz) | (frequencies > high_hz)] = 0
    return (np.fft.irfft(spectrum, N) * np.hanning(N)).astype(np.float32)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("gain", [0.1, 0.4])
def test_the_share_is_that_of_a_well_known_package(gain):
    """The ratio of mir_eval, which lets the true stems go through filters of 512 samples."""
    true, other, strange = (part[:, :20_000] for part in noises(3))
    echoed = np.roll(other, 7, axis=1) - 0.5 * np.roll(other, 31, axis=1)
    estimate = true + gain * echoed + 0.05 * strange
    sources = np.stack([true[0], other[0]])
    estimates = np.stack([estimate[0], other[0]])
    _, sir_db, sar_db, _ = bss_eval_sources(sources, estimates, compute_permutation=False)
    # Of the estimate's energy: what interferes, beside the target, and what nobody explains.
    interfering = 1 / (1 + 10 ** (sir_db[0] / 10))
    explained = 1 / (1 + 10 ** (-sar_db[0] / 10))
    mono = [np.repeat(part[:1], 2, axis=0) for part in (true, other, estimate)]
    found = share(mono[:2], mono[2], [0])
    assert found == pytest.approx(interfering * explained, abs=0.02)
